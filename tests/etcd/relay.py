"""A TCP relay between client and server that fails on command."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from types import TracebackType
from typing import Self


class Relay:
    """Passes bytes on, until it is told otherwise.

    Attributes:
        address: where clients connect.
        connections: how many came so far.
        answers_pass: False swallows what the server says, and stays connected.
        requests_pass: the same, the other way.
        budget: bytes of answers that the next connection passes before it is cut; None is all.
    """

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._writers: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._port = 0
        self.connections = 0
        self.answers_pass = True
        self.requests_pass = True
        self.budget: Callable[[], int] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.shut()

    async def open(self) -> None:
        """Listen, on the same port as before if there was one."""
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        """Listen no more, and cut what is connected."""
        if self._server is not None:
            self._server.close()
        self.cut()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    def cut(self) -> None:
        """Reset every connection."""
        for writer in self._writers:
            writer.transport.abort()

    def freeze(self) -> None:
        """Pass nothing more, without a word to either side."""
        self.answers_pass = self.requests_pass = False

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        budget = None if self.budget is None else self.budget()
        for pump in (
            self._pump(reader, far_writer, lambda: self.requests_pass, None),
            self._pump(far_reader, writer, lambda: self.answers_pass, budget),
        ):
            task = asyncio.ensure_future(pump)
            self._pumps.add(task)
            task.add_done_callback(self._pumps.discard)
        self._writers |= {writer, far_writer}
        if not self._server or not self._server.is_serving():
            self.cut()

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        passes: Callable[[], bool],
        budget: int | None,
    ) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                if not passes():
                    continue
                if budget is not None and passed + len(data) > budget:
                    writer.write(data[: budget - passed])
                    await writer.drain()
                    self.cut()
                    break
                passed += len(data)
                writer.write(data)
                await writer.drain()
        writer.transport.abort()
        self._writers.discard(writer)
