"""The command line: its commands, and how it ends."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from sessiond.cli import sessions, sharing, templates
from sessiond.cli.call import call
from sessiond.cli.changes import changes
from sessiond.cli.chat import chat
from sessiond.cli.connection import DEFAULT_USER
from sessiond.cli.development import development_token, keys_folder
from sessiond.cli.erase import erase, erasure
from sessiond.cli.export import export
from sessiond.cli.failures import CommandFailure
from sessiond.cli.fork import fork
from sessiond.cli.hold import hold
from sessiond.cli.importing import import_sessions
from sessiond.cli.options import end
from sessiond.cli.retention import retention
from sessiond.cli.rewind import rewind
from sessiond.cli.scan import scan
from sessiond.cli.watch import watch
from sessiond.cli.workflows import workflows

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Sessions of AI agents, from a terminal. Without a token, and with `make run` on this "
    "machine, you are the user alice, by a development token.",
)
app.add_typer(sessions.app, name="sessions")
app.add_typer(templates.app, name="templates")
app.command("workflows")(workflows)
app.command("chat")(chat)
app.command("rewind")(rewind)
app.command("watch")(watch)
app.command("changes")(changes)
app.command("scan")(scan)
app.command("retention")(retention)
app.command("hold")(hold)
app.command("erase")(erase)
app.command("erasure")(erasure)
app.command("call")(call)
app.command("share")(sharing.share)
app.command("unshare")(sharing.unshare)
app.command("members")(sharing.members)
app.command("link")(sharing.link)
app.command("unlink")(sharing.unlink)
app.command("join")(sharing.join)
app.command("transfer")(sharing.transfer)
app.command("export")(export)
app.command("fork")(fork)
app.command("import")(import_sessions)


@app.command("token")
def token(
    user: Annotated[str, typer.Option(envvar="SESSIOND_USER", help="Its subject.")] = DEFAULT_USER,
    role: Annotated[str | None, typer.Option(help="agent, service or admin; else a user.")] = None,
    agent: Annotated[
        list[str] | None, typer.Option(help="A name an agent may speak as; may be repeated.")
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(envvar="SESSIOND_DATA_DIR", help="Where `make run` keeps its data."),
    ] = None,
) -> None:
    """Print a development token, good for a day.

    It is signed with the key that `make run` made. Tokens of production come from whoever issues
    them there.
    """
    environ = {} if data_dir is None else {"SESSIOND_DATA_DIR": str(data_dir)}
    folder = keys_folder(environ)
    try:
        made = development_token(folder, user, now=time.time(), role=role, agents=agent or ())
    except CommandFailure as failure:
        end(str(failure))
    sys.stdout.write(made + "\n")


def run() -> None:
    """Run the command line; ends the process with its exit code."""
    app(prog_name="sessiond")
