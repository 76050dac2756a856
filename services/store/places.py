"""How much goes on at the same time: of one caller, and of all together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from sessiond.errors import RateLimited, Unavailable

_RETRY_SECONDS: Final = 1.0


class OneEach:
    """One place for each caller."""

    def __init__(self) -> None:
        self._inside: set[Hashable] = set()

    @contextmanager
    def place(self, caller: Hashable) -> Iterator[None]:
        """Hold the caller's place during the block.

        Raises:
            RateLimited: another call of theirs holds it.
        """
        if caller in self._inside:
            raise RateLimited(retry_after=_RETRY_SECONDS)
        self._inside.add(caller)
        try:
            yield
        finally:
            self._inside.discard(caller)


class Places:
    """So many places for all callers; so many more wait for one, in order."""

    def __init__(self, places: int, *, waiting: int) -> None:
        self._places = asyncio.Semaphore(places)
        self._most = waiting
        self._waiting = 0

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold a place during the block, once there is one.

        Raises:
            Unavailable: as many wait as may.
        """
        if self._places.locked() and self._waiting >= self._most:
            raise Unavailable(retry_after=_RETRY_SECONDS)
        self._waiting += 1
        try:
            await self._places.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._places.release()
