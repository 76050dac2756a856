"""Erasures of users: asked for, done by whoever holds the job, and then their receipt.

(none) --ask--> asked for --complete, once nothing unheld is left--> receipt
                                                                       | ask, where something
                                                                       v is there again
                                                                     asked for
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc

from services.serving.context import current_identity
from services.store.acquisition import decoded_head
from services.store.entering import entered
from services.store.lists import decoded_entry
from services.store.repository import Repository
from sessiond.errors import (
    ErasureNotFound,
    PermissionDenied,
    SessionNotFound,
    Unavailable,
    Violations,
)
from sessiond.session.access import Actor, Identity, Role
from sessiond.session.checks import check_user_id
from sessiond.session.limits import Limits
from sessiond.state_wire import set_actor
from sessiond.store.records import actor_from_stored, actor_to_stored
from sessiond.store.v1 import records_pb2
from sessiond.v1 import store_pb2 as pb
from sessiond.v1.store_pb2_grpc import StoreServiceServicer
from sessiond.wire import set_timestamp

Context = grpc.aio.ServicerContext[Any, Any]

_TRIES = 3
_MOST_PENDING = 1000
_MOST_HELD = 1000


class Erasures:
    """The use cases. `now_ms` is the wall clock, in milliseconds since 1970.

    The sessions of a user are deleted through Live, by the job, as all sessions are. Here is
    written down what was asked for, and, together with the removal of what belongs to no session
    of theirs, that it was done.
    """

    def __init__(self, repository: Repository, *, now_ms: Callable[[], int]) -> None:
        self._repository = repository
        self._now_ms = now_ms

    async def ask(self, actor: Actor, user_id: str) -> pb.Erasure:
        """Ask for an erasure, and return how it stands.

        Nothing changes where one is asked for already, or was done and nothing came since.
        """
        for _ in range(_TRIES):
            standing = await self._repository.erasure(user_id)
            stored = _stored(standing)
            if stored is not None and not stored.completed_ms:
                return erasure_to_wire(user_id, stored)
            remains = await self._repository.remains(user_id)
            if stored is not None and not remains.anything:
                return erasure_to_wire(user_id, stored)
            # How much there was: a job that is cut off cannot tell its successor what it did.
            asked = records_pb2.Erasure(
                requested_ms=self._now_ms(),
                sessions=len(remains.entries),
                shares=len(remains.shared),
            )
            actor_to_stored(actor, asked.requested_by)
            data = asked.SerializeToString()
            if await self._repository.ask_erasure(user_id, data, expected=standing) == data:
                return erasure_to_wire(user_id, asked)
        raise Unavailable

    async def get(self, user_id: str) -> pb.Erasure:
        """Return how an erasure stands.

        Raises:
            ErasureNotFound: nobody asked for one.
        """
        stored = _stored(await self._repository.erasure(user_id))
        if stored is None:
            raise ErasureNotFound
        return erasure_to_wire(user_id, stored)

    async def pending(self) -> list[pb.Erasure]:
        """Return what is asked for and not done: the oldest first, at most 1,000."""
        found = [
            (stored.requested_ms, user_id, stored)
            for user_id, data in await self._repository.erasures()
            if (stored := _stored(data)) is not None and not stored.completed_ms
        ]
        found.sort(key=lambda each: each[:2])
        return [erasure_to_wire(user_id, stored) for _, user_id, stored in found[:_MOST_PENDING]]

    async def complete(self, user_id: str, *, sessions: int, shares: int) -> pb.Erasure:
        """Write the receipt, and remove pointers and templates with it; once written, it stands.

        Before that, copies that the user has not finished are removed.

        `sessions` and `shares` say how many the caller ended.

        Raises:
            ErasureNotFound: nobody asked for it.
            Unavailable: there are sessions that no hold keeps, or memberships, or something came
                meanwhile; nothing is written.
        """
        standing = await self._repository.erasure(user_id)
        stored = _stored(standing)
        if standing is None or stored is None:
            raise ErasureNotFound
        if stored.completed_ms:
            return erasure_to_wire(user_id, stored)
        remains = await self._repository.remains(user_id)
        if remains.copies:
            # Nobody sees them, so nobody else can remove them; who makes one now begins again.
            for session_id in remains.copies:
                await self._drop(user_id, session_id)
            remains = await self._repository.remains(user_id)
        for session_id in remains.copies:
            if await self._copy_of(user_id, session_id) is not None:
                raise Unavailable("The user is making a copy; nothing was written.")
        held = [
            each.session_id
            for each in remains.entries
            if decoded_entry(each.session_id, each.value).held
        ]
        if len(held) < len(remains.entries):
            raise Unavailable("The user still has sessions; nothing was written.")
        for session_id in set(remains.shared) - set(held):
            if await self._enters(user_id, session_id):
                raise Unavailable("The user is still a member of a session; nothing was written.")
        receipt = records_pb2.Erasure(
            requested_ms=stored.requested_ms,
            requested_by=stored.requested_by,
            completed_ms=max(self._now_ms(), stored.requested_ms),
            sessions=max(sessions, stored.sessions - len(held)),
            held_session_ids=held[:_MOST_HELD],
            shares=max(shares, stored.shares),
            templates=remains.templates,
        )
        written = await self._repository.complete_erasure(
            user_id, receipt.SerializeToString(), expected=standing, revision=remains.revision
        )
        if not written:
            raise Unavailable("Something of the user changed meanwhile; nothing was written.")
        return erasure_to_wire(user_id, receipt)

    async def _drop(self, user_id: str, session_id: str) -> None:
        head = await self._copy_of(user_id, session_id)
        if head is not None:
            await self._repository.drop_copy(session_id, head, maker_id=user_id)

    async def _copy_of(self, user_id: str, session_id: str) -> bytes | None:
        """Return the head of a copy that the user makes; None where only a stray key says so."""
        snapshot = await self._repository.snapshot(session_id)
        if snapshot is None:
            return None
        building = decoded_head(session_id, snapshot.head).meta.building
        return snapshot.head if building is not None and building.lister_id == user_id else None

    async def _enters(self, user_id: str, session_id: str) -> bool:
        """Return whether a session is one that the user may see."""
        try:
            await entered(self._repository, Identity(user_id), session_id)
        except SessionNotFound:
            return False
        return True


def erasure_to_wire(user_id: str, stored: records_pb2.Erasure) -> pb.Erasure:
    """Return an erasure as callers see it: until it is done, nothing of it is."""
    wire = pb.Erasure(user_id=user_id)
    set_timestamp(wire.requested_at, stored.requested_ms)
    set_actor(wire.requested_by, actor_from_stored(stored.requested_by))
    if stored.completed_ms:
        set_timestamp(wire.completed_at, stored.completed_ms)
        wire.sessions = stored.sessions
        wire.held_session_ids.extend(stored.held_session_ids)
        wire.shares = stored.shares
        wire.templates = stored.templates
    return wire


def check_oneself(identity: Identity, user_id: str) -> None:
    """Return if the caller is this user, acts for them, or is an administrator.

    Raises:
        PermissionDenied: it is somebody else.
    """
    if identity.role is Role.ADMIN:
        return
    if identity.role not in (Role.USER, Role.SERVICE) or identity.user_id != user_id:
        raise PermissionDenied("You may erase yourself only.")


class ErasuresServicer(StoreServiceServicer):
    """Takes erasures, and shows receipts."""

    _erasures: Erasures
    _limits: Limits

    async def EraseUser(
        self, request: pb.EraseUserRequest, context: Context
    ) -> pb.EraseUserResponse:
        """Ask for an erasure."""
        identity = self._about(request.user_id)
        return pb.EraseUserResponse(
            erasure=await self._erasures.ask(identity.actor, request.user_id)
        )

    async def GetErasure(
        self, request: pb.GetErasureRequest, context: Context
    ) -> pb.GetErasureResponse:
        """Say how an erasure stands."""
        self._about(request.user_id)
        return pb.GetErasureResponse(erasure=await self._erasures.get(request.user_id))

    def _about(self, user_id: str) -> Identity:
        found = Violations()
        check_user_id(user_id, "user_id", found, limits=self._limits)
        found.check()
        identity = current_identity()
        check_oneself(identity, user_id)
        return identity


def _stored(data: bytes | None) -> records_pb2.Erasure | None:
    return None if data is None else records_pb2.Erasure.FromString(data)
