"""Whether there is room in the lists of those who are to be given a session, or a share in one."""

from __future__ import annotations

from services.live.request import Asked
from services.live.room import Room
from services.live.store import StoreClient
from sessiond.errors import (
    DeadlineExceeded,
    SessiondError,
    TooManySessions,
    TooManyShared,
    Unavailable,
)
from sessiond.session.changes import JoinSession, ShareSession, TransferSession
from sessiond.session.limits import Limits


async def check_takers(store: StoreClient, room: Room, asked: Asked, limits: Limits) -> None:
    """Return if a change gives nobody one session more than they may have.

    At once for all that gives nobody anything, is refused, or was answered before: what becomes of
    these, the room says. Changes under way at the same time do not see one another, so a few may
    all be the last one.

    Raises:
        TooManySessions: who is to own it owns as many as one may.
        TooManyShared: as many are shared with who is to be a member as may be.
        Unavailable: Store does not answer; nothing was changed.
    """
    if not isinstance(asked.change, ShareSession | JoinSession | TransferSession):
        return
    try:
        if not room.check(asked):
            return
        gain = room.gain(asked)
    except SessiondError:
        return
    try:
        if gain.owner and await store.count(gain.owner) >= limits.sessions_per_user:
            raise TooManySessions
        if gain.member and await store.count(gain.member, shared=True) >= limits.shared_per_user:
            raise TooManyShared
    except DeadlineExceeded:
        raise Unavailable from None
