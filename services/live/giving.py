"""Whether there is room in the list of who is to be given a session."""

from __future__ import annotations

from services.live.held import Held
from services.live.request import Asked
from services.live.room import Room
from services.live.rooms import Rooms
from services.live.store import StoreClient
from sessiond.errors import DeadlineExceeded, SessiondError, TooManySessions, Unavailable
from sessiond.session.changes import TransferSession
from sessiond.session.limits import Limits


async def check_taker(
    store: StoreClient, rooms: Rooms, held: Held, asked: Asked, limits: Limits
) -> None:
    """Return if a change gives nobody one session more than they may have.

    At once for all but a transfer to a member by who may do that, and which was not answered
    before: what becomes of these, the room says. Two sessions that are given at the same time may
    both be the last one.

    Raises:
        TooManySessions: who is to own it owns as many as one may.
        RoomClosed: they do, and the session is not held any more: it may be theirs already.
        Unavailable: Store does not answer; nothing was changed.
    """
    change = asked.change
    if not isinstance(change, TransferSession) or not _gives(held.room, asked, change):
        return
    try:
        count = await store.count(change.user_id)
    except DeadlineExceeded:
        raise Unavailable from None

    def check() -> None:
        if count >= limits.sessions_per_user and _gives(held.room, asked, change):
            raise TooManySessions

    await rooms.check(held, check)


def _gives(room: Room, asked: Asked, change: TransferSession) -> bool:
    """Return whether the room would make a transfer that was not made before."""
    try:
        return change.user_id in room.session.members and room.check(asked)
    except SessiondError:
        return False
