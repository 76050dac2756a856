"""Whether there is room in the lists of those who are to be given a session, or a share in one."""

from __future__ import annotations

from services.live.held import Held
from services.live.request import Asked
from services.live.room import Room
from services.live.rooms import Rooms
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
from sessiond.session.sharing import Gain


async def check_takers(
    store: StoreClient, rooms: Rooms, held: Held, asked: Asked, limits: Limits
) -> None:
    """Return if a change gives nobody one session more than they may have.

    At once for all that gives nobody anything, is refused, or was answered before: what becomes of
    these, the room says. Changes under way at the same time do not see one another, so a few may
    all be the last one.

    Raises:
        TooManySessions: who is to own it owns as many as one may.
        TooManyShared: as many are shared with who is to be a member as may be.
        RoomClosed: one of these, and the session is not held any more: it may be theirs already.
        Unavailable: Store does not answer; nothing was changed.
    """
    if not isinstance(asked.change, ShareSession | JoinSession | TransferSession):
        return
    gain = _gain(held.room, asked)
    try:
        owned = await store.count(gain.owner) if gain.owner else 0
        shared = await store.count(gain.member, shared=True) if gain.member else 0
    except DeadlineExceeded:
        raise Unavailable from None

    def check() -> None:
        if _gain(held.room, asked) != gain:
            return
        if gain.owner and owned >= limits.sessions_per_user:
            raise TooManySessions
        if gain.member and shared >= limits.shared_per_user:
            raise TooManyShared

    await rooms.check(held, check)


def _gain(room: Room, asked: Asked) -> Gain:
    """Return who gains a session by a change that the room would make, and did not make before."""
    try:
        return room.gain(asked) if room.check(asked) else Gain()
    except SessiondError:
        return Gain()
