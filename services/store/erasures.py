"""Erasures of users: their part of StoreService."""

from __future__ import annotations

from typing import Any

import grpc

from services.store.repository import Repository
from sessiond.errors import RouteNotFound
from sessiond.session.limits import Limits
from sessiond.v1 import store_pb2 as pb
from sessiond.v1.store_pb2_grpc import StoreServiceServicer

Context = grpc.aio.ServicerContext[Any, Any]


class ErasuresServicer(StoreServiceServicer):
    """Takes erasures, and shows receipts."""

    _repository: Repository
    _limits: Limits

    async def EraseUser(
        self, request: pb.EraseUserRequest, context: Context
    ) -> pb.EraseUserResponse:
        """Ask for an erasure."""
        raise RouteNotFound

    async def GetErasure(
        self, request: pb.GetErasureRequest, context: Context
    ) -> pb.GetErasureResponse:
        """Say how an erasure stands."""
        raise RouteNotFound
