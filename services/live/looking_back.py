"""Finding the answer to a change that was made long ago.

A room remembers the operation ids of its last changes; when it was loaded, those of few. A change
that was first sent before those may have been made and forgotten; its record still holds the
operation id. Who says since when its change is under way has just that looked through. For all
others the room recalls its last 1000 changes, once.
"""

from __future__ import annotations

from services.live.request import Answer, Asked
from services.live.room import Room
from services.live.store import StoreClient
from sessiond.errors import (
    DeadlineExceeded,
    IdempotencyMismatch,
    OutcomeUnknown,
    Unavailable,
)
from sessiond.session.limits import MIB
from sessiond.store.codec import StoredRecord, decode_record, read_record

PAGE = 1000

PAGE_BYTES = MIB
"""About how many bytes of records are read at once: anybody may ask for the past of a session."""


async def recall(store: StoreClient, room: Room) -> None:
    """Let a room remember the operation ids of its last 1000 changes, for who may ask for one.

    Raises:
        OutcomeUnknown: Store does not answer, so nobody knows whether a change was made before.
    """
    forgotten = room.forgotten
    found: list[StoredRecord] = []
    while len(found) < len(forgotten):
        first, last = forgotten[len(found)], forgotten[-1]
        try:
            page = await store.records(room.session.id, first, last, enough=PAGE_BYTES)
        except (Unavailable, DeadlineExceeded):
            raise OutcomeUnknown from None
        found.extend(map(read_record, page))
    room.recall(found)


async def look_back(store: StoreClient, room: Room, asked: Asked, since: int) -> Answer | None:
    """Return the answer that a change got after the seq `since`; None when it was not made.

    Only records that the room does not remember are read. Whether the caller may have the answer,
    and may make us read at all, is for who asks to see.

    Raises:
        IdempotencyMismatch: its operation id was used for another change.
        OutcomeUnknown: Store does not answer, so nobody knows.
    """
    seq = since + 1
    while not room.remembers_since(seq - 1):
        last = min(seq + PAGE - 1, room.session.seq)
        try:
            found = await store.records(room.session.id, seq, last, enough=PAGE_BYTES)
        except (Unavailable, DeadlineExceeded):
            raise OutcomeUnknown from None
        for record in map(decode_record, found):
            if (record.actor, record.op_id) == asked.key:
                if record.hash != asked.hash:
                    raise IdempotencyMismatch
                return Answer(record.seq, record)
        seq += len(found)
    return None
