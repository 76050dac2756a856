"""What waits to be written to one stream: frames in order, and text from whoever has some.

Frames that wait together are written together, as one batch. Text is asked for when nothing else
waits, so it is merged while the stream is busy, and what a session says of itself goes first.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Protocol

from sessiond.client.channels import MIB
from sessiond.v1.live_pb2 import ClientFrame

WRITE_BYTES = 256 * 1024
"""About how much one write carries, a quarter of what a server reads at most."""

WAITING_BYTES = MIB
"""About how much may wait to be written before changes wait themselves."""


class Source(Protocol):
    """Something with text to write whenever there is room."""

    def pull(self) -> tuple[Sequence[ClientFrame], bool]:
        """Return the next frames to write, and whether there is more."""


class Outgoing:
    """Frames on their way out. `frame_bytes` is what one message may have, a batch included."""

    def __init__(self) -> None:
        self.frame_bytes = MIB
        self._frames: deque[bytes] = deque()
        self._bytes = 0
        self._sources: dict[Source, None] = {}
        self._something = asyncio.Event()
        self._roomy = asyncio.Event()
        self._roomy.set()

    def put(self, frames: Iterable[ClientFrame]) -> None:
        """Let frames be written after those that wait."""
        for frame in frames:
            data = in_batch(frame)
            self._frames.append(data)
            self._bytes += len(data)
        if self._bytes > WAITING_BYTES:
            self._roomy.clear()
        self._something.set()

    def mark(self, source: Source) -> None:
        """Ask a source for its text when there is room."""
        self._sources[source] = None
        self._something.set()

    def clear(self) -> None:
        """Drop the frames: they are made anew on the next stream. Sources stay marked."""
        self._frames.clear()
        self._bytes = 0
        self._roomy.set()

    async def room(self) -> None:
        """Wait while too much waits."""
        if not self._roomy.is_set():
            await self._roomy.wait()

    async def something(self) -> None:
        """Wait until there is something to take."""
        self._something.clear()
        await self._something.wait()

    def take(self) -> bytes:
        """Return what to write now as one message; b"" when nothing waits."""
        taken: list[bytes] = []
        size = 0
        while size < WRITE_BYTES:
            while not self._frames and self._sources:
                self._pull()
            if not self._frames:
                break
            if taken and size + len(self._frames[0]) > self.frame_bytes:
                break
            taken.append(self._frames.popleft())
            size += len(taken[-1])
        self._bytes -= size
        if self._bytes <= WAITING_BYTES // 2:
            self._roomy.set()
        return b"".join(taken)

    def _pull(self) -> None:
        source = next(iter(self._sources))
        del self._sources[source]
        frames, more = source.pull()
        if more:
            self._sources[source] = None
        self.put(frames)


def in_batch(frame: ClientFrame) -> bytes:
    """Return the frame as a batch of one; batches put one after the other are one batch."""
    data = frame.SerializeToString()
    size = len(data)
    head = bytearray(b"\x0a")  # field 1, with a length
    while size > 0x7F:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    head.append(size)
    return bytes(head) + data
