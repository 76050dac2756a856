"""LiveService and InstanceService over gRPC: from wire, one call, to wire."""

from __future__ import annotations

from typing import Any

import grpc

from services.live.changes import Changes
from services.live.history import History
from services.live.holding import HoldServicer
from services.live.joins import Guesses
from services.live.registration import Registration
from services.live.request import Answer
from services.live.rewinding import RewindServicer
from services.live.room import Room
from services.live.sharing import SharingServicer
from services.live.streams import Streams
from sessiond import wire
from sessiond.errors import IdempotencyMismatch, OutputNotFound
from sessiond.session.apply import message_of
from sessiond.session.changes import DeleteSession, PauseSession, ResumeSession
from sessiond.session.events import OutputEdited, OutputSubmitted
from sessiond.session.state import Output
from sessiond.v1 import live_pb2, live_pb2_grpc, ownership_pb2, ownership_pb2_grpc, session_pb2

Context = grpc.aio.ServicerContext[Any, Any]


class LiveServicer(
    SharingServicer, RewindServicer, HoldServicer, live_pb2_grpc.LiveServiceServicer
):
    """Changes of sessions, one method each."""

    def __init__(
        self, changes: Changes, history: History, streams: Streams, guesses: Guesses
    ) -> None:
        self._changes = changes
        self._history = history
        self._streams = streams
        self._guesses = guesses

    def Connect(self, request_iterator: Any, context: Context) -> Any:
        """Follow and change sessions; `Streams.take_calls` takes these calls instead, as bytes."""
        return self._streams.connect(request_iterator, context)

    async def AppendMessage(
        self, request: live_pb2.AppendMessageRequest, context: Context
    ) -> live_pb2.AppendMessageResponse:
        """Append a message."""

        async def answered(room: Room, answer: Answer) -> live_pb2.AppendMessageResponse:
            record = answer.record or await self._history.record(room, answer.seq)
            message = message_of(record)
            if message is None:  # an imported record tells of another change than its hash
                raise IdempotencyMismatch
            return live_pb2.AppendMessageResponse(
                message=wire.message_to_wire(message, request.session_id), seq=answer.seq
            )

        change = wire.append_message_from_wire(request)
        return await self._changes.carry(request, change, context, answered)

    async def UpdateSession(
        self, request: live_pb2.UpdateSessionRequest, context: Context
    ) -> live_pb2.UpdateSessionResponse:
        """Change title, metadata or inputs."""

        async def answered(room: Room, answer: Answer) -> live_pb2.UpdateSessionResponse:
            session = await self._session(room)
            return live_pb2.UpdateSessionResponse(session=session, seq=answer.seq)

        change = wire.update_session_from_wire(request)
        return await self._changes.carry(request, change, context, answered)

    async def ApproveOutput(
        self, request: live_pb2.ApproveOutputRequest, context: Context
    ) -> live_pb2.ApproveOutputResponse:
        """Approve or reject an output."""

        async def answered(room: Room, answer: Answer) -> live_pb2.ApproveOutputResponse:
            session = await self._session(room)
            return live_pb2.ApproveOutputResponse(session=session, seq=answer.seq)

        change = wire.approve_output_from_wire(request)
        return await self._changes.carry(request, change, context, answered)

    async def SubmitOutput(
        self, request: live_pb2.SubmitOutputRequest, context: Context
    ) -> live_pb2.SubmitOutputResponse:
        """Submit an output for the current step."""

        async def answered(room: Room, answer: Answer) -> live_pb2.SubmitOutputResponse:
            record = answer.record or await self._history.record(room, answer.seq)
            if not isinstance(record.event, OutputSubmitted):  # as for messages
                raise IdempotencyMismatch
            body = record.event.output
            # A rewind since may have undone it: then it is told as it was made.
            output = room.session.outputs.get(body.id) or Output(body, record.seq)
            return live_pb2.SubmitOutputResponse(
                output_id=body.id,
                output=wire.output_to_wire(output),
                seq=answer.seq,
            )

        change = wire.submit_output_from_wire(request)
        return await self._changes.carry(request, change, context, answered)

    async def EditOutput(
        self, request: live_pb2.EditOutputRequest, context: Context
    ) -> live_pb2.EditOutputResponse:
        """Edit a pending output."""

        async def answered(room: Room, answer: Answer) -> live_pb2.EditOutputResponse:
            output = room.session.outputs.get(request.output_id)
            if output is None:
                record = answer.record or await self._history.record(room, answer.seq)
                if not isinstance(record.event, OutputEdited):
                    raise OutputNotFound
                output = Output(record.event.output, record.seq)
            return live_pb2.EditOutputResponse(
                output_id=request.output_id,
                output=wire.output_to_wire(output),
                seq=answer.seq,
            )

        change = wire.edit_output_from_wire(request)
        return await self._changes.carry(request, change, context, answered)

    async def PauseSession(
        self, request: live_pb2.PauseSessionRequest, context: Context
    ) -> live_pb2.PauseSessionResponse:
        """Pause."""

        async def answered(room: Room, answer: Answer) -> live_pb2.PauseSessionResponse:
            session = await self._session(room)
            return live_pb2.PauseSessionResponse(session=session, seq=answer.seq)

        return await self._changes.carry(request, PauseSession(), context, answered)

    async def ResumeSession(
        self, request: live_pb2.ResumeSessionRequest, context: Context
    ) -> live_pb2.ResumeSessionResponse:
        """Resume."""

        async def answered(room: Room, answer: Answer) -> live_pb2.ResumeSessionResponse:
            session = await self._session(room)
            return live_pb2.ResumeSessionResponse(session=session, seq=answer.seq)

        return await self._changes.carry(request, ResumeSession(), context, answered)

    async def DeleteSession(
        self, request: live_pb2.DeleteSessionRequest, context: Context
    ) -> live_pb2.DeleteSessionResponse:
        """Delete."""

        async def answered(room: Room, answer: Answer) -> live_pb2.DeleteSessionResponse:
            return live_pb2.DeleteSessionResponse()

        return await self._changes.carry(
            request, DeleteSession(), context, answered, once_deleted=live_pb2.DeleteSessionResponse
        )

    async def _session(self, room: Room) -> session_pb2.Session:
        session, messages = await self._history.whole(room)
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
