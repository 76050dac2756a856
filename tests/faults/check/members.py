"""Who may have been a member of a session, and as what, at any moment.

A grant and its end take effect between being asked for and being answered. So there are moments of
which nobody can say; who is served then is served rightly.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest

from tests.faults.check.evidence import Case
from tests.faults.history import EventKind, Kind, Outcome, digest

EDITOR, APPROVER, VIEWER = "editor", "approver", "viewer"

_ROLES = {digest(role): role for role in (EDITOR, APPROVER, VIEWER)}
_NEVER = 1 << 62

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


class Members:
    """The members of one session."""

    def __init__(self, case: Case) -> None:
        self._steps: dict[str, list[Step]] = {}
        if case.stored is None:
            # Of a deleted session nobody knows the order, so every grant may have stood.
            for tries in case.changes.values():
                for each in tries:
                    if each.kind is Kind.SHARE and each.outcome is not Outcome.FAIL:
                        role = _ROLES.get(each.content, "")
                        step = Step(0, role, each.invoked, _NEVER)
                        self._steps.setdefault(each.about, []).append(step)
            return
        for record in case.records:
            if record.event not in (EventKind.GRANTED, EventKind.REVOKED):
                continue
            tries = case.changes.get((record.actor, record.op_id), [])
            answers = [each.returned for each in tries if each.outcome is Outcome.OK]
            step = Step(
                record.seq,
                _ROLES.get(record.content, "") if record.event is EventKind.GRANTED else "",
                min((each.invoked for each in tries), default=0),
                min(answers, default=_NEVER),
            )
            self._steps.setdefault(record.about, []).append(step)

    def may_be(self, user: str, begun: int, ended: int) -> set[str]:
        """Return the roles that a user may have had at some moment between these."""
        steps = self._steps.get(user, [])
        return {
            step.role
            for step, after in zip_longest(steps, steps[1:])
            if step.role and step.asked < ended and not (after and after.known < begun)
        }

    def must_be(self, user: str, begun: int, ended: int) -> bool:
        """Return whether a user had a role all the time between these."""
        steps = self._steps.get(user, [])
        return any(
            step.role and step.known < begun and all(later.asked > ended for later in steps[at:])
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
