"""`sessiond hold`: keep a session from being deleted, or let it go."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from sessiond.cli import json_form
from sessiond.cli.connection import Connection
from sessiond.cli.options import AsJson, connected


@connected
def hold(
    connection: Connection,
    session_id: Annotated[str, typer.Argument(metavar="ID")],
    off: Annotated[bool, typer.Option("--off", help="End the hold.")] = False,
    reason: Annotated[str, typer.Option(help="Why; it stands in the history.")] = "",
    as_json: AsJson = False,
) -> None:
    """Put a session under a legal hold, or end that. For administrators.

    A held session is kept from deletion, by whomever, from retention, and from erasure. On this
    machine an administrator's token is what `sessiond token --role admin` prints.
    """
    with connection.sync_client() as client:
        answer = client.set_hold(session_id, not off, reason=reason)
    if as_json:
        sys.stdout.write(json_form.line(answer.session) + "\n")
