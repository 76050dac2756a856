"""`sessiond watch`: a user's list as it changes."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing, suppress
from typing import Annotated

import typer

from sessiond.cli import json_form
from sessiond.cli.connection import Connection
from sessiond.cli.options import AsJson, connected
from sessiond.cli.paint import DIM, RED, Brush, is_coloured
from sessiond.cli.sessions import StatusOption, row
from sessiond.session.state import Status
from sessiond.v1.store_pb2 import WatchSessionsResponse

_ID_WIDTH = 36


@connected
def watch(
    connection: Connection,
    *,
    status: Annotated[StatusOption | None, typer.Option(help="Only those that stand so.")] = None,
    of: Annotated[
        str | None, typer.Option(help="Another user's, for administrators.", metavar="USER")
    ] = None,
    agent: Annotated[
        list[str] | None,
        typer.Option(help="Instead: sessions that await this agent; may be repeated."),
    ] = None,
    cursor: Annotated[
        str | None, typer.Option(help="Go on after a response of an earlier watch.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Follow your sessions, and those that others share with you, until Ctrl-C.

    First come all of them as they are, then each change.

    With --json, one object a line: {"session": ...}, {"removedId": ...}, {"listed": {}} after the
    first listing, {"reset": {}} where it begins anew; each with its cursor.
    """
    shown = _AsJson() if as_json else _AsText()

    async def follow() -> None:
        async with connection.client() as client:
            responses = client.watch(
                of,
                agents=agent or (),
                status=None if status is None else Status(status.value),
                cursor=cursor,
            )
            async with aclosing(responses):
                async for response in responses:
                    shown(response)
                    sys.stdout.flush()

    # Ctrl-C is how a watch ends.
    with suppress(KeyboardInterrupt):
        asyncio.run(follow())


class _AsJson:
    def __call__(self, response: WatchSessionsResponse) -> None:
        sys.stdout.write(json_form.line(response) + "\n")


class _AsText:
    def __init__(self) -> None:
        self._brush = Brush(coloured=is_coloured(sys.stdout))

    def __call__(self, response: WatchSessionsResponse) -> None:
        match response.WhichOneof("change"):
            case "session":
                text = row(response.session, self._brush, _ID_WIDTH, 120)
            case "removed_id":
                text = f"{response.removed_id:<{_ID_WIDTH}}  {self._brush('gone', RED)}"
            case "listed":
                text = self._brush("-- from here on, changes", DIM)
            case "reset":
                text = self._brush("-- changes may have been missed: listed anew", DIM)
            case _:  # a newer Store's
                text = json_form.line(response)
        sys.stdout.write(text + "\n")
