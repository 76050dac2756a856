"""`GET /api/sessions/{sessionId}/events`: one session's stream as server-sent events.

The same frames as over a WebSocket, one to an event. The `id` is the cursor, on what can be resumed
from: events, and the last part of a snapshot.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import orjson
from starlette.responses import Response

from gateway.callers import identify
from gateway.event_stream import EventStream, ServerSent, begun
from gateway.exchange import Exchange
from gateway.farewell import Farewell
from gateway.following import Following
from gateway.lives import Lives
from gateway.mapping.frames import show_frame
from gateway.mapping.texts import QueryReader
from gateway.open_streams import OpenStreams
from gateway.rest import NOT_UTF8
from gateway.tasks import dropped
from services.serving import context
from services.serving.auth import Authenticator
from sessiond.client.link import Link
from sessiond.errors import Unavailable, Violations
from sessiond.session.checks import check_session_id
from sessiond.v1.live_pb2 import Attach

LAST_EVENT_ID = "Last-Event-ID"

MOST_TAIL = 1000


class SessionEvents:
    """Answers with a session's events. A failure that comes first is a plain problem."""

    def __init__(
        self,
        lives: Lives,
        authenticator: Authenticator,
        streams: OpenStreams,
        *,
        upstream_seconds: float,
        keep_alive_seconds: float,
    ) -> None:
        self._lives = lives
        self._authenticator = authenticator
        self._streams = streams
        self._upstream_seconds = upstream_seconds
        self._keep_alive_seconds = keep_alive_seconds
        self._query = QueryReader(Attach.DESCRIPTOR, ["cursor", "tail"])

    async def __call__(self, exchange: Exchange) -> Response:
        """Answer; raises the `SessiondError` that the request ends with."""
        call = exchange.call = await identify(
            self._authenticator, exchange.request.headers, exchange.request_id
        )
        asked = self._read(exchange)
        link = Link(
            asked.session_id,
            cursor=asked.cursor if asked.HasField("cursor") else None,
            tail=asked.tail if asked.HasField("tail") else None,
        )
        following = Following(link, self._lives, call, seconds=self._upstream_seconds)
        events = _events(following)
        with context.during(call):
            first = begun(events)
        try:
            await asyncio.wait((first,), timeout=self._upstream_seconds)
            if not first.done():
                raise Unavailable
            first.result()
        except BaseException as error:
            await dropped(first)
            await events.aclose()
            if isinstance(error, Farewell):
                raise error.failure from None
            raise
        return EventStream(
            events,
            first,
            self._streams,
            keep_alive_seconds=self._keep_alive_seconds,
            expires_at=call.expires_at,
        )

    def _read(self, exchange: Exchange) -> Attach:
        asked, found = Attach(), Violations()
        session_id = exchange.parameters["session_id"]
        if session_id is None:
            found.add("sessionId", NOT_UTF8)
        else:
            check_session_id(session_id, "sessionId", found)
            asked.session_id = session_id
        self._query.fill(asked, exchange.request.scope["query_string"], found)
        if not 0 <= asked.tail <= MOST_TAIL:
            found.add("tail", f"must be 0 to {MOST_TAIL}")
        last = last_event_id(exchange, found)
        if last is not None:
            asked.cursor = last
        found.check()
        return asked


def last_event_id(exchange: Exchange, found: Violations) -> str | None:
    """Return the place that a reader who comes back names: it is newer than the one in the URL."""
    given = exchange.request.headers.getlist(LAST_EVENT_ID)
    if len(given) > 1:
        found.add(LAST_EVENT_ID, "must be given once")
    return given[0] if given and given[0] else None


async def _events(following: Following) -> AsyncGenerator[Sequence[ServerSent], None]:
    async with aclosing(following.frames()) as batches:
        async for shown in batches:
            told = []
            for each in shown:
                if each.frame.WhichOneof("frame") != "welcome":
                    kind, json = show_frame(each.frame)
                    told.append(ServerSent(kind, orjson.dumps(json), each.cursor))
            if told:
                yield told
