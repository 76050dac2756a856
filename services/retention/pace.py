"""How many in a second: places in time, one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class Pace:
    """Lets callers go on at a rate, evenly: what was not used is lost.

    `clock` gives seconds that never go back.
    """

    def __init__(
        self,
        per_second: float,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._between = 1 / per_second
        self._clock = clock
        self._sleep = sleep
        self._next = clock()

    async def turn(self) -> None:
        """Return when it is the caller's turn."""
        now = self._clock()
        at = max(self._next, now)
        self._next = at + self._between
        if at > now:
            await self._sleep(at - now)
