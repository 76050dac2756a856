"""With whom a session is shared: its part of StoreService."""

from __future__ import annotations

from typing import Any

import grpc

from services.store.repository import Repository
from sessiond.errors import RouteNotFound
from sessiond.session.limits import Limits
from sessiond.v1 import store_pb2 as pb
from sessiond.v1.store_pb2_grpc import StoreServiceServicer

Context = grpc.aio.ServicerContext[Any, Any]


class MembersServicer(StoreServiceServicer):
    """Reads members and links."""

    _repository: Repository
    _limits: Limits

    async def ListMembers(
        self, request: pb.ListMembersRequest, context: Context
    ) -> pb.ListMembersResponse:
        """List members and links."""
        raise RouteNotFound
