"""Who may have owned a session, or been a member of it, and as what, at any moment.

A grant, its end and a transfer take effect between being asked for and being answered. So there are
moments of which nobody can say; who is served then is served rightly.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

from tests.faults.check.evidence import Case
from tests.faults.final import StoredRecord
from tests.faults.history import EventKind, Kind, Outcome, digest

OWNER, EDITOR, APPROVER, VIEWER = "owner", "editor", "approver", "viewer"

ANYBODY = "*"
"""Who owns a session of which nobody knows the owner."""

_ROLES = {digest(role): role for role in (EDITOR, APPROVER, VIEWER)}
_EVER, _NEVER = -1, 1 << 62

READING = frozenset({Kind.GET, Kind.PAGES})
_OF_EDITORS = frozenset(
    {
        Kind.APPEND,
        Kind.UPDATE,
        Kind.SUBMIT,
        Kind.EDIT,
        Kind.PAUSE,
        Kind.RESUME,
        Kind.BEGIN,
        Kind.END,
        Kind.CANCEL,
    }
)
RIGHTS = {
    OWNER: frozenset(Kind),
    EDITOR: READING | _OF_EDITORS,
    APPROVER: READING | {Kind.DECIDE},
    VIEWER: READING,
}
"""What each role gives, beside leaving the session."""


@dataclass(frozen=True, slots=True)
class Step:
    """From a seq on somebody has a role, "" for none; when that was asked for, and known."""

    seq: int
    role: str
    asked: int
    known: int


def standings(case: Case) -> Iterator[tuple[StoredRecord | None, str, str]]:
    """Yield who became what by which record, in order; by none, who owned the session at first.

    A copy has its own from the event on that says what it is a copy of.
    """
    begins = 0 if case.forked is None else case.forked.seq
    records = [record for record in case.records if record.seq > begins]
    owner = _first_owner(case, records)
    yield None, owner, OWNER
    for record in records:
        match record.event:
            case EventKind.GRANTED:
                yield record, record.about, _ROLES.get(record.content, "")
            case EventKind.REVOKED:
                yield record, record.about, ""
            case EventKind.TRANSFERRED:
                yield record, owner, "" if owner == ANYBODY else EDITOR
                yield record, record.about, OWNER
                owner = record.about


def _first_owner(case: Case, records: list[StoredRecord]) -> str:
    stays = not any(record.event is EventKind.TRANSFERRED for record in records)
    if case.stored is not None and stays:
        return case.stored.head.user
    creation = case.creation
    return (creation.user if creation is not None else "") or ANYBODY


class Members:
    """The owner and the members of one session."""

    def __init__(self, case: Case) -> None:
        self._steps: dict[str, list[Step]] = {}
        if case.stored is None:
            self._may_all_have_stood(case)
            return
        for record, user, role in standings(case):
            if record is None:
                self._add(user, Step(0, role, _EVER, _EVER))
                continue
            tries = case.changes.get((record.actor, record.op_id), [])
            answers = [each.returned for each in tries if each.outcome is Outcome.OK]
            asked = min((each.invoked for each in tries), default=_EVER)
            self._add(user, Step(record.seq, role, asked, min(answers, default=_NEVER)))

    def _may_all_have_stood(self, case: Case) -> None:
        """Take every grant of a deleted session: nobody knows their order."""
        asked = [
            each
            for tries in case.changes.values()
            for each in tries
            if each.outcome is not Outcome.FAIL
        ]
        given = [each for each in asked if each.kind is Kind.TRANSFER]
        stays = _NEVER if given else _EVER
        self._add(_first_owner(case, []), Step(0, OWNER, _EVER, stays))
        for each in asked:
            if each.kind is Kind.SHARE:
                self._add(each.about, Step(0, _ROLES.get(each.content, ""), each.invoked, _NEVER))
            elif each.kind is Kind.TRANSFER:
                self._add(each.about, Step(0, OWNER, each.invoked, _NEVER))

    def _add(self, user: str, step: Step) -> None:
        self._steps.setdefault(user, []).append(step)

    def may_be(self, user: str, begun: int, ended: int) -> set[str]:
        """Return the roles that a user may have had at some moment between these."""
        return {
            step.role
            for each in (user, ANYBODY)
            for step, after in _with_next(self._steps.get(each, []))
            if step.role and step.asked < ended and not (after and after.known < begun)
        }

    def must_be(self, user: str, begun: int, ended: int) -> bool:
        """Return whether a user had a role all the time between these."""
        steps = self._steps.get(user, [])
        return any(
            step.role
            and step.known < begun
            and all(later.role or later.asked > ended for later in steps[at:])
            for at, step in enumerate(steps, start=1)
        )

    def ended_by(self, user: str, seq: int, at: int) -> Step | None:
        """Return the end of the membership that a user had by a seq; None where it may stand.

        It may where somebody asked for another one before `at`.
        """
        steps = self._steps.get(user, [])
        last = next((step for step in reversed(steps) if step.seq <= seq), None)
        again = any(step.role and step.seq > seq and step.asked < at for step in steps)
        return None if last is None or last.role or again else last


def _with_next(steps: list[Step]) -> Iterator[tuple[Step, Step | None]]:
    return zip_longest(steps, steps[1:])
