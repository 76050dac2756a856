"""One connection through a door, and what befalls its bytes."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import Counter
from contextlib import suppress

from tests.faults.relays.troubles import NONE, Trouble, Way

_CHUNK = 65_536
_DRIP_SECONDS = 0.01
# An abort that the other end sees as a reset, whatever waits to be read.
_RESET = struct.pack("ii", 1, 0)


class Road:
    """Two sockets, and the trouble that the connection is in.

    `carried` and `harmed` are counters that all roads of a door share, by the name of the caller:
    how many bytes came, and how many of them came into trouble. When a connection is broken, all
    that it had carried came into trouble.
    """

    def __init__(
        self,
        caller: str,
        near: asyncio.StreamWriter,
        far: asyncio.StreamWriter,
        *,
        carried: Counter[str],
        harmed: Counter[str],
    ) -> None:
        self.caller = caller
        self.near = near
        self.far = far
        self.trouble = NONE
        self.left = 0
        self._carried = carried
        self._harmed = harmed
        self._bytes = 0
        self._changed = asyncio.Event()

    def befall(self, trouble: Trouble) -> None:
        """Be in this trouble from now on."""
        self.trouble = trouble
        self.left = trouble.reset_after or 0
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        if trouble.reset_after == 0:
            self._harmed[self.caller] += self._bytes
            self.reset()
        elif trouble.half_open:
            self._harmed[self.caller] += self._bytes
            reset(self.far)

    def reset(self) -> None:
        """End it at once, both ways."""
        for writer in (self.near, self.far):
            reset(writer)

    async def pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way
    ) -> None:
        """Carry all that comes this way, and then the end."""
        try:
            while data := await reader.read(_CHUNK):
                self._count(len(data), way)
                await self._carry(data, writer, way)
            await self._passes(way)  # nor is an end told while nothing passes
            writer.close()
        except OSError:
            # A reset is passed on, unless the caller is not to learn of it.
            await self._passes(way)
            reset(writer)

    def _count(self, size: int, way: Way) -> None:
        self._bytes += size
        self._carried[self.caller] += size
        if self.trouble is not NONE and (not self.trouble.silent or way in self.trouble.silent):
            self._harmed[self.caller] += size

    async def _passes(self, way: Way) -> None:
        """Wait until bytes pass this way."""
        while way in self.trouble.silent:
            await self._changed.wait()

    async def _wait(self, seconds: float) -> None:
        """Wait so long, or until the trouble is another one."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    async def _carry(self, data: bytes, writer: asyncio.StreamWriter, way: Way) -> None:
        if self.trouble.delay:
            await self._wait(self.trouble.delay)
        while data:
            await self._passes(way)
            trouble = self.trouble
            piece = data[: trouble.drip]
            if trouble.reset_after is not None:
                piece = piece[: self.left]
                self.left -= len(piece)
            writer.write(piece)
            await writer.drain()
            if trouble.reset_after is not None and self.left <= 0:
                self.reset()
                raise ConnectionResetError
            data = data[len(piece) :]
            if data and trouble.drip is not None:
                await self._wait(_DRIP_SECONDS)


def reset(writer: asyncio.StreamWriter) -> None:
    """Abort a connection so that the other end sees it reset."""
    if (end := writer.get_extra_info("socket")) is not None:
        with suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
