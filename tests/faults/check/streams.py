"""Streams: each shows the log from its cursor, or from a snapshot, without a gap and once.

What it begins with is as current as a read: it holds all that anybody had been told when it was
asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.faults.check.evidence import Case, Streamed
from tests.faults.check.knowledge import Knowledge
from tests.faults.check.violation import Law, Violation
from tests.faults.history import Attached, CaughtUp, EventKind, Goaway, Reset, Shown, Snapshot


def check_streams(case: Case, knowledge: Knowledge) -> Iterator[Violation]:
    """Yield each event that does not follow the one before, and each late beginning."""
    log_id = case.log_id
    for visit in case.visits.values():
        yield from _Slice(case.session, log_id).follow(visit)
        for entry in visit:
            if isinstance(entry, Attached):
                known, source = knowledge.before(entry.asked)
                if entry.head < known:
                    yield Violation(Law.STREAM_LATE, case.session, (source, entry))


class _Slice:
    """What one stream has shown of a session: up to `last`, None while a snapshot is awaited."""

    def __init__(self, session: str, log_id: str) -> None:
        self._session = session
        self._log_id = log_id
        self._last: int | None = None
        self._had = 0
        self._back = False  # the session went back, and no snapshot followed yet

    def follow(self, visit: Sequence[Streamed]) -> Iterator[Violation]:
        for entry in visit:
            if isinstance(entry, Attached | Snapshot | Reset | Goaway):
                self._back = False
            elif self._back and isinstance(entry, Shown | CaughtUp):
                self._back = False
                yield self._broken(Law.REWIND_UNTOLD, entry)
            match entry:
                case Attached():
                    yield from self._attached(entry)
                case Snapshot():
                    yield from self._snapshot(entry)
                case Shown():
                    yield from self._shown(entry)
                case CaughtUp() if self._last is None or entry.seq > self._last:
                    yield self._broken(Law.STREAM_GAP, entry)
                    self._last = entry.seq
                case Reset():
                    self._had, self._last = self._last or self._had, None
                case Goaway():
                    self._last = None
                case _:
                    pass

    def _attached(self, entry: Attached) -> Iterator[Violation]:
        if entry.log_id != self._log_id or (entry.recovered and entry.log != entry.log_id):
            yield self._broken(Law.WRONG_LOG, entry)
        self._had = entry.cursor if entry.log == entry.log_id else 0
        self._last = entry.cursor if entry.recovered else None

    def _snapshot(self, entry: Snapshot) -> Iterator[Violation]:
        if entry.log_id != self._log_id:
            yield self._broken(Law.WRONG_LOG, entry)
        if entry.seq < (self._last or self._had):
            yield self._broken(Law.STREAM_BACK, entry)
        self._last = entry.seq

    def _shown(self, entry: Shown) -> Iterator[Violation]:
        # After a finding the stream is judged from there on, so that one fault is one finding.
        if self._last is None or entry.seq > self._last + 1:
            yield self._broken(Law.STREAM_GAP, entry)
        elif entry.seq <= self._last:
            yield self._broken(Law.STREAM_REPEAT, entry)
        self._last = max(entry.seq, self._last or 0)
        self._back = entry.event is EventKind.REWOUND

    def _broken(self, law: Law, entry: Streamed) -> Violation:
        return Violation(law, self._session, (f"after {self._last}", entry))
