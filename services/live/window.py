"""The newest records of a room, kept in memory within bounds; older ones are read from Store."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from sessiond.session.apply import message_of
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

WINDOW_RECORDS = 1000
WINDOW_BYTES = 512 * KIB
"""About how many bytes of text a window keeps; the newest record is kept however long it is."""


class Window:
    """A run of records without a hole that ends with the newest."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._records: deque[Record] = deque()
        self._bytes = 0
        self.extend(records)

    @property
    def start(self) -> int:
        """The seq of the first record here; 1 when all records of the session are."""
        return self._records[0].seq if self._records else 1

    def extend(self, records: Iterable[Record]) -> None:
        """Take the next records, and let the oldest go."""
        for record in records:
            self._records.append(record)
            self._bytes += _weight(record)
        while len(self._records) > WINDOW_RECORDS or (
            self._bytes > WINDOW_BYTES and len(self._records) > 1
        ):
            self._bytes -= _weight(self._records.popleft())

    def messages(self) -> list[Message]:
        """Return the messages among the records, oldest first."""
        return [m for record in self._records if (m := message_of(record)) is not None]

    def record(self, seq: int) -> Record | None:
        """Return a record that is here."""
        place = seq - self.start
        return self._records[place] if 0 <= place < len(self._records) else None


def _weight(record: Record) -> int:
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
