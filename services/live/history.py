"""What of a session is no longer in its room: read from Store."""

from __future__ import annotations

from services.live.room import Room
from services.live.store import StoreClient
from sessiond.errors import DeadlineExceeded, OutcomeUnknown, Unavailable
from sessiond.session.apply import message_of
from sessiond.session.events import Record
from sessiond.session.state import Message, Session
from sessiond.store.codec import decode_record


class History:
    """Answers from a room what it has, and from Store what it has not.

    Both methods raise `SessionNotFound` where the session was deleted meanwhile, and
    `OutcomeUnknown` where Store does not answer: they follow a change that is stored, so "nothing
    was changed" would be a lie.
    """

    def __init__(self, store: StoreClient) -> None:
        self._store = store

    async def whole(self, room: Room) -> tuple[Session, list[Message]]:
        """Return the session as it now is, with all its messages."""
        session, start = room.session, room.window.start
        newer = room.window.messages(session.conversation)
        older: list[Message] = []
        for run in session.conversation.between(1, start - 1):
            records = await self._records(session.id, run.first, run.last)
            older.extend(m for record in records if (m := message_of(record)) is not None)
        return session, older + newer

    async def record(self, room: Room, seq: int) -> Record:
        """Return one record."""
        record = room.window.record(seq)
        if record is None:
            (record,) = await self._records(room.session.id, seq, seq)
        return record

    async def _records(self, session_id: str, first_seq: int, last_seq: int) -> list[Record]:
        try:
            found = await self._store.records(session_id, first_seq, last_seq)
        except (Unavailable, DeadlineExceeded):
            raise OutcomeUnknown from None
        return [decode_record(record) for record in found]
