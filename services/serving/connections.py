"""A connection that is kept: opened before it is needed, and missed as soon as it is lost.

    connecting --> up --lost--> connecting again, at once --> up
        |                              |
        +------------refused-----------+--> told, and connecting again after a pause

A process that is stopped still accepts connections, so nobody is told of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import grpc

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
"""Between two tellings that the same address refuses; the pause doubles from the first on."""

_READY = grpc.ChannelConnectivity.READY
_REFUSED = grpc.ChannelConnectivity.TRANSIENT_FAILURE


class Connection:
    """A channel to one address.

    Its backoff begins anew with each connection that stood, so that a lost one is dialled again
    within milliseconds.
    """

    def __init__(
        self, channel: grpc.aio.Channel, on_refused: Callable[[], Awaitable[None]]
    ) -> None:
        """Take a channel; `on_refused` is awaited when nobody can be reached through it."""
        self.channel = channel
        self._on_refused = on_refused
        self._following: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None

    @property
    def kept(self) -> bool:
        """Whether it is kept connected."""
        return self._following is not None

    @property
    def refused(self) -> bool:
        """Whether nobody was there at the last dial, and the next one has yet to come."""
        return self.channel.get_state() is _REFUSED

    def keep(self) -> None:
        """Keep it connected from now on, and not close it any more."""
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None
        if self._following is None:
            self._following = asyncio.create_task(self._follow(), name="connection")

    def let_go(self, seconds: float, on_closed: Callable[[], None]) -> None:
        """Keep it no longer, and close it after so many seconds, unless it is wanted again.

        `on_closed` is called just before that. Who still uses it then is cut off.
        """
        if self._following is not None:
            self._following.cancel()
            self._following = None
        if self._closing is not None:
            self._closing.cancel()
        self._closing = asyncio.create_task(self._close_after(seconds, on_closed), name="let go")

    async def close(self) -> None:
        """Close it now."""
        tasks = [each for each in (self._following, self._closing) if each is not None]
        for task in tasks:
            task.cancel()
        # Before the channel: a wait for its next state does not end well on a closed one.
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.channel.close()

    async def _close_after(self, seconds: float, on_closed: Callable[[], None]) -> None:
        await asyncio.sleep(seconds)
        on_closed()
        await self.channel.close()

    async def _follow(self) -> None:
        loop = asyncio.get_running_loop()
        told_at, pause = float("-inf"), FIRST_PAUSE_SECONDS
        while True:
            state = self.channel.get_state(try_to_connect=True)
            if state is _READY:
                told_at, pause = float("-inf"), FIRST_PAUSE_SECONDS
            elif state is _REFUSED and loop.time() >= told_at + pause:
                pause = (
                    FIRST_PAUSE_SECONDS if told_at < 0 else min(2 * pause, LONGEST_PAUSE_SECONDS)
                )
                await self._on_refused()
                told_at = loop.time()
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout_at(told_at + pause if state is _REFUSED else None):
                    await self.channel.wait_for_state_change(state)
