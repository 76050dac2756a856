"""`sessiond fork`: a new session that begins as a copy."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from sessiond.cli import json_form
from sessiond.cli.connection import Connection
from sessiond.cli.options import AsJson, connected


@connected
def fork(
    connection: Connection,
    session_id: Annotated[str, typer.Argument(metavar="ID")],
    *,
    at: Annotated[
        int | None,
        typer.Option(min=1, metavar="SEQ", help="How many of its events. Default: all."),
    ] = None,
    new_id: Annotated[str | None, typer.Option("--id", help="Default: made by Store.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a session of your own that begins as a copy of another one, and print its id."""
    with connection.sync_client() as client:
        session = client.fork(session_id, at_seq=at, id=new_id)
    sys.stdout.write((json_form.line(session) if as_json else session.id) + "\n")
