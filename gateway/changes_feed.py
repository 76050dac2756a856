"""`GET /api/changes`: the change feed as server-sent events, for backends.

What `StoreService.WatchChanges` says, one message to an event. The `id` is its cursor, and where a
Store goes away the feed goes on at another one.
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
from gateway.mapping.texts import QueryReader
from gateway.open_streams import OpenStreams
from gateway.session_events import last_event_id
from gateway.store_stream import StoreStream
from gateway.tasks import dropped
from services.serving.auth import Authenticator
from services.serving.context import Call
from sessiond.errors import FieldViolation, InvalidArgument, SessiondError, Unavailable, Violations
from sessiond.mapping.showing import to_json
from sessiond.v1.store_pb2 import WatchChangesRequest, WatchChangesResponse

FILTERS = {"userId": "user_ids", "workflowId": "workflow_ids", "eventType": "event_types"}
"""What a query may name any number of times, and the field that holds it."""

_PARAMETERS = {field: name for name, field in FILTERS.items()}


class ChangesFeed:
    """Answers with what happens to all sessions. A failure that comes first is a plain problem."""

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
        self._query = QueryReader(WatchChangesRequest.DESCRIPTOR, ["cursor"], lists=FILTERS)

    async def __call__(self, exchange: Exchange) -> Response:
        """Answer; raises the `SessiondError` that the request ends with."""
        call = exchange.call = await identify(
            self._authenticator, exchange.request.headers, exchange.request_id
        )
        events = _events(self._stores, self._read(exchange), call)
        first = begun(events)
        try:
            # The first word of a feed comes at once, also where nothing happens.
            await asyncio.wait((first,), timeout=self._upstream_seconds)
            if not first.done():
                raise Unavailable
            first.result()
        except BaseException as error:
            await dropped(first)
            await events.aclose()
            if isinstance(error, InvalidArgument):
                raise _in_query_words(error) from None
            if isinstance(error, SessiondError):
                raise error from None
            raise
        return EventStream(
            events,
            first,
            self._streams,
            keep_alive_seconds=self._keep_alive_seconds,
            expires_at=call.expires_at,
        )

    def _read(self, exchange: Exchange) -> WatchChangesRequest:
        asked, found = WatchChangesRequest(), Violations()
        self._query.fill(asked, exchange.request.scope["query_string"], found)
        last = last_event_id(exchange, found)
        if last is not None:
            asked.cursor = last
        found.check()
        return asked


async def _events(
    stores: Sequence[grpc.aio.Channel], request: WatchChangesRequest, call: Call
) -> AsyncGenerator[Sequence[ServerSent], None]:
    stream = StoreStream(stores, "WatchChanges", request, WatchChangesResponse, call)
    async with aclosing(stream.responses()) as responses:
        async for response in responses:
            if response is not None:
                request.cursor = response.cursor
                kind = response.WhichOneof("change") or ""
                yield [ServerSent(kind, to_json(response), response.cursor)]


def _in_query_words(error: InvalidArgument) -> InvalidArgument:
    violations = [
        FieldViolation(_PARAMETERS.get(each.field, each.field), each.message)
        for each in error.violations
    ]
    return InvalidArgument(violations, error.detail)
