"""How a session once was, for a rewind: its records from the first one on, folded."""

from __future__ import annotations

import asyncio

from services.live.request import Asked
from services.live.room import Room
from services.live.store import StoreClient
from sessiond.errors import (
    DeadlineExceeded,
    IdempotencyMismatch,
    PermissionDenied,
    SessionNotFound,
    Unavailable,
)
from sessiond.session.changes import RewindSession
from sessiond.session.limits import MIB
from sessiond.session.rewinding import fill, fold
from sessiond.session.standing import lacking
from sessiond.session.state import Session
from sessiond.store.codec import decode_record

PAGE = 1000

PAGE_BYTES = MIB
"""About how many bytes of records are read at once."""

AT_ONCE = 100
"""Records that are folded before others have their turn."""


async def past_of(store: StoreClient, room: Room, asked: Asked) -> Session | None:
    """Return the session, whole, as it was where a rewind goes back to.

    None for every other change, for one that is refused or was answered before, and where there is
    no such event: what becomes of these, the room says, once it knows that it still owns the
    session.

    Raises:
        Unavailable: Store does not answer; nothing was changed.
    """
    change, session = asked.change, room.session
    if not isinstance(change, RewindSession):
        return None
    try:
        if not room.check(asked):
            return None
    except (SessionNotFound, PermissionDenied, IdempotencyMismatch):
        return None
    if change.to_seq == session.seq:
        return session
    if not 1 <= change.to_seq < session.seq:
        return None
    try:
        async with room.past:  # many who ask at once need no more memory than one
            return await _read(store, session.id, change.to_seq)
    except DeadlineExceeded:
        raise Unavailable from None


async def _read(store: StoreClient, session_id: str, to_seq: int) -> Session:
    past: Session | None = None
    seq = 1
    while seq <= to_seq:
        last = min(seq + PAGE - 1, to_seq)
        page = await store.records(session_id, seq, last, enough=PAGE_BYTES)
        for first in range(0, len(page), AT_ONCE):
            past = fold(past, map(decode_record, page[first : first + AT_ONCE]))
            await asyncio.sleep(0)
        seq += len(page)
    assert past is not None
    held: list[bytes] = []
    for seq in lacking(past):
        held += await store.records(session_id, seq, seq)
    return fill(past, map(decode_record, held))
