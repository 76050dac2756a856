"""`sessiond rewind`: a session goes back to how it was."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from sessiond.cli import json_form
from sessiond.cli.connection import Connection
from sessiond.cli.options import AsJson, connected


@connected
def rewind(
    connection: Connection,
    session_id: Annotated[str, typer.Argument(metavar="ID")],
    to_seq: Annotated[
        int, typer.Argument(metavar="SEQ", min=1, help="After which event: 1 to its revision.")
    ],
    as_json: AsJson = False,
) -> None:
    """Take a session back to how it was after an event, and print its new revision.

    What came after stays in its history: a rewind to the revision before takes it back.
    `sessiond sessions show ID --at-seq SEQ` shows beforehand how it was.
    """
    with connection.sync_client() as client:
        response = client.rewind(session_id, to_seq)
    told = json_form.line(response.session) if as_json else str(response.session.revision)
    sys.stdout.write(told + "\n")
