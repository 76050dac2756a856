"""Access: a user is served of a session as the role gives that they have in it, as its owner all.

What agents, services and administrators may do depends on more than a history says.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.faults.check.evidence import Case
from tests.faults.check.members import RIGHTS, Members
from tests.faults.check.violation import Law, Violation
from tests.faults.history import Attached, History, Kind, Operation, Outcome, Shown, Snapshot

GRACE = 1_000_000_000
"""How long after the end of a membership was answered a stream may still show what is made."""


def check_access(case: Case, members: Members) -> Iterator[Violation]:
    """Yield each change and read of a session that was granted to somebody who may not do it."""
    asked = (*case.reads, *(each for tries in case.changes.values() for each in tries))
    for each in asked:
        if each.outcome is Outcome.OK and (user := person(each.actor)):
            yield from _granted(case, members, user, each)
    for visit in case.visits.values():
        user = ""
        for entry in visit:
            if isinstance(entry, Attached):
                user = person(entry.actor)
                if user and not members.may_be(user, entry.asked, entry.at):
                    yield Violation(Law.STRANGER_SERVED, case.session, (entry,))
            elif user and isinstance(entry, Shown | Snapshot):
                yield from _shown(case, members, user, entry)


def check_lists(history: History) -> Iterator[Violation]:
    """Yield each listing that was granted to another user."""
    asked = (each for each in history if isinstance(each, Operation))
    for each in asked:
        granted = each.kind is Kind.LIST and each.outcome is Outcome.OK
        if granted and each.user and person(each.actor) not in ("", each.user):
            yield Violation(Law.STRANGER_SERVED, "", (each,))


def person(actor: str) -> str:
    """Return the user who asked; "" where it was an agent, a service or an administrator."""
    subject, _, role = actor.rpartition("/")[0].rpartition("/")
    return subject if role == "user" else ""


def _granted(case: Case, members: Members, user: str, asked: Operation) -> Iterator[Violation]:
    roles = members.may_be(user, asked.invoked, asked.returned)
    leaves = asked.kind is Kind.UNSHARE and asked.about == user
    if any(asked.kind in RIGHTS[role] for role in roles) or (roles and leaves):
        return
    known = members.may_be(user, 0, asked.returned)
    law = Law.MEMBER_EXCEEDED if known else Law.STRANGER_SERVED
    yield Violation(law, case.session, (f"may have been {sorted(roles)}", asked))


def _shown(case: Case, members: Members, user: str, entry: Shown | Snapshot) -> Iterator[Violation]:
    end = members.ended_by(user, entry.seq, entry.at)
    record = case.by_seq.get(entry.seq)
    if end is None or record is None:
        return
    tries = case.changes.get((record.actor, record.op_id), [])
    made = min((each.invoked for each in tries), default=0)
    if made > end.known + GRACE:
        yield Violation(Law.REVOKED_SHOWN, case.session, (end, record, entry))
