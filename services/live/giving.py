"""Whether there is room in the list of who is to be given a session."""

from __future__ import annotations

from services.live.request import Asked
from services.live.room import Room
from services.live.store import StoreClient
from sessiond.errors import DeadlineExceeded, SessiondError, TooManySessions, Unavailable
from sessiond.session.changes import TransferSession
from sessiond.session.limits import Limits


async def check_taker(store: StoreClient, room: Room, asked: Asked, limits: Limits) -> None:
    """Return if a change gives nobody one session more than they may have.

    At once for all but a transfer to a member by who may do that, and which was not answered
    before: what becomes of these, the room says. Two sessions that are given at the same time may
    both be the last one.

    Raises:
        TooManySessions: who is to own it owns as many as one may.
        Unavailable: Store does not answer; nothing was changed.
    """
    change = asked.change
    if not isinstance(change, TransferSession) or change.user_id not in room.session.members:
        return
    try:
        if not room.check(asked):
            return
    except SessiondError:
        return
    try:
        count = await store.count(change.user_id)
    except DeadlineExceeded:
        raise Unavailable from None
    if count >= limits.sessions_per_user:
        raise TooManySessions
