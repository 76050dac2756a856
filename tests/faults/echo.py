"""What stands behind a door in its tests."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

PATIENCE = 10.0


@dataclass
class Echo:
    """A part that says again what it hears."""

    port: int = 0
    heard: bytes = b""
    ended: int = 0
    noted: asyncio.Event = field(default_factory=asyncio.Event)
    server: asyncio.Server | None = None

    async def start(self) -> None:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self.server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        assert self.server is not None
        self.server.close()

    async def until_heard(self, length: int) -> bytes:
        async with asyncio.timeout(PATIENCE):
            while len(self.heard) < length:
                self.noted.clear()
                await self.noted.wait()
        return self.heard

    async def until_ended(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while self.ended < count:
                self.noted.clear()
                await self.noted.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1000):
                self.heard += data
                self.noted.set()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        self.ended += 1
        self.noted.set()
        writer.close()
