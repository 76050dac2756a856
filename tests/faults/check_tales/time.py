"""What cannot have been at its time, each beside what is almost that; and deletions."""

from __future__ import annotations

from tests.faults.check import Law
from tests.faults.check_stories import MESSAGES, Story, a, asked, breaks, operation, reading, shown
from tests.faults.history import Attached, Kind, Outcome, Snapshot


@breaks(Law.REAL_TIME_ORDER)
def a_later_append_stands_before_an_earlier_one(told: Story, broken: bool) -> None:
    told.change(operation("op-3"), invoked=44 if broken else 42, returned=60)
    told.change(shown(3), at=50)
    told.change(shown(4), at=51)


@breaks(Law.STALE_READ)
def a_read_misses_what_was_acknowledged(told: Story, broken: bool) -> None:
    invoked = 104 if broken else 102
    told.change(reading(Kind.GET), seq=9, invoked=invoked, returned=111)


@breaks(Law.STALE_READ)
def a_page_misses_the_newest_message(told: Story, broken: bool) -> None:
    invoked = 94 if broken else 92
    told.change(reading(Kind.PAGES), messages=MESSAGES[:2], invoked=invoked, returned=116)


@breaks(Law.STALE_READ)
def a_listing_is_older_than_a_read_before_it(told: Story, broken: bool) -> None:
    told.add(asked(Kind.GET, "", 100, seq=10, returned=101, messages=MESSAGES))
    invoked = 102 if broken else 100
    told.change(reading(Kind.LIST), listed=(("s", 9),), invoked=invoked)


@breaks(Law.STALE_READ)
def a_session_that_is_there_is_not_found(told: Story, broken: bool) -> None:
    invoked, gone = 20 if broken else 9, "SESSION_NOT_FOUND"
    told.add(asked(Kind.GET, "", invoked, outcome=Outcome.FAIL, failure=gone))


@breaks(Law.FUTURE_READ)
def a_read_holds_what_was_asked_for_later(told: Story, broken: bool) -> None:
    returned = 99 if broken else 101
    told.add(asked(Kind.GET, "", 95, seq=10, returned=returned, messages=MESSAGES))


@breaks(Law.SHOWN_EARLY)
def an_event_is_shown_before_it_was_asked_for(told: Story, broken: bool) -> None:
    told.change(shown(10), at=99 if broken else 101)


@breaks(Law.READ_TORN)
def a_read_leaves_out_a_message(told: Story, broken: bool) -> None:
    told.change(reading(Kind.GET), messages=MESSAGES[1:], tail=None if broken else 2)


@breaks(Law.READ_TORN)
def a_snapshot_leaves_out_a_message(told: Story, broken: bool) -> None:
    told.change(a(Snapshot), messages=MESSAGES[1:], tail=50 if broken else 2)


@breaks(Law.RETURNED_FROM_DELETION)
def a_late_append_is_granted(told: Story, broken: bool) -> None:
    told.delete(130)
    told.add(asked(Kind.APPEND, "late", 134 if broken else 129, seq=11, returned=140))


@breaks(Law.RETURNED_FROM_DELETION)
def a_deleted_session_is_stored(told: Story, broken: bool) -> None:
    told.delete(130, outcome=Outcome.OK if broken else Outcome.UNKNOWN)
    told.gone = told.buried = False


@breaks(Law.RETURNED_FROM_DELETION)
def a_session_is_listed_after_it_was_not_found(told: Story, broken: bool) -> None:
    told.delete(121, outcome=Outcome.UNKNOWN)
    told.add(asked(Kind.GET, "", 122, outcome=Outcome.FAIL, failure="SESSION_NOT_FOUND"))
    invoked = 126 if broken else 124
    told.add(
        asked(Kind.LIST, "", invoked, session="", user="alice", listed=(("s", 10),), returned=130)
    )


@breaks(Law.RETURNED_FROM_DELETION)
def a_deleted_session_is_attached(told: Story, broken: bool) -> None:
    told.delete(130)
    told.add(Attached("b", 1, "s", 134 if broken else 132, 135, False, "l", 10))


@breaks(Law.RETURNED_FROM_DELETION)
def a_session_is_attached_after_it_was_not_found(told: Story, broken: bool) -> None:
    told.delete(121, returned=130)
    told.add(asked(Kind.GET, "", 122, outcome=Outcome.FAIL, failure="SESSION_NOT_FOUND"))
    told.add(Attached("b", 1, "s", 126 if broken else 124, 135, False, "l", 10))


@breaks(Law.DELETED_TWICE)
def two_deletions_are_granted(told: Story, broken: bool) -> None:
    told.delete(130)
    told.add(asked(Kind.DELETE, "other" if broken else "delete", 131))


@breaks(Law.DELETED_UNASKED)
def a_tombstone_stands_where_nobody_deleted(told: Story, broken: bool) -> None:
    told.delete(130, outcome=Outcome.FAIL if broken else Outcome.UNKNOWN)
