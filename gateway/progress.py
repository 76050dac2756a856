"""Whether a client reads what is written to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Progress:
    """Watches the bytes that wait in a transport, once there are more than it should hold.

    `stalled` is called when in `seconds` not one of them was read. A slow client that reads on may
    take as long as it likes.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        seconds: float,
        stalled: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._loop = loop
        self._seconds = seconds
        self._stalled = stalled
        self._waiting = 0
        self._timer: asyncio.TimerHandle | None = None

    def watch(self) -> None:
        """Begin to watch."""
        self.stop()
        self._waiting = self._transport.get_write_buffer_size()
        self._timer = self._loop.call_later(self._seconds, self._look)

    def stop(self) -> None:
        """Watch no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        if self._transport.get_write_buffer_size() < self._waiting:
            self.watch()
        else:
            self._timer = None
            self._stalled()
