"""What waits to be written to one stream, joined when it is written."""

from __future__ import annotations

import asyncio


class Outbox:
    """Bytes on their way."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []
        self._something = asyncio.Event()

    def put(self, data: bytes) -> None:
        """Let it wait."""
        self._waiting.append(data)
        self._something.set()

    async def take(self) -> bytes:
        """Wait for something, and return all that is there."""
        return b"".join(await self.take_each())

    async def take_each(self) -> list[bytes]:
        """The same, as it was put."""
        await self._something.wait()
        self._something.clear()
        taken = self._waiting
        self._waiting = []
        return taken
