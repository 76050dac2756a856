"""`sessiond erase` and `sessiond erasure`: everything of a user goes, and a receipt says so."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from sessiond.cli import json_form
from sessiond.cli.connection import Connection
from sessiond.cli.options import AsJson, connected
from sessiond.mapping.spelling import time_text
from sessiond.v1.store_pb2 import Erasure

User = Annotated[str, typer.Argument(metavar="USER")]


@connected
def erase(
    connection: Connection,
    user_id: User,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask that everything of a user be erased. For administrators, and for oneself.

    On a terminal it asks first. It is done soon; `sessiond erasure USER` says when.
    """
    if not yes and sys.stdin.isatty() and sys.stderr.isatty():
        asked = f"Erase all sessions, shares and templates of {user_id} for good?"
        typer.confirm(asked, abort=True, err=True)
    with connection.sync_client() as client:
        _tell(client.erase(user_id), as_json=as_json)


@connected
def erasure(connection: Connection, user_id: User, as_json: AsJson = False) -> None:
    """Show how an erasure stands; once it is done, this is its receipt."""
    with connection.sync_client() as client:
        _tell(client.erasure(user_id), as_json=as_json)


def _tell(found: Erasure, *, as_json: bool) -> None:
    say = sys.stdout.write
    if as_json:
        say(json_form.line(found) + "\n")
        return
    say(f"asked for  {time_text(found.requested_at)} by {found.requested_by.subject}\n")
    if not found.HasField("completed_at"):
        say("done       not yet\n")
        return
    say(f"done       {time_text(found.completed_at)}\n")
    gone = f"{found.sessions} sessions, {found.shares} shares, {found.templates} templates"
    say(f"erased     {gone}\n")
    for session_id in found.held_session_ids:
        say(f"held       {session_id}\n")
