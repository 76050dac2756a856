"""Going back: its part of LiveService."""

from __future__ import annotations

from typing import Any

import grpc

from services.live.changes import Changes
from services.live.history import History
from sessiond.errors import RouteNotFound
from sessiond.v1 import live_pb2, live_pb2_grpc

Context = grpc.aio.ServicerContext[Any, Any]


class RewindServicer(live_pb2_grpc.LiveServiceServicer):
    """Rewinds sessions."""

    _changes: Changes
    _history: History

    async def RewindSession(
        self, request: live_pb2.RewindSessionRequest, context: Context
    ) -> live_pb2.RewindSessionResponse:
        """Rewind."""
        raise RouteNotFound
