"""`sessiond scan`: everybody's sessions, for whoever looks after all of them."""

from __future__ import annotations

import sys
from itertools import islice
from typing import Annotated

import typer

from sessiond.cli import json_form
from sessiond.cli.connection import Connection
from sessiond.cli.options import AsJson, connected
from sessiond.cli.paint import BOLD, Brush, is_coloured, one_line
from sessiond.cli.sessions import StatusOption, row, time_of
from sessiond.session.state import Status
from sessiond.wire import timestamp_to_wire

_ID_WIDTH = 36
_WIDTH = 200


@connected
def scan(
    connection: Connection,
    *,
    status: Annotated[StatusOption | None, typer.Option(help="Only those that stand so.")] = None,
    workflow: Annotated[str | None, typer.Option(help="Only those of this workflow.")] = None,
    inactive_since: Annotated[
        str | None,
        typer.Option(help="Only those that last changed before, as in 2026-11-29T14:30:00Z."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many. Default: all.")] = None,
    as_json: AsJson = False,
) -> None:
    """List everybody's sessions, user by user, newest activity first.

    With --json, one object a line. A session that is used meanwhile may come twice, or not at all.

    For administrators, and services that act for nobody: on this machine, with the token that
    `sessiond token --role admin` prints.
    """
    moment = None if inactive_since is None else time_of(inactive_since, "--inactive-since")
    with connection.sync_client() as client:
        found = client.scan(
            status=None if status is None else Status(status.value),
            workflow_id=workflow,
            inactive_since=None
            if moment is None
            else timestamp_to_wire(round(moment.timestamp() * 1000)),
        )
        brush, user_id = Brush(coloured=is_coloured(sys.stdout)), ""
        # Told as they come: there may be very many.
        for summary in islice(found, limit):
            if as_json:
                sys.stdout.write(json_form.line(summary) + "\n")
                continue
            if summary.user_id != user_id:
                user_id = summary.user_id
                sys.stdout.write(brush(one_line(user_id, _WIDTH), BOLD) + "\n")
            sys.stdout.write("  " + row(summary, brush, _ID_WIDTH, _WIDTH) + "\n")
