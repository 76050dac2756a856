"""The options that all commands share, and how a command ends."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec

import typer

from sessiond.cli.connection import (
    DEFAULT_USER,
    LIVE_PORT,
    STORE_PORT,
    Connection,
    addresses,
    tls_of,
)
from sessiond.cli.failures import CommandFailure, told
from sessiond.errors import SessiondError

P = ParamSpec("P")

INTERRUPTED = 130
"""The exit code of a command that Ctrl-C stopped, as shells have it."""

_PANEL = "Connection"

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, as REST shows it.")]
"""The option of commands that a script may read."""


def _shared(
    *,
    live: Annotated[
        str | None,
        typer.Option(
            envvar="SESSIOND_LIVE",
            help=f"Addresses of Live, host:port, by commas; else 127.0.0.1:{LIVE_PORT}.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            envvar="SESSIOND_STORE",
            help=f"Addresses of Store; else 127.0.0.1:{STORE_PORT}.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="SESSIOND_TOKEN",
            help="Bearer token; on this machine a development token is made instead.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    user: Annotated[
        str,
        typer.Option(
            envvar="SESSIOND_USER",
            help="With a development token: who you are.",
            rich_help_panel=_PANEL,
        ),
    ] = DEFAULT_USER,
    acting_for: Annotated[
        str | None,
        typer.Option(help="With a service's token: the user it acts for.", rich_help_panel=_PANEL),
    ] = None,
    tls: Annotated[
        bool,
        typer.Option(
            "--tls", help="Speak TLS, and trust the system's authorities.", rich_help_panel=_PANEL
        ),
    ] = False,
    ca: Annotated[
        Path | None,
        typer.Option(
            envvar="SESSIOND_CA",
            help="Speak TLS, and trust this authority (PEM).",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    cert: Annotated[
        Path | None,
        typer.Option(
            envvar="SESSIOND_CERT",
            help="Show this certificate (PEM).",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(envvar="SESSIOND_KEY", help="Its key (PEM).", rich_help_panel=_PANEL),
    ] = None,
    timeout: Annotated[
        float,
        typer.Option(
            min=0.1,
            help="Seconds that one call may take, repeats included.",
            rich_help_panel=_PANEL,
        ),
    ] = 10.0,
) -> Connection:
    return Connection(
        live=addresses(live, os.environ.get("SESSIOND_LIVE_PORT") or LIVE_PORT),
        store=addresses(store, os.environ.get("SESSIOND_STORE_PORT") or STORE_PORT),
        given_token=token or None,
        user=user,
        acting_for=acting_for or None,
        tls=tls_of(tls=tls, ca=ca, cert=cert, key=key),
        seconds=timeout,
    )


VARIABLES = tuple(
    variable
    for parameter in inspect.signature(_shared, eval_str=True).parameters.values()
    if isinstance(variable := parameter.annotation.__metadata__[0].envvar, str)
)
"""The environment variables that stand for options."""


def connected(command: Callable[Concatenate[Connection, P], None]) -> Callable[..., None]:
    """Give a command the shared options, as its first argument, and let its failures be told."""
    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
    shared = list(inspect.signature(_shared, eval_str=True).parameters.values())
    names = [parameter.name for parameter in shared]

    @wraps(command)
    def run(**given: Any) -> None:
        connection: Connection | None = None
        try:
            connection = _shared(**{name: given.pop(name) for name in names})
            command(connection, **given)  # type: ignore[call-arg]
            sys.stdout.flush()
        except SessiondError as failure:
            end(told(failure, connection.asked if connection else ""))
        except CommandFailure as failure:
            end(str(failure))
        except BrokenPipeError:
            # Who read our output has seen enough: `sessiond sessions list | head`.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None

    # Paragraphs without the line ends of the source; the terminal has its own.
    paragraphs = inspect.cleandoc(command.__doc__ or "").split("\n\n")
    run.__doc__ = "\n\n".join(" ".join(each.split()) for each in paragraphs)
    # What typer reads the options from, instead of the annotations of the function inside.
    del run.__wrapped__
    run.__annotations__ = {each.name: each.annotation for each in (*own, *shared)}
    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in (*own, *shared)]
    )
    return run


def end(line: str) -> None:
    """End the command as failed, with one line on stderr."""
    sys.stderr.write(line + "\n")
    raise typer.Exit(1)
