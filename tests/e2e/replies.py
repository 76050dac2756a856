"""A relay between two gRPC parts that loses one reply, and the connection with it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import NamedTuple, Self

_PREFACE = 24
_HEAD = 9
_DATA, _HEADERS = 0, 1


class _Frame(NamedTuple):
    """One frame of HTTP/2 (RFC 9113)."""

    kind: int
    stream: int
    wire: bytes


class LostReplies:
    """Passes HTTP/2 on. After `lose(mark)`, the call whose request holds the mark is carried out,
    and when the server replies to it, the connection is reset instead.

    Attributes:
        address: where clients connect.
        lost: how many replies were lost.
    """

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._mark: bytes | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.address = ""
        self.lost = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def lose(self, mark: str) -> None:
        """Lose the reply to the next request that holds the mark."""
        self._mark = mark.encode()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._relay(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
            writers.append(far_writer)
            doomed: set[int] = set()
            pumps = [
                asyncio.ensure_future(self._requests(reader, far_writer, doomed)),
                asyncio.ensure_future(self._replies(far_reader, writer, doomed)),
            ]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        except OSError:
            pass
        finally:
            for each in writers:
                each.transport.abort()

    async def _requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, doomed: set[int]
    ) -> None:
        with suppress(asyncio.IncompleteReadError, OSError):
            writer.write(await reader.readexactly(_PREFACE))
            while True:
                frame = await _read(reader)
                if self._mark is not None and frame.kind == _DATA and self._mark in frame.wire:
                    self._mark = None
                    doomed.add(frame.stream)
                writer.write(frame.wire)
                await writer.drain()

    async def _replies(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, doomed: set[int]
    ) -> None:
        with suppress(asyncio.IncompleteReadError, OSError):
            while True:
                frame = await _read(reader)
                if frame.stream in doomed and frame.kind in (_DATA, _HEADERS):
                    self.lost += 1
                    return
                writer.write(frame.wire)
                await writer.drain()


async def _read(reader: asyncio.StreamReader) -> _Frame:
    head = await reader.readexactly(_HEAD)
    payload = await reader.readexactly(int.from_bytes(head[:3], "big"))
    return _Frame(head[3], int.from_bytes(head[5:], "big") & 0x7FFFFFFF, head + payload)
