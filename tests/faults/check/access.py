"""Access: a user is served of their own sessions alone.

What agents, services and administrators may do depends on more than a history says.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.faults.check.evidence import Case
from tests.faults.check.violation import Law, Violation
from tests.faults.history import History, Kind, Operation, Outcome


def check_access(case: Case, owner: str) -> Iterator[Violation]:
    """Yield each change and read of a session that was granted to another user; "" is unknown."""
    asked = (*case.reads, *(each for tries in case.changes.values() for each in tries))
    for each in asked:
        if each.outcome is Outcome.OK and _is_stranger(each, owner):
            yield Violation(Law.STRANGER_SERVED, case.session, (each,))


def check_lists(history: History) -> Iterator[Violation]:
    """Yield each listing that was granted to another user."""
    asked = (each for each in history if isinstance(each, Operation))
    for each in asked:
        granted = each.kind is Kind.LIST and each.outcome is Outcome.OK
        if granted and _is_stranger(each, each.user):
            yield Violation(Law.STRANGER_SERVED, "", (each,))


def _is_stranger(asked: Operation, owner: str) -> bool:
    subject, _, rest = asked.actor.rpartition("/")[0].rpartition("/")
    return owner != "" and rest == "user" and subject != owner
