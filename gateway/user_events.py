"""`GET /api/users/{userId}/events`: a user's list as it changes, as server-sent events.

What `StoreService.WatchSessions` says, one message to an event. The `id` is its cursor, and where a
Store goes away the watch goes on at another one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import grpc
from starlette.responses import Response

from gateway.callers import identify
from gateway.event_stream import EventStream, ServerSent, begun
from gateway.exchange import Exchange
from gateway.mapping.texts import QueryReader, TextReader
from gateway.open_streams import OpenStreams
from gateway.problems import in_http_words
from gateway.rest import NOT_UTF8
from gateway.session_events import last_event_id
from gateway.store_stream import StoreStream
from gateway.tasks import dropped
from services.serving.auth import Authenticator
from services.serving.context import Call
from sessiond.errors import SessiondError, Unavailable, Violations
from sessiond.mapping.showing import to_json
from sessiond.v1.store_pb2 import WatchSessionsRequest, WatchSessionsResponse

FIRST_SECONDS = 1.0
"""After how long a watch that says nothing is taken for one that has nothing to say."""

_KIND = {
    field.name: field.json_name
    for field in WatchSessionsResponse.DESCRIPTOR.oneofs_by_name["change"].fields
}


class UserEvents:
    """Answers with the changes of a user's list. A failure that comes first is a plain problem."""

    def __init__(
        self,
        stores: Sequence[grpc.aio.Channel],
        authenticator: Authenticator,
        streams: OpenStreams,
        *,
        upstream_seconds: float,
        keep_alive_seconds: float,
    ) -> None:
        self._stores = stores
        self._authenticator = authenticator
        self._streams = streams
        self._upstream_seconds = upstream_seconds
        self._keep_alive_seconds = keep_alive_seconds
        fields = WatchSessionsRequest.DESCRIPTOR.fields_by_name
        self._user_id = TextReader(fields["user_id"])
        self._query = QueryReader(WatchSessionsRequest.DESCRIPTOR, ["status", "cursor"])

    async def __call__(self, exchange: Exchange) -> Response:
        """Answer; raises the `SessiondError` that the request ends with."""
        call = exchange.call = await identify(
            self._authenticator, exchange.request.headers, exchange.request_id
        )
        watch = _Watch(self._stores, self._read(exchange), call)
        events = watch.events()
        first = begun(events)
        try:
            await asyncio.wait((first,), timeout=FIRST_SECONDS)
            if not first.done() and watch.failures:
                await asyncio.wait((first,), timeout=self._upstream_seconds)
                if not first.done():
                    raise Unavailable
            if first.done():
                first.result()
        except BaseException as error:
            await dropped(first)
            await events.aclose()
            if isinstance(error, SessiondError):
                raise in_http_words(error, WatchSessionsRequest.DESCRIPTOR) from None
            raise
        return EventStream(
            events,
            first,
            self._streams,
            keep_alive_seconds=self._keep_alive_seconds,
            expires_at=call.expires_at,
        )

    def _read(self, exchange: Exchange) -> WatchSessionsRequest:
        asked, found = WatchSessionsRequest(), Violations()
        user_id = exchange.parameters["user_id"]
        if user_id is None:
            found.add("userId", NOT_UTF8)
        else:
            self._user_id.fill(asked, user_id, "userId", found)
        self._query.fill(asked, exchange.request.scope["query_string"], found)
        last = last_event_id(exchange, found)
        if last is not None:
            asked.cursor = last
        found.check()
        return asked


class _Watch:
    """One watch, over one Store after another."""

    def __init__(
        self, stores: Sequence[grpc.aio.Channel], request: WatchSessionsRequest, call: Call
    ) -> None:
        self._request = request
        self._stream = StoreStream(stores, "WatchSessions", request, WatchSessionsResponse, call)
        self._listing = False

    @property
    def failures(self) -> int:
        """How many in a row, since a Store last said something."""
        return self._stream.failures

    async def events(self) -> AsyncGenerator[Sequence[ServerSent], None]:
        """Yield what is told, without an end.

        Raises:
            SessiondError: the end, and no other Store will help.
        """
        async with aclosing(self._stream.responses()) as responses:
            async for response in responses:
                if response is not None:
                    self._note(response)
                    yield [_shown(response)]
                elif self._listing:
                    # The next Store begins anew, and its revision is another one.
                    self._listing = False
                    reset = WatchSessionsResponse(reset=WatchSessionsResponse.Reset())
                    yield [_shown(reset)]

    def _note(self, response: WatchSessionsResponse) -> None:
        if response.cursor:
            self._request.cursor = response.cursor
            self._listing = False
        elif response.WhichOneof("change") == "reset":
            self._request.ClearField("cursor")
            self._listing = False
        else:
            self._listing = True


def _shown(response: WatchSessionsResponse) -> ServerSent:
    kind = _KIND[response.WhichOneof("change") or ""]
    return ServerSent(kind, to_json(response), response.cursor)
