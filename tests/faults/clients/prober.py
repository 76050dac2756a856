"""How long a session takes to go on after something befell it: changes asked for to find out."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any

from tests.faults.clients.callers import Caller
from tests.faults.clients.notebook import now

_PAUSE_SECONDS = 0.05


class Prober:
    """Asks for changes of its own, which stand in the history as all others do.

    Attributes:
        times: by cause, the seconds of each session that was concerned.
        asking: what it waits for.
    """

    def __init__(self, caller_past: Callable[[Collection[str]], Caller]) -> None:
        """Take what makes a caller that first asks at others than the parts of these names."""
        self._caller_past = caller_past
        self.times: defaultdict[str, list[float]] = defaultdict(list)
        self.asking: set[asyncio.Task[None]] = set()

    def befell(
        self,
        cause: str,
        sessions: Iterable[str],
        victims: Collection[str],
        *,
        ago: float = 0.0,
    ) -> None:
        """Measure how long each of these sessions takes to its next change, asked for now.

        `ago` says how many seconds ago it was that something befell it.
        """
        began = now() - round(ago * 1e9)
        for session in sessions:
            self._begin(self._first(cause, session, began, self._caller_past(victims)))

    @asynccontextmanager
    async def during(
        self, cause: str, sessions: Iterable[str], victims: Collection[str]
    ) -> AsyncIterator[None]:
        """Measure the longest wait of each of these sessions while the block runs."""
        over = asyncio.Event()
        for session in sessions:
            self._begin(self._longest(cause, session, over, self._caller_past(victims)))
        try:
            yield
        finally:
            over.set()

    def _begin(self, asking: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(asking)
        self.asking.add(task)

    async def _first(self, cause: str, session: str, began: int, caller: Caller) -> None:
        if await caller.touch(session) is not None:
            self.times[cause].append((now() - began) / 1e9)

    async def _longest(self, cause: str, session: str, over: asyncio.Event, caller: Caller) -> None:
        longest = 0
        while not over.is_set():
            began = now()
            if await caller.touch(session) is None:
                return
            longest = max(longest, now() - began)
            await asyncio.sleep(_PAUSE_SECONDS)
        self.times[cause].append(longest / 1e9)
