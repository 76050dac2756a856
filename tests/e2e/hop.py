"""A relay between two gRPC parts: it loses a reply, or holds a request back, when told to."""

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


class Hop:
    """Passes HTTP/2 on.

    Attributes:
        address: where clients connect.
        lost: how many replies were lost.
        holding: whether a request or a reply is held back.
    """

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._losing: bytes | None = None
        self._holding: bytes | None = None
        self._delaying: bytes | None = None
        self._released = asyncio.Event()
        self._connections: set[asyncio.Task[None]] = set()
        self.address = ""
        self.lost = 0
        self.holding = asyncio.Event()

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
        """Have the next request with the mark carried out, and reset its connection instead of
        passing the reply on.
        """
        self._losing = mark.encode()

    def hold(self, mark: str) -> None:
        """Hold back the next request with the mark, and all that follows on its connection."""
        self._holding = mark.encode()
        self._released.clear()
        self.holding.clear()

    def hold_reply(self, mark: str) -> None:
        """Have the next request with the mark carried out, and hold back the reply to it, and all
        that follows on its connection.
        """
        self._delaying = mark.encode()
        self._released.clear()
        self.holding.clear()

    def release(self) -> None:
        """Pass on what is held back."""
        self._released.set()

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
            delayed: set[int] = set()
            pumps = [
                asyncio.ensure_future(self._requests(reader, far_writer, doomed, delayed)),
                asyncio.ensure_future(self._replies(far_reader, writer, doomed, delayed)),
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
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        doomed: set[int],
        delayed: set[int],
    ) -> None:
        with suppress(asyncio.IncompleteReadError, OSError):
            writer.write(await reader.readexactly(_PREFACE))
            while True:
                frame = await _read(reader)
                if self._losing and frame.kind == _DATA and self._losing in frame.wire:
                    self._losing = None
                    doomed.add(frame.stream)
                if self._delaying and frame.kind == _DATA and self._delaying in frame.wire:
                    self._delaying = None
                    delayed.add(frame.stream)
                if self._holding and frame.kind == _DATA and self._holding in frame.wire:
                    self._holding = None
                    self.holding.set()
                    await self._released.wait()
                writer.write(frame.wire)
                await writer.drain()

    async def _replies(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        doomed: set[int],
        delayed: set[int],
    ) -> None:
        with suppress(asyncio.IncompleteReadError, OSError):
            while True:
                frame = await _read(reader)
                if frame.stream in doomed and frame.kind in (_DATA, _HEADERS):
                    self.lost += 1
                    return
                if frame.stream in delayed and frame.kind == _DATA:
                    delayed.discard(frame.stream)
                    self.holding.set()
                    await self._released.wait()
                writer.write(frame.wire)
                await writer.drain()


async def _read(reader: asyncio.StreamReader) -> _Frame:
    head = await reader.readexactly(_HEAD)
    payload = await reader.readexactly(int.from_bytes(head[:3], "big"))
    return _Frame(head[3], int.from_bytes(head[5:], "big") & 0x7FFFFFFF, head + payload)
