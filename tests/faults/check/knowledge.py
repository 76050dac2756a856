"""What was known of a session at any moment: how far its log had come for certain."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from tests.faults.check.evidence import Case
from tests.faults.history import Kind, Operation, Outcome
from tests.faults.history.entries import Attached, CaughtUp, Shown, Snapshot

UNBOUNDED = 1 << 62


class Knowledge:
    """The seqs that somebody had been told of, by when. Seqs that are told are durable."""

    def __init__(self, case: Case) -> None:
        self._told = sorted(tellings(case), key=lambda each: each[0])
        self._times = [time for time, _, _ in self._told]
        self._highest: list[tuple[int, object]] = []
        highest: tuple[int, object] = (0, None)
        for _, seq, source in self._told:
            if seq > highest[0]:
                highest = seq, source
            self._highest.append(highest)

    def before(self, time: int) -> tuple[int, object]:
        """Return the highest seq that was told before a moment, and by what; 0 for none."""
        count = bisect_left(self._times, time)
        return self._highest[count - 1] if count else (0, None)


def reach(case: Case, read: Operation) -> tuple[int, int]:
    """Return the lowest and the highest revision that a granted read can be of.

    Pages do not say their revision: it lies from their newest message to before the next one.
    """
    if read.kind is Kind.GET:
        return read.seq, read.seq
    if read.tail == 0:
        return 1, UNBOUNDED
    newest = max((seq for seq, _ in read.messages), default=1)
    later = bisect_left(case.messages, newest + 1)
    if case.rewinds or later == len(case.messages):
        return newest, UNBOUNDED
    return newest, case.messages[later] - 1


def answered_at(case: Case, answer: Operation) -> int:
    """Return the seq that a granted change stands for: its own, or that of what it found."""
    own = case.position(answer)
    return min(own, answer.seq) if own and answer.seq else own or answer.seq


def tellings(case: Case) -> Iterator[tuple[int, int, object]]:
    """Yield when which seq was told by what."""
    for tries in case.changes.values():
        for each in tries:
            if each.outcome is Outcome.OK:
                yield each.returned, answered_at(case, each), each
    for read in case.reads:
        if read.outcome is Outcome.OK:
            yield read.returned, reach(case, read)[0], read
    for listing, revision in case.listings:
        yield listing.returned, revision, listing
    for visit in case.visits.values():
        for entry in visit:
            if isinstance(entry, Shown | Snapshot | CaughtUp):
                yield entry.at, entry.seq, entry
            elif isinstance(entry, Attached):
                yield entry.at, entry.head, entry
