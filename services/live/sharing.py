"""Sharing and giving away: their part of LiveService."""

from __future__ import annotations

import hashlib
from typing import Any

import grpc

from services.live.changes import Changes
from services.live.history import History
from services.live.joins import Guesses, new_secret
from services.live.request import Answer
from services.live.room import Room
from services.serving.context import current_identity
from sessiond import standing_wire
from sessiond.errors import IdempotencyMismatch
from sessiond.session.standing import LinkMade
from sessiond.session.state import Link, Member
from sessiond.v1 import live_pb2, live_pb2_grpc, session_pb2
from sessiond.wire import session_to_wire

Context = grpc.aio.ServicerContext[Any, Any]


class SharingServicer(live_pb2_grpc.LiveServiceServicer):
    """Changes who may enter."""

    _changes: Changes
    _history: History
    _guesses: Guesses

    async def ShareSession(
        self, request: live_pb2.ShareSessionRequest, context: Context
    ) -> live_pb2.ShareSessionResponse:
        """Make a user a member."""
        change = standing_wire.share_from_wire(request)

        async def answered(room: Room, answer: Answer) -> live_pb2.ShareSessionResponse:
            member = room.session.members.get(change.user_id)
            if member is None:  # they are one no longer, and it is an old change that is repeated
                record = answer.record or await self._history.record(room, answer.seq)
                member = Member(change.role, record.time_ms)
            (shown,) = standing_wire.members_to_wire({change.user_id: member})
            return live_pb2.ShareSessionResponse(member=shown, seq=answer.seq)

        return await self._changes.carry(request, change, context, answered)

    async def UnshareSession(
        self, request: live_pb2.UnshareSessionRequest, context: Context
    ) -> live_pb2.UnshareSessionResponse:
        """End a membership."""

        async def answered(room: Room, answer: Answer) -> live_pb2.UnshareSessionResponse:
            return live_pb2.UnshareSessionResponse(seq=answer.seq)

        change = standing_wire.unshare_from_wire(request)
        return await self._changes.carry(request, change, context, answered)

    async def MakeLink(
        self, request: live_pb2.MakeLinkRequest, context: Context
    ) -> live_pb2.MakeLinkResponse:
        """Make a link."""
        change = standing_wire.make_link_from_wire(request)
        if not request.HasField("secret"):
            request.secret = new_secret()

        async def answered(room: Room, answer: Answer) -> live_pb2.MakeLinkResponse:
            record = answer.record or await self._history.record(room, answer.seq)
            if not isinstance(record.event, LinkMade):  # imported: its hash is of another change
                raise IdempotencyMismatch
            return link_answer(record.event, record.time_ms, answer.seq, request.secret)

        return await self._changes.carry(request, change, context, answered, secret=request.secret)

    async def RevokeLink(
        self, request: live_pb2.RevokeLinkRequest, context: Context
    ) -> live_pb2.RevokeLinkResponse:
        """Revoke a link."""

        async def answered(room: Room, answer: Answer) -> live_pb2.RevokeLinkResponse:
            return live_pb2.RevokeLinkResponse(seq=answer.seq)

        change = standing_wire.revoke_link_from_wire(request)
        return await self._changes.carry(request, change, context, answered)

    async def JoinSession(
        self, request: live_pb2.JoinSessionRequest, context: Context
    ) -> live_pb2.JoinSessionResponse:
        """Join by a secret."""

        async def answered(room: Room, answer: Answer) -> live_pb2.JoinSessionResponse:
            return live_pb2.JoinSessionResponse(session=await self._shown(room), seq=answer.seq)

        change = standing_wire.join_from_wire(request)
        async with self._guesses.guarded(current_identity(), context):
            return await self._changes.carry(request, change, context, answered)

    async def TransferSession(
        self, request: live_pb2.TransferSessionRequest, context: Context
    ) -> live_pb2.TransferSessionResponse:
        """Give the session to a member."""

        async def answered(room: Room, answer: Answer) -> live_pb2.TransferSessionResponse:
            session = await self._shown(room)
            return live_pb2.TransferSessionResponse(session=session, seq=answer.seq)

        change = standing_wire.transfer_from_wire(request)
        return await self._changes.carry(request, change, context, answered)

    async def _shown(self, room: Room) -> session_pb2.Session:
        session, messages = await self._history.whole(room)
        return session_to_wire(session, messages)


def link_answer(made: LinkMade, time_ms: int, seq: int, secret: str) -> live_pb2.MakeLinkResponse:
    """Return a link that was made, and its secret where that is the one given here."""
    (link,) = standing_wire.links_to_wire({made.link_id: Link(made.role, time_ms, made.expires_ms)})
    known = hashlib.sha256(secret.encode()).digest() == made.secret_hash
    return live_pb2.MakeLinkResponse(link=link, secret=secret if known else None, seq=seq)
