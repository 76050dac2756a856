"""Legal holds: their part of LiveService."""

from __future__ import annotations

from typing import Any

import grpc

from services.live.changes import Changes
from services.live.history import History
from sessiond.errors import RouteNotFound
from sessiond.v1 import live_pb2, live_pb2_grpc

Context = grpc.aio.ServicerContext[Any, Any]


class HoldServicer(live_pb2_grpc.LiveServiceServicer):
    """Begins and ends holds."""

    _changes: Changes
    _history: History

    async def SetHold(
        self, request: live_pb2.SetHoldRequest, context: Context
    ) -> live_pb2.SetHoldResponse:
        """Begin or end a hold."""
        raise RouteNotFound
