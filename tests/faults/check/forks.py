"""Forks: whole or absent, and as far as they are copies, what they are copies of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.faults.check.access import person
from tests.faults.check.evidence import Case
from tests.faults.check.knowledge import tellings
from tests.faults.check.members import Members
from tests.faults.check.violation import Law, Violation
from tests.faults.final import StoredRecord
from tests.faults.history import Kind, Operation, Outcome


def check_fork(
    case: Case, cases: Mapping[str, Case], members: Mapping[str, Members]
) -> Iterator[Violation]:
    """Yield where a fork is not whole, where it was seen before, and what was copied wrongly."""
    for tries in case.changes.values():
        for each in tries:
            if each.kind is Kind.FORK and each.outcome is Outcome.OK:
                yield from _granted(each, cases, members)
    asked = [key for key, tries in case.changes.items() if tries[0].kind is Kind.FORK]
    if asked and case.stored is not None and not any(key in case.placed for key in asked):
        yield Violation(Law.FORK_HALF, case.session, (case.stored.head,))
    forked = case.forked
    if forked is None:
        return
    if forked.past != forked.seq - 1:
        yield Violation(Law.FORK_HALF, case.session, (forked,))
    for _, seq, source in tellings(case):
        paged = isinstance(source, Operation) and source.kind is Kind.PAGES
        if 0 < seq < forked.seq and not paged:  # pages do not say their revision
            yield Violation(Law.FORK_HALF, case.session, (forked, source))
    parent = cases.get(forked.about)
    if parent is None or parent.stored is None:
        return
    for seq in range(1, forked.seq):
        original, copy = parent.by_seq.get(seq), case.by_seq.get(seq)
        if original is None or copy is None or _copied(original) != _copied(copy) or copy.op_id:
            yield Violation(Law.FORK_DIFFERS, case.session, (original, copy))
            return


def _granted(
    fork: Operation, cases: Mapping[str, Case], members: Mapping[str, Members]
) -> Iterator[Violation]:
    """Whoever forks a session may read it."""
    parent = cases.get(fork.about)
    user = "" if parent is None else person(fork.actor)
    if user and not members[fork.about].may_be(user, fork.invoked, fork.returned):
        yield Violation(Law.STRANGER_SERVED, fork.about, (fork,))


def _copied(record: StoredRecord) -> tuple[Any, ...]:
    """Return what a copy keeps of a record."""
    return (
        record.time_ms,
        record.actor,
        record.event,
        record.content,
        record.about,
        record.text,
        record.completed,
        record.past,
    )
