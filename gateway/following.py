"""One session followed upstream for one reader, over as many streams as that takes.

    choose a Live --> hello, attach --> frames --> frames --> ...
         ^                                            |
         +---- pause ---- lost, moved, sent away -----+--> a farewell that is final

The link knows what the reader has and what has no reply yet; here are its streams, and the pauses
between them. While the reader stays there is no end to the trying.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable

import structlog

from gateway.farewell import Farewell
from gateway.live_stream import FRAME_BYTES, LiveStream
from gateway.lives import Lives
from gateway.pauses import pause
from gateway.visit import Shown, Visit
from services.serving.context import Call
from sessiond.client.link import Link, State
from sessiond.errors import (
    PayloadTooLarge,
    RateLimited,
    SessiondError,
    SlowReader,
    Unauthenticated,
    Unavailable,
)
from sessiond.v1.live_pb2 import ClientFrame, Close, Goaway, Hello, Welcome

UNANSWERED_BYTES = 4 * 1024 * 1024
"""Changes of one reader that have no reply yet. More are refused: they wait in our memory."""

_TROUBLE = 8
"""Failures in a row after which our log hears of it."""

_log = structlog.get_logger(__name__)


class Following:
    """One attached session. `frames` is to be read by one task, once.

    `seconds` is how long a Live may take to say anything before another one is asked.
    """

    def __init__(
        self,
        link: Link,
        lives: Lives,
        call: Call,
        *,
        seconds: float,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.call = call
        self.welcome: Welcome | None = None
        """What the first Live said; None before that."""
        self._link = link
        self._lives = lives
        self._seconds = seconds
        self._sleep = sleep
        self._jitter = jitter
        self._stream: LiveStream | None = None
        self._leaving = False
        self._sizes: dict[str, int] = {}
        self._held = 0

    @property
    def cursor(self) -> str | None:
        """Where the reader stands."""
        return self._link.cursor

    # --- what the reader says ----------------------------------------------------------------

    def say(self, frame: ClientFrame, op_id: str) -> None:
        """Take a change, token or presence. A change has one reply, over whatever streams.

        Raises:
            SessiondError: it cannot be taken, and nothing was done.
        """
        size = frame.ByteSize()
        if size > FRAME_BYTES:
            raise PayloadTooLarge(f"A frame may have at most {FRAME_BYTES} bytes.")
        if op_id and op_id not in self._sizes and self._held + size > UNANSWERED_BYTES:
            raise RateLimited("Too much waits for its reply.", retry_after=1.0)
        writes = self._link.send(frame)
        if op_id and op_id not in self._sizes:
            self._sizes[op_id] = size
            self._held += size
        if self._stream is not None:
            self._stream.say(writes)

    async def room(self) -> None:
        """Wait until little waits to be written: whoever sends more than Live reads is not read."""
        if self._stream is not None:
            await self._stream.room()

    def refresh(self, call: Call) -> None:
        """Go on under a fresh token of the same caller."""
        self.call = call
        if self._stream is not None:
            self._stream.say([ClientFrame(hello=Hello(token=call.token))])

    def leave(self) -> bool:
        """Say goodbye; return whether `frames` ends by itself, with the stream."""
        self._leaving = True
        if self._stream is None or self._link.state is not State.ATTACHED:
            return False
        self._stream.say([ClientFrame(close=Close())])
        return True

    # --- what the reader hears ---------------------------------------------------------------

    async def frames(self) -> AsyncGenerator[list[Shown], None]:
        """Yield frames as they come, those that came together in one list; never an empty one.

        It ends by itself only after `leave`.

        Raises:
            Farewell: the end, and no stream will help.
        """
        failures, owner = 0, ""
        while True:
            visit = Visit(self._link, first=self.welcome is None)
            token = self.call.token
            try:
                async with self._lives.stream(
                    self._link.session_id, self.call.metadata(), failures=failures, owner=owner
                ) as stream:
                    self._stream = stream
                    stream.say([ClientFrame(hello=Hello()), self._link.attach()])
                    while not visit.over:
                        heard = await self._hear(stream, visit)
                        if heard:
                            yield heard
            except SessiondError as error:
                visit.broke(error)
            finally:
                self._stream = None
                self._link.lost()
            if self._leaving:
                return
            self._judge(visit.goaway, token)
            failures = 0 if visit.was_stable else failures + 1
            owner = visit.goaway.owner
            if failures == _TROUBLE:
                _log.warning("no Live for a session", reason=visit.goaway.reason)
            asked = visit.goaway.retry_after_ms / 1000
            await self._sleep(pause(failures, self._jitter(), least=asked))

    async def _hear(self, stream: LiveStream, visit: Visit) -> list[Shown]:
        try:
            async with asyncio.timeout(None if visit.stands else self._seconds):
                message = await stream.read()
        except TimeoutError:
            raise Unavailable from None
        if message is None:
            raise Unavailable
        heard, writes = visit.hear(message)
        stream.say(writes)
        for each in heard:
            if each.frame.WhichOneof("frame") == "reply":
                self._held -= self._sizes.pop(each.frame.reply.op_id, 0)
        if visit.welcome is not None:
            self.welcome = visit.welcome
        return heard

    def _judge(self, goaway: Goaway, token: str) -> None:
        """Return if another stream may help.

        Raises:
            Farewell: none will.
        """
        if goaway.reason == Unauthenticated.reason and self.call.token != token:
            return  # the fresh token crossed with the end of the old one
        # Who does not read is told so, and comes back when it can.
        if not goaway.reconnect or goaway.reason == SlowReader.reason:
            raise Farewell(goaway)
