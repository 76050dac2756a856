"""The checker: what a history and what is stored at its end prove to be wrong, and nothing else.

It is pure. It knows no product, only the laws: a session is one log, changed by one owner at a
time; answers, reads, lists and streams are views of that log which agree with one another and with
real time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tests.faults.check.access import check_access, check_lists
from tests.faults.check.answers import check_answers
from tests.faults.check.contents import check_contents, check_reads, check_states
from tests.faults.check.deletion import check_deletion
from tests.faults.check.evidence import cases_of
from tests.faults.check.feed import check_feed, check_resets, readers
from tests.faults.check.forks import check_fork
from tests.faults.check.index import check_entries, check_listings
from tests.faults.check.knowledge import Knowledge
from tests.faults.check.log import check_log
from tests.faults.check.members import Members
from tests.faults.check.order import check_order
from tests.faults.check.streams import check_streams
from tests.faults.check.turns import check_turns
from tests.faults.check.violation import Law, Violation
from tests.faults.final import Final, StoredDraft
from tests.faults.history import History

__all__ = ["Law", "Violation", "check"]


def check(history: History, final: Final) -> list[Violation]:
    """Return all that is wrong; [] where nothing is.

    `history` must hold every operation of every client, and be closed before `final` was read.
    """
    return list(_violations(history, final))


def _violations(history: History, final: Final) -> Iterator[Violation]:
    cases = cases_of(history, final)
    knowledge = {session: Knowledge(case) for session, case in cases.items()}
    members = {session: Members(case) for session, case in cases.items()}
    fed = readers(history)
    drafts: defaultdict[str, list[StoredDraft]] = defaultdict(list)
    for draft in final.drafts:
        drafts[draft.session].append(draft)
    for session, case in cases.items():
        yield from check_log(case)
        yield from check_answers(case)
        yield from check_access(case, members[session])
        yield from check_contents(case)
        yield from check_reads(case)
        yield from check_states(case)
        yield from check_order(case, knowledge[session])
        buried = session in final.tombstones
        yield from check_deletion(case, knowledge[session], buried=buried)
        yield from check_fork(case, cases, members)
        yield from check_feed(case, fed, buried=buried)
        yield from check_streams(case, knowledge[session])
        yield from check_turns(case, drafts[session] if case.stored is not None else ())
    yield from check_lists(history)
    yield from check_entries(final)
    yield from check_listings(history, cases, knowledge, members)
    yield from check_resets(history)
