"""LiveService and InstanceService over gRPC: from wire, one call, to wire."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import grpc

from services.live.rates import Rates
from services.live.registration import Registration
from services.live.room import Answer, Request, Room
from services.live.rooms import Rooms
from services.serving.context import current_identity
from sessiond import wire
from sessiond.errors import Violations
from sessiond.session.access import Identity, Role
from sessiond.session.apply import message_of
from sessiond.session.changes import Change, DeleteSession, PauseSession, ResumeSession
from sessiond.session.checks import check_op_id, check_session_id
from sessiond.session.events import OutputSubmitted
from sessiond.session.limits import Limits
from sessiond.v1 import live_pb2, live_pb2_grpc, ownership_pb2, ownership_pb2_grpc, session_pb2

Context = grpc.aio.ServicerContext[Any, Any]


class ChangeRequest(Protocol):
    """What all requests of LiveService have in common."""

    session_id: str
    op_id: str
    expected_revision: int

    def HasField(self, field_name: Any) -> bool:
        """Return whether an optional field is there."""


class Changes:
    """Takes requests for changes to the rooms.

    Every change has an operation id, a caller's or one made here, so that a fate that is unknown
    can be settled under it.
    """

    def __init__(
        self,
        rooms: Rooms,
        *,
        limits: Limits,
        users: Rates,
        services: Rates,
        new_op_id: Callable[[], str],
        answer_seconds: float,
    ) -> None:
        self.rooms = rooms
        self._limits = limits
        self._users = users
        self._services = services
        self._new_op_id = new_op_id
        self._answer_seconds = answer_seconds

    async def change(
        self, request: ChangeRequest, change: Change, context: Context
    ) -> tuple[Room, Answer]:
        """Make a change; it may raise as `Rooms.change` does, and `RateLimited`."""
        asked = self._ask(request, change)
        return await self.rooms.change(request.session_id, asked, seconds=self._seconds(context))

    async def delete(self, request: ChangeRequest, context: Context) -> None:
        """Delete a session; it may raise as `Rooms.delete` does, and `RateLimited`."""
        asked = self._ask(request, DeleteSession())
        await self.rooms.delete(request.session_id, asked, seconds=self._seconds(context))

    def _ask(self, request: ChangeRequest, change: Change) -> Request:
        identity = current_identity()
        op_id = request.op_id if request.HasField("op_id") else None
        found = Violations()
        check_session_id(request.session_id, "session_id", found)
        check_op_id(op_id, "op_id", found, limits=self._limits)
        found.check()
        self._take(identity)
        return Request(
            change,
            identity,
            op_id or self._new_op_id(),
            request.expected_revision if request.HasField("expected_revision") else None,
        )

    def _take(self, identity: Identity) -> None:
        if identity.role is Role.SERVICE:
            self._services.take(identity.subject)
        else:
            self._users.take(f"{identity.role}:{identity.subject}")

    def _seconds(self, context: Context) -> float:
        left = context.time_remaining()
        return self._answer_seconds if left is None else min(self._answer_seconds, left)


class LiveServicer(live_pb2_grpc.LiveServiceServicer):
    """Changes of sessions, one method each."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes

    async def AppendMessage(
        self, request: live_pb2.AppendMessageRequest, context: Context
    ) -> live_pb2.AppendMessageResponse:
        """Append a message."""
        room, answer = await self._changes.change(
            request, wire.append_message_from_wire(request), context
        )
        record = answer.record or await self._changes.rooms.record(room, answer.seq)
        message = message_of(record)
        assert message is not None  # an append is answered by the record of a message
        return live_pb2.AppendMessageResponse(
            message=wire.message_to_wire(message, request.session_id), seq=answer.seq
        )

    async def UpdateSession(
        self, request: live_pb2.UpdateSessionRequest, context: Context
    ) -> live_pb2.UpdateSessionResponse:
        """Change title, metadata or inputs."""
        room, answer = await self._changes.change(
            request, wire.update_session_from_wire(request), context
        )
        return live_pb2.UpdateSessionResponse(session=await self._session(room), seq=answer.seq)

    async def ApproveOutput(
        self, request: live_pb2.ApproveOutputRequest, context: Context
    ) -> live_pb2.ApproveOutputResponse:
        """Approve or reject an output."""
        room, answer = await self._changes.change(
            request, wire.approve_output_from_wire(request), context
        )
        return live_pb2.ApproveOutputResponse(session=await self._session(room), seq=answer.seq)

    async def SubmitOutput(
        self, request: live_pb2.SubmitOutputRequest, context: Context
    ) -> live_pb2.SubmitOutputResponse:
        """Submit an output for the current step."""
        room, answer = await self._changes.change(
            request, wire.submit_output_from_wire(request), context
        )
        record = answer.record or await self._changes.rooms.record(room, answer.seq)
        assert isinstance(record.event, OutputSubmitted)
        output_id = record.event.output.id
        return live_pb2.SubmitOutputResponse(
            output_id=output_id,
            output=wire.output_to_wire(room.session.outputs[output_id]),
            seq=answer.seq,
        )

    async def EditOutput(
        self, request: live_pb2.EditOutputRequest, context: Context
    ) -> live_pb2.EditOutputResponse:
        """Edit a pending output."""
        room, answer = await self._changes.change(
            request, wire.edit_output_from_wire(request), context
        )
        return live_pb2.EditOutputResponse(
            output_id=request.output_id,
            output=wire.output_to_wire(room.session.outputs[request.output_id]),
            seq=answer.seq,
        )

    async def PauseSession(
        self, request: live_pb2.PauseSessionRequest, context: Context
    ) -> live_pb2.PauseSessionResponse:
        """Pause."""
        room, answer = await self._changes.change(request, PauseSession(), context)
        return live_pb2.PauseSessionResponse(session=await self._session(room), seq=answer.seq)

    async def ResumeSession(
        self, request: live_pb2.ResumeSessionRequest, context: Context
    ) -> live_pb2.ResumeSessionResponse:
        """Resume."""
        room, answer = await self._changes.change(request, ResumeSession(), context)
        return live_pb2.ResumeSessionResponse(session=await self._session(room), seq=answer.seq)

    async def DeleteSession(
        self, request: live_pb2.DeleteSessionRequest, context: Context
    ) -> live_pb2.DeleteSessionResponse:
        """Delete."""
        await self._changes.delete(request, context)
        return live_pb2.DeleteSessionResponse()

    async def _session(self, room: Room) -> session_pb2.Session:
        session, messages = await self._changes.rooms.whole(room)
        return wire.session_to_wire(session, messages)


class InstanceServicer(ownership_pb2_grpc.InstanceServiceServicer):
    """Says who this process is, to whoever asks."""

    def __init__(self, registration: Registration) -> None:
        self._registration = registration

    async def Identify(
        self, request: ownership_pb2.IdentifyRequest, context: Context
    ) -> ownership_pb2.IdentifyResponse:
        """Name the living instance."""
        instance = self._registration.instance
        return ownership_pb2.IdentifyResponse(instance=b"" if instance is None else instance.id)
