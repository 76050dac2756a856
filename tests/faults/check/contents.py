"""What each seq of a session was told to hold, by whomever: one thing, and what is stored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tests.faults.check.answers import MADE
from tests.faults.check.evidence import MESSAGES, UNCHANGING, Case
from tests.faults.check.violation import Law, Violation
from tests.faults.history import Attached, EventKind, Fed, Kind, Operation, Outcome, Shown, Snapshot


class Telling(NamedTuple):
    """What somebody was told of one seq; None where it was not said."""

    seq: int
    op_id: str | None
    event: EventKind | None
    content: str | None
    source: object


def check_contents(case: Case) -> Iterator[Violation]:
    """Yield each telling that disagrees with an earlier one or with what is stored."""
    known: dict[int, Telling] = {
        record.seq: Telling(record.seq, record.op_id, record.event, record.content, record)
        for record in case.by_seq.values()
    }
    reported: set[int] = set()
    for telling in _tellings(case):
        before = known.get(telling.seq)
        # What a stored session's change was answered is compared with its record elsewhere.
        answer = isinstance(telling.source, Operation) and telling.op_id is not None
        if answer and case.stored is not None:
            continue
        if before is None and case.stored is not None:
            yield Violation(Law.SHOWN_NOT_STORED, case.session, (telling.source,))
        elif before is None:
            known[telling.seq] = telling
        elif _agree(before, telling):
            known[telling.seq] = _together(before, telling)
        elif telling.seq not in reported:
            reported.add(telling.seq)
            yield Violation(Law.TWO_CONTENTS, case.session, (before.source, telling.source))


def _agree(one: Telling, other: Telling) -> bool:
    return all(
        a == b or a is None or b is None for a, b in zip(one[1:4], other[1:4], strict=True)
    ) and not (one.event is not None and other.event is None and not _is_message(one))


def _is_message(telling: Telling) -> bool:
    """Whether a read, which shows messages alone, may show it."""
    return telling.event in MESSAGES and telling.content != ""


def _together(one: Telling, other: Telling) -> Telling:
    op_id = other.op_id if one.op_id is None else one.op_id
    event = other.event if one.event is None else one.event
    content = other.content if one.content is None else one.content
    return Telling(one.seq, op_id, event, content, one.source)


def _tellings(case: Case) -> Iterator[Telling]:
    for visit in case.visits.values():
        for entry in visit:
            if isinstance(entry, Shown):
                yield Telling(entry.seq, entry.op_id, entry.event, entry.content, entry)
            elif isinstance(entry, Snapshot):
                for seq, content in entry.messages:
                    yield Telling(seq, None, None, content, entry)
    for told in case.fed.values():
        for fed in told:
            if isinstance(fed, Fed):
                yield Telling(fed.seq, fed.op_id, fed.event, fed.content, fed)
    for read in case.reads:
        for seq, content in read.messages:
            yield Telling(seq, None, None, content, read)
    for tries in case.changes.values():
        for each in tries:
            if each.outcome is Outcome.OK and each.kind not in UNCHANGING | {Kind.DELETE}:
                yield Telling(each.seq, each.op_id, MADE[each.kind], each.content or None, each)


def check_reads(case: Case) -> Iterator[Violation]:
    """Yield each read and snapshot that does not hold exactly the messages of its revision."""
    if case.stored is None:
        return
    last = case.stored.records[-1].seq if case.stored.records else 0
    for listing, revision in case.listings:
        if revision > last:
            yield Violation(Law.SHOWN_NOT_STORED, case.session, (listing,))
    for read in case.reads:
        if read.outcome is Outcome.OK:
            yield from _held(case, read, _revision(read), read.tail, last)
    for visit in case.visits.values():
        for entry in visit:
            if isinstance(entry, Snapshot):
                yield from _held(case, entry, entry.seq, entry.tail, last)
            elif isinstance(entry, Attached) and entry.head > last:
                yield Violation(Law.SHOWN_NOT_STORED, case.session, (entry,))


def _held(
    case: Case, source: Operation | Snapshot, revision: int, tail: int | None, last: int
) -> Iterator[Violation]:
    """Compare the seqs that something holds with the newest `tail` messages at its revision."""
    seqs = [seq for seq, _ in source.messages]
    # A seq that is not stored, or is no message, is told by `check_contents`.
    if any(seq not in case.by_seq for seq in seqs):
        return
    if revision > last:
        yield Violation(Law.SHOWN_NOT_STORED, case.session, (source,))
        return
    # Pages do not say their revision: it may be of after any rewind since the least one.
    paged = isinstance(source, Operation) and source.kind is Kind.PAGES
    others = [rewind for rewind in case.rewinds if rewind > revision] if paged else []
    if all(seqs != _newest(case, at, tail) for at in (revision, *others)):
        yield Violation(Law.READ_TORN, case.session, (source,))


def _newest(case: Case, revision: int, tail: int | None) -> list[int]:
    there = list(case.messages_at(revision))
    return there if tail is None else there[-tail:] if tail else []


def check_states(case: Case) -> Iterator[Violation]:
    """Yield each answer whose session is not what the log makes it at that revision."""
    states = {} if case.stored is None else case.stored.states
    for asked in (*case.reads, *(each for tries in case.changes.values() for each in tries)):
        revision, state = asked.state
        if revision in states and state != states[revision]:
            yield Violation(Law.STATE_DIFFERS, case.session, (asked, states[revision]))


def _revision(read: Operation) -> int:
    """Return the least revision that a read can be of: pages do not say theirs."""
    return read.seq if read.kind is Kind.GET else max((seq for seq, _ in read.messages), default=0)
