"""A session as a client of etcd without our logic keeps it: a head, its records, its entry.

Its entry stays where it is. Ours moves every quarter of a second at most, so the floors write a
little less than what is really written.
"""

from __future__ import annotations

from bench.floors.shape import Shape
from services.store.etcd.transactions import nested, put, transaction, value_is
from services.store.keys import Keys

RAW = Keys("raw/")
POSITION_MS = 1_750_000_000_000
_SEQ_DIGITS = 10


class SessionTemplate:
    """Appends to one session, each on top of the head of the one before.

    The session's head must stand in etcd as `first_head`. All of a request is always as long, so
    it is made once and cut where something changes: the old head, the seq in the record's key, the
    record, the new head.
    """

    def __init__(self, shape: Shape, session_id: str) -> None:
        self.acknowledgement = shape.acknowledging(session_id.encode())
        self._shape = shape
        self._seq = 0
        self._head = first_head(shape)
        old, record, new = (
            filler * size
            for filler, size in (("O", shape.head), ("R", shape.record), ("N", shape.head))
        )
        key = RAW.event(session_id, 1)
        whole = transaction(
            [value_is(RAW.head(session_id), old.encode())],
            [
                put(key, record.encode()),
                put(RAW.head(session_id), new.encode()),
                put(
                    RAW.entry(f"user-{session_id[:3]}", POSITION_MS, session_id), b"e" * shape.entry
                ),
            ],
        )
        self._a, rest = _cut(whole, old.encode())
        self._b, rest = _cut(rest, key[-_SEQ_DIGITS:])
        self._c, rest = _cut(rest, record.encode())
        self._d, self._e = _cut(rest, new.encode())
        in_batch = transaction(success=[nested(whole)])
        self._prefix = in_batch[: -len(whole)]

    def append(self, frame: bytes) -> bytes:
        """Return the transaction of the next append, encoded; its record holds the frame."""
        self._seq += 1
        seq = b"%010d" % self._seq
        before, self._head = self._head, seq.ljust(self._shape.head, b"h")
        size = self._shape.record
        record = frame[:size].ljust(size, b"r")
        return b"".join(
            (self._a, before, self._b, seq, self._c, record, self._d, self._head, self._e)
        )

    def nested(self, frame: bytes) -> bytes:
        """Return the same as a part of a larger transaction: such parts are simply joined."""
        return self._prefix + self.append(frame)


def first_head(shape: Shape) -> bytes:
    """Return the head of a session without appends."""
    return b"0" * shape.head


def _cut(data: bytes, out: bytes) -> tuple[bytes, bytes]:
    before, found, after = data.partition(out)
    if not found:
        raise ValueError("a template that cannot be cut")
    return before, after
