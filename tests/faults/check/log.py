"""The stored log of one session: dense, of one owner at a time, and sensible."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, pairwise

from tests.faults.check.evidence import Case
from tests.faults.check.violation import Law, Violation
from tests.faults.final import StoredRecord
from tests.faults.history import EventKind


def check_log(case: Case) -> Iterator[Violation]:
    """Yield what is wrong with a session's records and head."""
    if case.stored is None:
        return
    head, records = case.stored.head, case.stored.records
    for place, record in enumerate(records, start=1):
        if record.seq != place or (place == 1) != (record.event is EventKind.CREATED):
            yield Violation(Law.SEQ_HOLE, case.session, (f"at place {place}", record))
            break
    if head.seq != (records[-1].seq if records else 0):
        yield Violation(Law.HEAD_DIFFERS, case.session, (head, *records[-1:]))
    if records and head.epoch < records[-1].epoch:
        yield Violation(Law.EPOCH_ORDER, case.session, (records[-1], head))
    yield from _authors(case)
    yield from _decisions(case)
    yield from _turns(case)


def _authors(case: Case) -> Iterator[Violation]:
    """Each epoch has one author, and each commit is whole. Store writes the first record."""
    records = list(case.records)
    for before, after in pairwise(records):
        if after.epoch < before.epoch:
            yield Violation(Law.EPOCH_ORDER, case.session, (before, after))
        elif after.epoch == before.epoch and before.seq > 1 and after.instance != before.instance:
            yield Violation(Law.WRONG_AUTHOR, case.session, (before, after))
    seen: set[str] = set()
    for (commit_id, _), together in groupby(
        records, key=lambda record: (record.commit_id, record.epoch)
    ):
        if commit_id in seen:
            yield Violation(Law.COMMIT_SPLIT, case.session, tuple(together))
        seen.add(commit_id)


def _decisions(case: Case) -> Iterator[Violation]:
    decided: dict[str, StoredRecord] = {}
    for record in case.records:
        if record.event is EventKind.REWOUND:
            past = case.past(record.seq)
            decided = {each.about: each for each in past if each.event is EventKind.DECIDED}
        elif record.event is EventKind.DECIDED:
            first = decided.setdefault(record.about, record)
            if first is not record:
                yield Violation(Law.DECIDED_TWICE, case.session, (first, record))


def _turns(case: Case) -> Iterator[Violation]:
    running = None
    for record in case.records:
        if record.event is EventKind.BEGUN:
            if running is not None:
                yield Violation(Law.TURN_ORDER, case.session, (running, record))
            running = record
        elif record.event is EventKind.ENDED:
            if running is None or running.about != record.about:
                yield Violation(Law.TURN_ORDER, case.session, (running, record))
            running = None
        elif record.event is EventKind.FORKED:
            running = None  # it stays behind
        elif record.event is EventKind.REWOUND and running is not None:
            yield Violation(Law.TURN_ORDER, case.session, (running, record))
