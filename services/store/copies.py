"""Sessions that begin as copies: forks and imports, their part of StoreService."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc

from services.store.repository import Repository
from sessiond.errors import RouteNotFound
from sessiond.session.limits import Limits
from sessiond.v1 import store_pb2 as pb
from sessiond.v1.store_pb2_grpc import StoreServiceServicer

Context = grpc.aio.ServicerContext[Any, Any]


class CopiesServicer(StoreServiceServicer):
    """Makes copies."""

    _repository: Repository
    _limits: Limits

    async def ForkSession(
        self, request: pb.ForkSessionRequest, context: Context
    ) -> pb.ForkSessionResponse:
        """Copy the first events of a session."""
        raise RouteNotFound

    async def ImportSession(
        self, request_iterator: AsyncIterator[pb.ImportSessionRequest], context: Context
    ) -> pb.ImportSessionResponse:
        """Store an exported session."""
        raise RouteNotFound
