"""The feed: every change of every session at least once, and those of one session in order."""

from __future__ import annotations

from collections.abc import Iterator, Set

from tests.faults.check.evidence import Case
from tests.faults.check.violation import Law, Violation
from tests.faults.history import Fed, FedDeletion, FedReset, History


def readers(history: History) -> frozenset[str]:
    """Return who follows the feed."""
    return frozenset(each.client for each in history if isinstance(each, Fed | FedDeletion))


def check_feed(case: Case, clients: Set[str], *, buried: bool) -> Iterator[Violation]:
    """Yield what each reader was told out of order, and what it was not told by the end.

    What was told may be told again, from any earlier change on. `buried` says whether there is a
    tombstone.
    """
    for client in sorted(clients):
        told, gone = 0, False
        for entry in case.fed[client]:
            if isinstance(entry, FedDeletion):
                gone = True
                continue
            if entry.seq > told + 1 or gone:
                before = "its deletion" if gone else f"change {told}"
                yield Violation(Law.FEED_GAP, case.session, (f"after {before}", entry))
            told = max(told, entry.seq)
        if case.stored is not None and told < case.stored.head.seq:
            evidence = f"{client} was told {told} changes", case.stored.head
            yield Violation(Law.FEED_LOST, case.session, evidence)
        elif case.stored is None and buried and not gone:
            yield Violation(Law.FEED_LOST, case.session, (f"{client} knows of no deletion",))


def check_resets(history: History) -> Iterator[Violation]:
    """Yield each word that deletions may be missing: no round lasts a day."""
    for entry in history:
        if isinstance(entry, FedReset):
            yield Violation(Law.FEED_RESET, "", (entry,))
