"""What waits to be written to one connection: durable frames in order, and the latest of the rest.

Events, snapshots and replies stand in a queue with a bound. Tokens and presence never do: who has
some to show is marked, and asked for them when there is something to write with. So a slow reader
gets them merged, and the queue is all that can grow.

    offer --> queue --+
                      +--> take --> one write
    mark --> marked --+

When the queue is full the connection is lost to its reader: `overflow` is called once, and what
waits is dropped in favour of the farewell.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

from sessiond.session.limits import KIB, MIB

CAPACITY = MIB
"""Bytes that may wait. A reader this far behind resumes by its cursor, which costs others less."""

WRITE_BYTES = 256 * KIB
"""About how much one write carries: far below the 4 MiB that gRPC clients read by default."""

PATIENCE_SECONDS = 30.0
"""How long nothing at all may be taken while somebody waits for room; then the reader is slow."""


class Source(Protocol):
    """Something that has a latest state to show, and goes along with the queue."""

    sent_seq: int
    """The seq of the newest event of it that was taken for writing."""

    def sample(self) -> list[bytes]:
        """Return the frames that bring its reader to its latest state; [] when it is there."""


class _Waiting(NamedTuple):
    frame: bytes
    source: Source | None
    seq: int


class Outbox:
    """Frames on their way to one connection."""

    def __init__(
        self,
        overflow: Callable[[], None],
        *,
        capacity: int = CAPACITY,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        """`overflow` must end it; it is also called when nothing is taken for `patience` seconds
        though somebody waits for room.
        """
        self._overflow = overflow
        self._capacity = capacity
        self._patience = patience
        self._queue: deque[_Waiting] = deque()
        self._size = 0
        self._marked: dict[Source, None] = {}
        self._ended = False
        self._something = asyncio.Event()
        self._taken = asyncio.Event()

    @property
    def ended(self) -> bool:
        """Whether nothing more is taken."""
        return self._ended

    def offer(self, frame: bytes, source: Source | None = None, seq: int = 0) -> None:
        """Let a frame wait for its turn; never waits itself. `seq` is an event's, of the source."""
        if self._ended:
            return
        if self._size + len(frame) > self._capacity and self._queue:
            self._overflow()
            return
        self._put(frame, source, seq)

    def fits(self, size: int) -> bool:
        """Return whether so many bytes more may wait."""
        return not self._ended and self._size + size <= self._capacity

    def mark(self, source: Source) -> None:
        """Ask the source for its latest state with the next write."""
        if not self._ended:
            self._marked[source] = None
            self._something.set()

    def unmark(self, source: Source) -> None:
        """Ask it no more."""
        self._marked.pop(source, None)

    def end(self, farewell: bytes = b"", *, at_once: bool = False) -> None:
        """Take nothing more: what waits is still written, or dropped, and then the farewell."""
        if self._ended:
            return
        if at_once:
            self._queue.clear()
            self._size = 0
        self._marked.clear()
        if farewell:
            self._put(farewell, None, 0)
        self._ended = True
        self._taken.set()
        self._something.set()

    async def room(self, size: int = 0) -> None:
        """Wait until so many bytes more leave half of the queue free, or nothing waits at all.

        Whoever has much to show waits here, so that what happens meanwhile still fits.
        """
        while self._queue and not self._ended and self._size + size > self._capacity // 2:
            self._taken.clear()
            try:
                async with asyncio.timeout(self._patience):
                    await self._taken.wait()
            except TimeoutError:
                if not self._taken.is_set() and not self._ended:
                    self._overflow()

    async def take(self) -> bytes:
        """Wait for frames and return those that are there, as one message; b"" after the end."""
        taken: list[bytes] = []
        while not taken:
            while not self._queue and not self._marked:
                if self._ended:
                    return b""
                self._something.clear()
                await self._something.wait()
            taken = self._take()
        return b"".join(taken)

    def _take(self) -> list[bytes]:
        taken: list[bytes] = []
        size = 0
        while self._queue and size < WRITE_BYTES:
            frame, source, seq = self._queue.popleft()
            if source is not None and seq:
                source.sent_seq = seq
            taken.append(frame)
            size += len(frame)
        self._size -= size
        while self._marked and size < WRITE_BYTES and not self._queue:
            source = next(iter(self._marked))
            del self._marked[source]
            for frame in source.sample():
                taken.append(frame)
                size += len(frame)
        self._taken.set()
        return taken

    def _put(self, frame: bytes, source: Source | None, seq: int) -> None:
        self._queue.append(_Waiting(frame, source, seq))
        self._size += len(frame)
        self._something.set()
