"""The lines that are logged, as a test waits for and reads them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger


class Lines(list[dict[str, Any]]):
    """What was logged of calls to the echo server, oldest first.

    Servers of other tests may stand in this process, and their readiness is asked for all the time.
    """

    def __init__(self) -> None:
        super().__init__()
        self._more = asyncio.Event()

    def take(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        """Keep one line, and let nobody print it."""
        if str(event.get("method")).startswith("/test."):
            self.append({**event, "level": method})
            self._more.set()
        raise structlog.DropEvent

    async def reach(self, number: int) -> None:
        """Return when there are that many: an answer arrives before the line about it."""
        async with asyncio.timeout(5):
            while len(self) < number:
                self._more.clear()
                await self._more.wait()


@contextmanager
def logged() -> Iterator[Lines]:
    """Collect the lines of calls inside the block."""
    lines = Lines()
    before = structlog.get_config()
    structlog.configure(processors=[lines.take])
    try:
        yield lines
    finally:
        structlog.configure(processors=before["processors"])
