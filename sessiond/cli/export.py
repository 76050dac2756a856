"""`sessiond export`: a session as a document."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from sessiond.cli.connection import Connection
from sessiond.cli.failures import CommandFailure
from sessiond.cli.options import connected
from sessiond.export.rendering import Format, chunks


@connected
def export(
    connection: Connection,
    session_id: Annotated[str, typer.Argument(metavar="ID")],
    *,
    form: Annotated[
        Format, typer.Option("--format", help="JSON and NDJSON can be imported again.")
    ] = Format.JSON,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Default: standard output."),
    ] = None,
) -> None:
    """Export a session, with all its events, as one document.

    A file is there when all of it is: one that stood there before stays until then.
    """
    if output is None and form is Format.PDF and sys.stdout.isatty():
        raise CommandFailure("a PDF is nothing for a terminal: name a file, with -o")

    async def write(file: BinaryIO) -> None:
        async with connection.client() as client:
            document = chunks(client.history(session_id), form)
            async with aclosing(document) as pieces:
                async for piece in pieces:
                    file.write(piece)

    if output is None:
        asyncio.run(write(sys.stdout.buffer))
        return
    part = output.with_name(output.name + ".part")
    try:
        try:
            with part.open("wb") as file:
                asyncio.run(write(file))
            part.replace(output)
        finally:
            part.unlink(missing_ok=True)
    except OSError as failure:
        raise CommandFailure(f"{output}: {failure.strerror}") from None
