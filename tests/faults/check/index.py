"""Lists: a session stands in its user's list once, as it is, exactly while it is there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from tests.faults.check.evidence import Case
from tests.faults.check.knowledge import Knowledge
from tests.faults.check.members import Members
from tests.faults.check.violation import Law, Violation
from tests.faults.final import Final
from tests.faults.history import History, Kind, Operation, Outcome


def check_entries(final: Final) -> Iterator[Violation]:
    """Yield each entry that is not its session's, and each session without one."""
    counts = Counter(each.session for each in final.entries)
    for entry in final.entries:
        stored = final.sessions.get(entry.session)
        if stored is None or stored.head.user != entry.user:
            yield Violation(Law.INDEX_ORPHAN, entry.session, (entry,))
        elif counts[entry.session] > 1:
            yield Violation(Law.INDEX_TWICE, entry.session, (entry,))
        elif entry.revision != stored.head.seq:
            yield Violation(Law.INDEX_STALE, entry.session, (entry, stored.head))
    for session, stored in final.sessions.items():
        if session not in counts:
            yield Violation(Law.INDEX_MISSING, session, (stored.head,))
    yield from _awaited(final)
    for session in final.orphans | {draft.session for draft in final.drafts}:
        if session not in final.sessions:
            yield Violation(Law.CHILD_ORPHAN, session, ())


def _awaited(final: Final) -> Iterator[Violation]:
    if final.awaited is None:
        return
    heads = {session: stored.head for session, stored in final.sessions.items()}
    expected = {(head.awaits, session) for session, head in heads.items() if head.awaits}
    for agent, session in sorted(expected ^ final.awaited):
        evidence = f"of {agent}", heads.get(session)
        yield Violation(Law.AWAITED_DIFFERS, session, evidence)


def check_listings(
    history: History,
    cases: Mapping[str, Case],
    knowledge: Mapping[str, Knowledge],
    members: Mapping[str, Members],
) -> Iterator[Violation]:
    """Yield each session that a listing leaves out, though it was there, or holds twice.

    A listing holds what is the user's, and what others share with the user.
    """
    for entry in history:
        if not isinstance(entry, Operation):
            continue
        if entry.kind is not Kind.LIST or entry.outcome is not Outcome.OK:
            continue
        listed = Counter(session for session, _ in entry.listed)
        for session, count in listed.items():
            if count > 1:
                yield Violation(Law.INDEX_TWICE, session, (entry,))
            if not members[session].may_be(entry.user, entry.invoked, entry.returned):
                yield Violation(Law.INDEX_ORPHAN, session, (entry,))
        for session, case in cases.items():
            if not members[session].must_be(entry.user, entry.invoked, entry.returned):
                continue
            known, source = knowledge[session].before(entry.invoked)
            leaving = any(each.invoked < entry.returned for each in case.deletions)
            if known and not leaving and session not in listed:
                yield Violation(Law.INDEX_MISSING, session, (source, entry))
