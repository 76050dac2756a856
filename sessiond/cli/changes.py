"""`sessiond changes`: all changes of all sessions, for whoever keeps an index of them."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Annotated

import typer

from sessiond.cli import json_form
from sessiond.cli.connection import Connection
from sessiond.cli.failures import CommandFailure
from sessiond.cli.options import connected


@connected
def changes(
    connection: Connection,
    *,
    cursor: Annotated[
        Path | None,
        typer.Option(
            help="Go on where this file says, and keep in it how far it is; else from now on."
        ),
    ] = None,
    of: Annotated[
        list[str] | None,
        typer.Option(
            help="Only sessions of this owner, and their transfer to others; may be repeated.",
            metavar="USER",
        ),
    ] = None,
    workflow: Annotated[
        list[str] | None, typer.Option(help="Only sessions of this workflow; may be repeated.")
    ] = None,
    event: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this kind of event, as message_appended; may be repeated. Deletions always "
            "come."
        ),
    ] = None,
) -> None:
    """Follow all changes of all sessions until Ctrl-C, as JSON, one object a line.

    {"changed": ...}, {"deleted": ...}, and {"reset": {}} where deletions may be missing and an
    index is to be built anew; each with its cursor. Every change comes at least once, those of a
    session in order.

    For administrators, and services that act for nobody: on this machine, with the token that
    `sessiond token --role admin` prints.
    """
    place = None if cursor is None else _CursorFile(cursor)

    async def follow() -> None:
        async with connection.client() as client:
            responses = client.changes(
                cursor=None if place is None else place.read(),
                user_ids=of or (),
                workflow_ids=workflow or (),
                event_types=event or (),
            )
            async with aclosing(responses):
                async for response in responses:
                    if response.WhichOneof("change") != "moved":
                        sys.stdout.write(json_form.line(response) + "\n")
                        sys.stdout.flush()
                    if place is not None:
                        place.write(response.cursor)

    # Ctrl-C is how it ends.
    with suppress(KeyboardInterrupt):
        asyncio.run(follow())


class _CursorFile:
    """Keeps a cursor. It is replaced as a whole, after what it stands for was printed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> str | None:
        """Return what it holds; None where there is no such file yet."""
        try:
            return self._path.read_text().strip() or None
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as failure:
            raise CommandFailure(f"{self._path}: {_reason(failure)}") from None

    def write(self, cursor: str) -> None:
        """Let it hold this cursor."""
        new = self._path.with_name(f"{self._path.name}.new")
        try:
            new.write_text(cursor + "\n")
            new.replace(self._path)
        except OSError as failure:
            raise CommandFailure(f"{self._path}: {_reason(failure)}") from None


def _reason(failure: Exception) -> str:
    return getattr(failure, "strerror", None) or "it is no text"
