"""The streams that browsers hold open, so that a gateway that stops can say goodbye to each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from prometheus_client import CollectorRegistry, Gauge

from gateway.farewell import Farewell
from sessiond.errors import Draining

RETRY_SECONDS = 0.1
"""When those who were sent away may come back: others of us are there already."""


class OpenStreams:
    """All open streams, counted as `sessiond_http_streams_open` by kind."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._ends: set[Callable[[Farewell], None]] = set()
        self._none = asyncio.Event()
        self._none.set()
        self._draining = False
        self._open = Gauge(
            "sessiond_http_streams_open",
            "WebSockets and event streams that are open.",
            ("kind",),
            registry=registry,
        )

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._ends)

    @contextmanager
    def joined(self, kind: str, end: Callable[[Farewell], None]) -> Iterator[None]:
        """Count a stream while the block runs; `end` is called when it should end.

        Raises:
            Draining: this gateway takes no more streams.
        """
        if self._draining:
            raise Draining(retry_after=RETRY_SECONDS)
        self._ends.add(end)
        self._none.clear()
        try:
            with self._open.labels(kind).track_inprogress():
                yield
        finally:
            self._ends.discard(end)
            if not self._ends:
                self._none.set()

    async def drain(self, seconds: float) -> None:
        """Take no more streams, end all that there are, and wait so long for them at most."""
        self._draining = True
        for end in tuple(self._ends):
            end(Farewell.of(Draining(retry_after=RETRY_SECONDS)))
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._none.wait()
