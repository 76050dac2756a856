"""Legal holds: their part of LiveService."""

from __future__ import annotations

from typing import Any

import grpc

from services.live.changes import Changes
from services.live.history import History
from services.live.request import Answer
from services.live.room import Room
from sessiond import wire
from sessiond.standing_wire import set_hold_from_wire
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

        async def answered(room: Room, answer: Answer) -> live_pb2.SetHoldResponse:
            session, messages = await self._history.whole(room)
            return live_pb2.SetHoldResponse(
                session=wire.session_to_wire(session, messages), seq=answer.seq
            )

        change = set_hold_from_wire(request)
        return await self._changes.carry(request, change, context, answered)
