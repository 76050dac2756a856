"""What clients were answered, against what is stored: each change once, at its seq, or not at all.

Of a deleted session nothing is stored: there the answers alone are compared with one another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from tests.faults.check.evidence import UNCHANGING, Case, Key
from tests.faults.check.members import OWNER, standings
from tests.faults.check.violation import Law, Violation
from tests.faults.final import StoredRecord
from tests.faults.history import EventKind, Kind, Operation, Outcome, digest, place

MADE = {
    Kind.CREATE: EventKind.CREATED,
    Kind.APPEND: EventKind.MESSAGE,
    Kind.UPDATE: EventKind.UPDATED,
    Kind.SUBMIT: EventKind.SUBMITTED,
    Kind.EDIT: EventKind.EDITED,
    Kind.DECIDE: EventKind.DECIDED,
    Kind.PAUSE: EventKind.PAUSED,
    Kind.RESUME: EventKind.RESUMED,
    Kind.BEGIN: EventKind.BEGUN,
    Kind.END: EventKind.ENDED,
    Kind.CANCEL: EventKind.ENDED,
    Kind.REWIND: EventKind.REWOUND,
    Kind.SHARE: EventKind.GRANTED,
    Kind.UNSHARE: EventKind.REVOKED,
    Kind.TRANSFER: EventKind.TRANSFERRED,
    Kind.FORK: EventKind.FORKED,
}
"""What each kind of change makes happen."""


def check_answers(case: Case) -> Iterator[Violation]:
    """Yield each change that was answered otherwise than it is stored."""
    if case.stored is None:
        yield from _answers_alone(case)
        return
    counts = Counter((record.actor, record.op_id) for record in case.records)
    for key, tries in case.changes.items():
        if tries[0].kind is not Kind.DELETE:
            yield from _change(case, tries, counts[key], case.placed.get(key))
    yield from _unasked(case, counts)


def _change(
    case: Case, tries: Sequence[Operation], count: int, record: StoredRecord | None
) -> Iterator[Violation]:
    granted = [each for each in tries if each.outcome is Outcome.OK]
    if record is None:
        for answer in granted:
            if answer.kind not in UNCHANGING:
                yield Violation(Law.ACKNOWLEDGED_LOST, case.session, (answer,))
            else:
                yield from _unchanged(case, answer)
        return
    if count > 1:
        law = Law.ACKNOWLEDGED_TWICE if granted else Law.UNKNOWN_TWICE
        same = [each for each in case.records if (each.actor, each.op_id) == _key(tries[0])]
        yield Violation(law, case.session, (*tries, *same))
    if all(each.outcome is Outcome.FAIL for each in tries):
        yield Violation(Law.FAILED_STORED, case.session, (*tries, record))
    if tries[0].expected and record.seq != tries[0].expected + 1:
        yield Violation(Law.EXPECTATION_IGNORED, case.session, (tries[0], record))
    for answer in tries:
        if answer.outcome is Outcome.OK and answer.seq != record.seq:
            # Tries of a change that changed nothing at first are judged by what they found.
            if answer.kind in UNCHANGING and 0 < answer.seq < record.seq:
                yield from _unchanged(case, answer)
            else:
                yield Violation(Law.ACKNOWLEDGED_ELSEWHERE, case.session, (answer, record))
    if not _is_what_was_asked(tries[0], record):
        yield Violation(Law.STORED_DIFFERENTLY, case.session, (tries[0], record))


def _key(change: Operation) -> Key:
    return change.actor, change.op_id


def _is_what_was_asked(change: Operation, record: StoredRecord) -> bool:
    return (
        record.event is MADE[change.kind]
        and (not change.content or record.content == change.content)
        and (not change.about or record.about == change.about)
    )


def _unchanged(case: Case, answer: Operation) -> Iterator[Violation]:
    """An answer without a record is right where the log at its seq had made the change needless."""
    if answer.expected not in (0, answer.seq):
        yield Violation(Law.EXPECTATION_IGNORED, case.session, (answer,))
    wanted = MADE[answer.kind]
    if answer.seq not in case.by_seq:
        yield Violation(Law.ACKNOWLEDGED_LOST, case.session, (answer,))
        return
    past = case.past(answer.seq)
    if answer.kind is Kind.REWIND:
        # Where it goes is made of the same records: there, or through another rewind.
        needless = any(
            answer.content == digest(place(seq)) and case.past(seq) == past
            for seq in range(1, answer.seq + 1)
        )
    elif answer.kind in (Kind.SHARE, Kind.UNSHARE, Kind.TRANSFER):
        needless = _is_that_already(case, answer)
    elif answer.kind in (Kind.PAUSE, Kind.RESUME):
        turned = [r.event for r in past if r.event in (EventKind.PAUSED, EventKind.RESUMED)]
        paused = bool(turned) and turned[-1] is EventKind.PAUSED
        needless = paused == (answer.kind is Kind.PAUSE)
    elif answer.kind in (Kind.END, Kind.CANCEL):
        needless = False  # a turn that has ended is not there: the answer would be a failure
    else:
        needless = any(
            (record.event is wanted or _brought(answer, record))
            and (not answer.about or record.about == answer.about)
            and (not answer.content or record.content == answer.content)
            for record in past
        )
        # Titles and inputs that a session began with are not in any digest.
        needless = needless or (answer.kind is Kind.UPDATE and not answer.content)
    if not needless:
        yield Violation(Law.UNCHANGED_WRONGLY, case.session, (answer, *past[-1:]))


def _is_that_already(case: Case, answer: Operation) -> bool:
    """Standings do not go back with a rewind: what counts is the last word on them."""
    role = ""
    for record, user, stands in standings(case):
        if user == answer.about and (record is None or record.seq <= answer.seq):
            role = stands
    match answer.kind:
        case Kind.SHARE:
            return digest(role) == answer.content
        case Kind.TRANSFER:
            return role == OWNER
    return role in ("", OWNER)  # an owner's membership is none that could be ended


def _brought(answer: Operation, record: StoredRecord) -> bool:
    """An edit is needless too where the output was submitted as it asks for."""
    return answer.kind is Kind.EDIT and record.event is EventKind.SUBMITTED


def _unasked(case: Case, counts: Counter[Key]) -> Iterator[Violation]:
    """The product ends turns by itself, and does nothing else that no client asked for."""
    actors = {actor for actor, _ in case.changes}
    copied = 0 if case.forked is None else case.forked.seq - 1
    for record in case.records:
        if record.seq <= copied:
            continue  # what was asked for is told of the parent
        key = record.actor, record.op_id
        if key in case.changes or (record.event is EventKind.ENDED and record.actor not in actors):
            continue
        yield Violation(Law.UNASKED_STORED, case.session, (record,))


def _answers_alone(case: Case) -> Iterator[Violation]:
    """Repeated answers agree."""
    granted = [
        each
        for tries in case.changes.values()
        for each in tries
        if each.outcome is Outcome.OK and each.kind is not Kind.DELETE
    ]
    told: dict[Key, Operation] = {}
    for answer in granted:
        first = told.setdefault(_key(answer), answer)
        if first.seq != answer.seq and answer.kind not in UNCHANGING:
            yield Violation(Law.ACKNOWLEDGED_ELSEWHERE, case.session, (first, answer))
