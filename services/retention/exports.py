"""Exports of sessions that are about to go: one JSON file each, whole or not there."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterable
from pathlib import Path
from typing import IO

from sessiond.errors import StaleRevision, Unavailable
from sessiond.export.format import JsonWriter
from sessiond.v1.session_pb2 import SessionSummary
from sessiond.v1.store_pb2 import ReadHistoryResponse
from sessiond.wire import timestamp_from_wire

_PREFIX, _SUFFIX = ".", ".part"


class Exports:
    """Files in one folder, as `sessiond export --format json` writes them.

    A file is named `<session id>.<milliseconds of its creation>.<revision>.json`: the id of a
    deleted session may be another one's later, and whoever takes a file away takes none that tells
    more. Writing it again replaces it by the same.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def tidy(self) -> None:
        """Remove what was left half written. A file that is being written elsewhere fails there."""
        for path in self._folder.glob(f"{_PREFIX}*{_SUFFIX}"):
            path.unlink(missing_ok=True)

    def path(self, summary: SessionSummary) -> Path:
        """Return where a session is exported to."""
        created_ms = timestamp_from_wire(summary.created_at)
        return self._folder / f"{summary.id}.{created_ms}.{summary.revision}.json"

    async def write(
        self, summary: SessionSummary, history: AsyncIterable[ReadHistoryResponse]
    ) -> None:
        """Write a session, if it is still as the summary says, and let the disk have it.

        Raises:
            StaleRevision: it is not; there is no new file.
            OSError: it cannot be written.
            SessiondError: it cannot be read, or not to its end; there is no new file.
        """
        writer = JsonWriter()
        whole = seq = 0
        file = await asyncio.to_thread(self._begin)
        try:
            async for part in history:
                data = b""
                if part.HasField("session"):
                    whole, data = part.session.revision, writer.begin(part.session)
                    if whole != summary.revision:
                        raise StaleRevision(whole)
                for event in part.events:
                    seq = event.event.seq
                    data += writer.event(event)
                await asyncio.to_thread(file.write, data)
            if not whole or seq != whole:
                raise Unavailable("The history ended too early.")  # then the session must stay
            await asyncio.to_thread(self._end, file, writer.end(), self.path(summary))
        finally:
            await asyncio.to_thread(self._close, file)

    def remove(self, summary: SessionSummary) -> None:
        """Remove the file of a session that stays after all."""
        self.path(summary).unlink(missing_ok=True)

    def _begin(self) -> IO[bytes]:
        return tempfile.NamedTemporaryFile(
            dir=self._folder, prefix=_PREFIX, suffix=_SUFFIX, delete=False
        )

    def _close(self, file: IO[bytes]) -> None:
        file.close()
        Path(file.name).unlink(missing_ok=True)  # one that was ended has another name

    def _end(self, file: IO[bytes], data: bytes, path: Path) -> None:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
        Path(file.name).rename(path)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
