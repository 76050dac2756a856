"""The change feed: its part of StoreService."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any, Final

import grpc

from services.serving.context import current_call, current_identity
from services.store.feed_query import FeedQuery
from services.store.feeding import Feeding
from sessiond.errors import Violations
from sessiond.session.access import check_backend
from sessiond.session.checks import check_user_id
from sessiond.session.limits import Limits
from sessiond.v1 import store_pb2 as pb
from sessiond.v1.event_pb2 import Event
from sessiond.v1.store_pb2_grpc import StoreServiceServicer

Context = grpc.aio.ServicerContext[Any, Any]

MOST_VALUES: Final = 64
"""Values that one filter may have."""

_KINDS: Final = frozenset(field.name for field in Event.DESCRIPTOR.oneofs_by_name["event"].fields)


class FeedServicer(StoreServiceServicer):
    """Follows all changes."""

    _feeding: Feeding
    _limits: Limits
    _wall_clock: Callable[[], float]

    async def WatchChanges(
        self, request: pb.WatchChangesRequest, context: Context
    ) -> AsyncGenerator[pb.WatchChangesResponse, None]:
        """Follow all changes."""
        check_backend(current_identity())
        query = self._query(request)
        call = current_call()
        expires_at = float("inf") if call is None else call.expires_at
        feed = self._feeding.follow(
            query, cursor=request.cursor, seconds=expires_at - self._wall_clock()
        )
        async with aclosing(feed) as responses:
            async for response in responses:
                yield response

    def _query(self, request: pb.WatchChangesRequest) -> FeedQuery:
        found = Violations()
        user_ids = _values(request.user_ids, "user_ids", found)
        for user_id in sorted(user_ids):
            check_user_id(user_id, "user_ids", found, limits=self._limits)
        workflow_ids = _values(request.workflow_ids, "workflow_ids", found)
        kinds = _values(request.event_types, "event_types", found)
        if kinds - _KINDS:
            found.add("event_types", "must be kinds of events: " + ", ".join(sorted(_KINDS)))
        found.check()
        return FeedQuery(user_ids, workflow_ids, kinds)


def _values(given: Sequence[str], field: str, found: Violations) -> frozenset[str]:
    if len(given) > MOST_VALUES:
        found.add(field, f"must be at most {MOST_VALUES}")
        return frozenset()
    return frozenset(given)
