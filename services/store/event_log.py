"""The history of a session as it is exported: its part of StoreService."""

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


class EventLogServicer(StoreServiceServicer):
    """Reads events."""

    _repository: Repository
    _limits: Limits

    def ReadHistory(
        self, request: pb.ReadHistoryRequest, context: Context
    ) -> AsyncGenerator[pb.ReadHistoryResponse, None]:
        """Read events in order."""
        raise RouteNotFound
