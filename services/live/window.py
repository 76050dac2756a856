"""The newest records of a room, kept in memory within bounds; older ones are read from Store."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice

from sessiond.session.apply import message_of
from sessiond.session.conversation import Conversation
from sessiond.session.events import (
    MessageAppended,
    OutputEdited,
    OutputSubmitted,
    Record,
    SessionUpdated,
    TurnEnded,
)
from sessiond.session.limits import KIB
from sessiond.session.state import Message
from sessiond.store.codec import StoredRecord

WINDOW_RECORDS = 1000
WINDOW_BYTES = 512 * KIB
"""About how many bytes of text a window keeps; the newest record is kept however long it is."""


class Window:
    """A run of records without a hole that ends with the newest.

    Those that were loaded are decoded when somebody asks for them: few of them ever are.
    """

    def __init__(self, records: Iterable[Record | StoredRecord] = ()) -> None:
        self._records: deque[Record | StoredRecord] = deque()
        self._bytes = 0
        self.extend(records)

    @property
    def start(self) -> int:
        """The seq of the first record here; 1 when all records of the session are."""
        return self._records[0].seq if self._records else 1

    def extend(self, records: Iterable[Record | StoredRecord]) -> None:
        """Take the next records, and let the oldest go."""
        for record in records:
            self._records.append(record)
            self._bytes += _weight(record)
        while len(self._records) > WINDOW_RECORDS or (
            self._bytes > WINDOW_BYTES and len(self._records) > 1
        ):
            self._bytes -= _weight(self._records.popleft())

    def messages(
        self, conversation: Conversation, *, newest: int | None = None, upto: int | None = None
    ) -> list[Message]:
        """Return the messages of a conversation that are among the records, oldest first.

        Only the `newest` so many, and only those up to a seq, where that is asked for.
        """
        return [*islice(self._backwards(conversation, upto), newest)][::-1]

    def record(self, seq: int) -> Record | None:
        """Return a record that is here."""
        place = seq - self.start
        if not 0 <= place < len(self._records):
            return None
        record = self._records[place]
        return record.whole() if isinstance(record, StoredRecord) else record

    def _backwards(self, conversation: Conversation, upto: int | None) -> Iterator[Message]:
        for record in reversed(self._records):
            if (upto is None or record.seq <= upto) and conversation.holds(record.seq):
                whole = record.whole() if isinstance(record, StoredRecord) else record
                message = message_of(whole)
                if message is not None:
                    yield message


def _weight(record: Record | StoredRecord) -> int:
    if isinstance(record, StoredRecord):
        return KIB + len(record.data)
    match record.event:
        case (
            MessageAppended(content=text)
            | TurnEnded(content=text)
            | SessionUpdated(user_inputs=str(text))
        ):
            return KIB + len(text)
        case OutputSubmitted(output=body) | OutputEdited(output=body):
            return KIB + len(body.content)
    return KIB
