"""Real time: changes stand in an order, and reads show a state, that could have been.

A change takes effect between its being asked for and its answer. So what was told before it was
asked for stands before it, and what is asked for later sees it.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.faults.check.evidence import Case
from tests.faults.check.knowledge import Knowledge, reach
from tests.faults.check.violation import Law, Violation
from tests.faults.history import READS, Operation, Outcome


def check_order(case: Case, knowledge: Knowledge) -> Iterator[Violation]:
    """Yield each change and read that contradicts what was known when it was asked for."""
    for tries in case.changes.values():
        first = min(tries, key=lambda each: each.invoked)
        known, source = knowledge.before(first.invoked)
        position = case.position(first)
        position = position or next((case.position(each) for each in tries), 0)
        if position and known >= position:
            yield Violation(_law(source), case.session, (source, first, f"it stands at {position}"))
        for each in tries:
            if each.outcome is Outcome.OK and not position and 0 < each.seq < known:
                yield Violation(Law.STALE_READ, case.session, (source, each))
    for read in case.reads:
        if read.outcome is Outcome.OK:
            known, source = knowledge.before(read.invoked)
            if reach(case, read)[1] < known:
                yield Violation(Law.STALE_READ, case.session, (source, read))
    for listing, revision in case.listings:
        known, source = knowledge.before(listing.invoked)
        if revision < known:
            yield Violation(Law.STALE_READ, case.session, (source, listing))


def _law(source: object) -> Law:
    if not isinstance(source, Operation):
        return Law.SHOWN_EARLY
    return Law.FUTURE_READ if source.kind in READS else Law.REAL_TIME_ORDER
