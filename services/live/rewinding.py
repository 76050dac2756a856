"""Going back: its part of LiveService."""

from __future__ import annotations

from typing import Any

import grpc

from services.live.changes import Changes
from services.live.history import History
from services.live.request import Answer
from services.live.room import Room
from sessiond import standing_wire, wire
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

        async def answered(room: Room, answer: Answer) -> live_pb2.RewindSessionResponse:
            session, messages = await self._history.whole(room)
            shown = wire.session_to_wire(session, messages)
            return live_pb2.RewindSessionResponse(session=shown, seq=answer.seq)

        change = standing_wire.rewind_from_wire(request)
        return await self._changes.carry(request, change, context, answered)
