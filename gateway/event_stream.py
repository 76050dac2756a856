"""Server-sent events: a response that goes on for as long as there is something to tell.

Keep-alives are comments. The last event of a stream that ends is a `goaway`, which says why and
whether to come back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

import orjson
import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.farewell import Farewell
from gateway.mapping.frames import show_frame
from gateway.open_streams import OpenStreams
from gateway.tasks import dropped, until_one_ends
from sessiond.errors import Internal, SessiondError, Unauthenticated
from sessiond.mapping.showing import one_line
from sessiond.v1.live_pb2 import ServerFrame

RETRY_MS = 1000
"""After how long a browser's own client comes back to an end that it was not told of."""

MEDIA_TYPE = "text/event-stream"

_LONGEST_WAIT = 1e6

_log = structlog.get_logger(__name__)


class ServerSent(NamedTuple):
    """One event: its kind, its JSON, and where its reader stands after it; "" for no such place."""

    kind: str
    data: bytes
    id: str = ""

    def encoded(self) -> bytes:
        """Return the lines of the event."""
        place = f"id: {self.id}\n" if self.id else ""
        return f"event: {self.kind}\n{place}data: ".encode() + one_line(self.data) + b"\n\n"


def goaway(farewell: Farewell) -> ServerSent:
    """Return the last event of a stream."""
    kind, shown = show_frame(ServerFrame(goaway=farewell.goaway))
    return ServerSent(kind, orjson.dumps(shown))


Events = AsyncGenerator[Sequence[ServerSent], None]
"""Yields events, those that came together at once; may raise the failure that it ends with."""


class EventStream(Response):
    """The answer that shows events until they end, the token expires or the client goes.

    `first` is already under way to the first of the `events`.
    """

    def __init__(
        self,
        events: Events,
        first: asyncio.Task[Sequence[ServerSent]],
        streams: OpenStreams,
        *,
        keep_alive_seconds: float,
        expires_at: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        # A response without a body yet: its length is not known.
        self.status_code = 200
        self.background = None
        self.media_type = MEDIA_TYPE
        self.init_headers({"X-Accel-Buffering": "no"})
        self._events = events
        self._first = first
        self._streams = streams
        self._keep_alive_seconds = keep_alive_seconds
        self._expires_at = expires_at
        self._clock = clock
        self._ended: asyncio.Future[Farewell] = asyncio.get_running_loop().create_future()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until the end."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        last = b""
        try:
            if scope["method"] != "HEAD":
                last = await self._show(receive, send)
        finally:
            await dropped(self._first)
            await self._events.aclose()
        await send({"type": "http.response.body", "body": last, "more_body": False})

    async def _show(self, receive: Receive, send: Send) -> bytes:
        """Send events; return what to say last."""
        try:
            with self._streams.joined("events", self._end):
                await until_one_ends(self._await_end(), self._tell(send), _disconnected(receive))
        except Farewell as farewell:
            return goaway(farewell).encoded()
        except SessiondError as error:
            return goaway(Farewell.of(error)).encoded()
        except Exception as error:
            _log.error("an event stream broke", exc_info=error)
            return goaway(Farewell.of(Internal())).encoded()
        return b""

    async def _tell(self, send: Send) -> None:
        await _send(send, f"retry: {RETRY_MS}\n\n".encode())
        pending = self._first
        try:
            while True:
                done, _ = await asyncio.wait((pending,), timeout=self._keep_alive_seconds)
                if not done:
                    await _send(send, b":\n\n")
                    continue
                await _send(send, _joined(pending.result()))
                pending = asyncio.create_task(_next(self._events))
        except StopAsyncIteration:
            return
        finally:
            await dropped(pending)

    async def _await_end(self) -> None:
        """Return never: raise why the stream ends, be it by another's word or by its token."""
        while (left := self._expires_at - self._clock()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, _LONGEST_WAIT)):
                    raise await asyncio.shield(self._ended)
        raise Unauthenticated("The token has expired.")

    def _end(self, farewell: Farewell) -> None:
        if not self._ended.done():
            self._ended.set_result(farewell)


def begun(events: Events) -> asyncio.Task[Sequence[ServerSent]]:
    """Return the task that is under way to the first of the events."""
    return asyncio.create_task(_next(events), name="events")


async def _next(events: Events) -> Sequence[ServerSent]:
    return await anext(events)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


def _joined(events: Iterable[ServerSent]) -> bytes:
    return b"".join(event.encoded() for event in events)
