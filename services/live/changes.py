"""Requests for changes on their way to their sessions: checked for form, counted, and named, then
made here, or by whoever owns the session.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any, Protocol, TypeVar, cast

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from services.live.giving import check_takers
from services.live.hops import Context, Hops, hops_of, name_owner
from services.live.looking_back import recall
from services.live.past import past_of
from services.live.rates import Rates
from services.live.relay import Lost, NotSent, Relay
from services.live.request import Answer, Request, RoomClosed, Unsettled
from services.live.room import Room
from services.live.routing import Peer, Router, Search
from services.serving.context import current_call, current_identity
from sessiond.errors import (
    DeadlineExceeded,
    Draining,
    OutcomeUnknown,
    PermissionDenied,
    RateLimited,
    SessionMoved,
    SessionNotFound,
    Unauthenticated,
    Unavailable,
    Violations,
)
from sessiond.session.access import Identity, Role
from sessiond.session.changes import Change
from sessiond.session.checks import check_op_id, check_session_id
from sessiond.session.limits import Limits

Response = TypeVar("Response", bound=Message)

Made = tuple[Room, Answer]

# What refuses a change without having looked whether it was made before.
_BEFORE_LOOKING = (
    DeadlineExceeded,
    Draining,
    PermissionDenied,
    RateLimited,
    SessionMoved,
    SessionNotFound,
    Unauthenticated,
    Unavailable,
)


class ChangeRequest(Protocol):
    """What all requests of LiveService have in common."""

    DESCRIPTOR: Descriptor
    session_id: str
    op_id: str

    def HasField(self, field_name: Any) -> bool:
        """Return whether an optional field is there."""


class Counts:
    """Counts the changes of each caller; services have a rate of their own."""

    def __init__(self, *, users: Rates, services: Rates) -> None:
        self._users = users
        self._services = services

    def take(self, identity: Identity) -> None:
        """Count one change.

        Raises:
            RateLimited: there were too many; it says when there may be another.
        """
        if identity.role is Role.SERVICE:
            self._services.take((identity.role, identity.subject))
        else:
            self._users.take((identity.role, identity.subject))


class Changes:
    """Takes requests for changes to where they can be made.

    Every change has an operation id, a caller's or one made here, so that a fate that is unknown
    can be settled under it, wherever the session is by then.
    """

    def __init__(
        self,
        router: Router,
        hops: Hops,
        counts: Counts,
        *,
        limits: Limits,
        new_op_id: Callable[[], str],
        answer_seconds: float,
    ) -> None:
        self._router = router
        self._hops = hops
        self._counts = counts
        self._relay = Relay()
        self._limits = limits
        self._new_op_id = new_op_id
        self._answer_seconds = answer_seconds

    async def carry(
        self,
        request: ChangeRequest,
        change: Change,
        context: Context,
        answer: Callable[[Room, Answer], Awaitable[Response]],
        *,
        once_deleted: Callable[[], Response] | None = None,
        secret: str = "",
    ) -> Response:
        """Make the change that a call asks for, and return its response.

        `answer` makes it of what the room answered; where another Live owns the session, it is
        that one's response. `once_deleted` makes that of a deletion that was made before. `secret`
        is that of a link that is made.

        Raises:
            OutcomeUnknown: the time is over, and the change may have been stored.
            Unavailable: the time is over, and it was not.
            SessionMoved: the call was passed on to us, and another instance owns the session.
            SessionNotFound: there is none, or it is not the caller's.
            RateLimited: the caller asks too often.
            SessiondError: the rules refuse it.
        """
        asked = self._ask(request, change, secret)
        counted = await self._hops.counted(context)
        hops = hops_of(context) if counted else 0
        if not counted:
            self._counts.take(asked.identity)
        request.op_id = asked.op_id
        search = self._router.search(request.session_id, hops=hops)
        left = context.time_remaining()
        seconds = self._answer_seconds if left is None else min(self._answer_seconds, left)

        async def forward(peer: Peer, seconds: float) -> Message:
            call = current_call()
            if call is None:
                raise Unauthenticated
            metadata = self._hops.onward(call, hops)
            return await self._relay.call(peer, cast("Message", request), metadata, seconds=seconds)

        try:
            made = await self.make(search, request.session_id, asked, forward, seconds=seconds)
        except SessionMoved as moved:
            if hops:
                name_owner(context, moved.owner_address)
            raise
        if made is None:
            if once_deleted is None:
                raise SessionNotFound
            return once_deleted()
        return await answer(*made) if isinstance(made, tuple) else cast("Response", made)

    async def make(
        self,
        search: Search,
        session_id: str,
        asked: Request,
        forward: Callable[[Peer, float], Awaitable[Message]],
        *,
        seconds: float,
    ) -> Made | Message | None:
        """Make a change wherever the search leads; `forward` asks another instance to make it.

        Returns what the room answered, or the other instance's response; None where this very
        change deleted the session before.

        A room that closes meanwhile, or a peer that breaks, did not apply the change, or does not
        know: the same operation id settles either at the next place, within the time given.
        It may raise as `carry` does.
        """
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + seconds
        unknown = sent = False
        try:
            async with asyncio.timeout_at(ends_at):
                while True:
                    place = await search.next()
                    sent = True
                    try:
                        if isinstance(place, Peer):
                            return await forward(place, ends_at - loop.time())
                        if place.room.forgotten:
                            check = partial(place.room.check_asker, asked)
                            await self._router.rooms.check(place, check)
                            await recall(self._router.store, place.room)
                        sent = False  # the room knows what was made, and this was not yet asked
                        await check_takers(
                            self._router.store, self._router.rooms, place, asked, self._limits
                        )
                        past = await past_of(self._router.store, place.room, asked)
                        again = replace(asked, reply=loop.create_future(), past=past)
                        sent = True
                        answer = await self._router.rooms.submit(session_id, place, again)
                        return place.room, answer
                    except RoomClosed:
                        sent = False
                    except Unsettled:
                        unknown, sent = True, False
                    except NotSent:
                        sent = False
                        assert isinstance(place, Peer)
                        await search.broke(place, refused=True)
                    except Lost:
                        unknown, sent = True, False
                        assert isinstance(place, Peer)
                        await search.broke(place, refused=False)
                    except SessionMoved as moved:
                        sent = False
                        search.moved(moved.owner_address)
        except TimeoutError:
            raise OutcomeUnknown if unknown or sent else Unavailable from None
        except _BEFORE_LOOKING:
            if search.deleted is not None and search.deleted.was_by(asked):
                return None
            if unknown:
                raise OutcomeUnknown from None
            raise

    def _ask(self, request: ChangeRequest, change: Change, secret: str) -> Request:
        identity = current_identity()
        op_id = request.op_id if request.HasField("op_id") else None
        found = Violations()
        check_session_id(request.session_id, "session_id", found)
        check_op_id(op_id, "op_id", found, limits=self._limits)
        found.check()
        return Request(
            change,
            identity,
            op_id or self._new_op_id(),
            _expected_revision(request),
            secret=secret,
        )


def _expected_revision(request: Any) -> int | None:
    if "expected_revision" not in request.DESCRIPTOR.fields_by_name:
        return None  # who joins has seen no revision
    return request.expected_revision if request.HasField("expected_revision") else None
