"""The change feed: its part of StoreService."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import grpc

from services.store.repository import Repository
from sessiond.errors import RouteNotFound
from sessiond.session.limits import Limits
from sessiond.v1 import store_pb2 as pb
from sessiond.v1.store_pb2_grpc import StoreServiceServicer

Context = grpc.aio.ServicerContext[Any, Any]


class FeedServicer(StoreServiceServicer):
    """Follows all changes."""

    _repository: Repository
    _limits: Limits

    def WatchChanges(
        self, request: pb.WatchChangesRequest, context: Context
    ) -> AsyncGenerator[pb.WatchChangesResponse, None]:
        """Follow all changes."""
        raise RouteNotFound
