"""Deletion: for good, by one change, and only when asked for."""

from __future__ import annotations

from collections.abc import Iterator

from tests.faults.check.evidence import Case
from tests.faults.check.knowledge import Knowledge
from tests.faults.check.violation import Law, Violation
from tests.faults.history import Kind, Operation, Outcome
from tests.faults.history.entries import Attached

ABSENT = "SESSION_NOT_FOUND"


def check_deletion(case: Case, knowledge: Knowledge, *, buried: bool) -> Iterator[Violation]:
    """Yield each sign of a session before it was gone for no reason, or after it was gone.

    `buried` says whether there is a tombstone.
    """
    deleted = [each for each in case.deletions if each.outcome is Outcome.OK]
    keys = {(each.actor, each.op_id): each for each in deleted}
    if len(keys) > 1:
        yield Violation(Law.DELETED_TWICE, case.session, tuple(keys.values()))
    if case.stored is None and not case.deletions:
        known, source = knowledge.before(1 << 62)
        if known:
            law = Law.DELETED_UNASKED if buried else Law.ACKNOWLEDGED_LOST
            yield Violation(law, case.session, (source,))
        return
    absences = []
    for each in _absences(case, knowledge):
        if any(deletion.invoked < each.returned for deletion in case.deletions):
            absences.append(each)
        else:
            evidence = knowledge.before(each.invoked)[1], each
            yield Violation(Law.STALE_READ, case.session, evidence)
    gone = min((*deleted, *absences), key=lambda each: each.returned, default=None)
    if gone is None:
        return
    if case.stored is not None:
        yield Violation(Law.RETURNED_FROM_DELETION, case.session, (gone, case.stored.head))
    for sign in _signs(case, gone.returned):
        yield Violation(Law.RETURNED_FROM_DELETION, case.session, (gone, sign))


def _absences(case: Case, knowledge: Knowledge) -> Iterator[Operation]:
    """Yield each time its owner was told that the session, which had been there, is not there.

    Others may have no access, and then hear the same.
    """
    creation = case.creation
    if creation is None:
        return
    for asked in (*case.reads, *(each for tries in case.changes.values() for each in tries)):
        absent = asked.failure == ABSENT and asked.outcome is Outcome.FAIL
        if absent and asked.actor == creation.actor and knowledge.before(asked.invoked)[0]:
            yield asked


def _signs(case: Case, gone: int) -> Iterator[object]:
    """Yield what was granted though it was asked for after the session was known to be gone."""
    for tries in case.changes.values():
        for each in tries:
            if each.kind is not Kind.DELETE and each.outcome is Outcome.OK and each.invoked > gone:
                yield each
    for read in case.reads:
        if read.outcome is Outcome.OK and read.invoked > gone:
            yield read
    for listing, _ in case.listings:
        if listing.invoked > gone:
            yield listing
    for visit in case.visits.values():
        for entry in visit:
            if isinstance(entry, Attached) and entry.asked > gone:
                yield entry
