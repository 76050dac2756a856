"""Lists that are not the sessions that there are, each beside what is almost that."""

from __future__ import annotations

from dataclasses import replace

from tests.faults.check import Law
from tests.faults.check_stories import Story, asked, breaks, reading
from tests.faults.final import StoredEntry
from tests.faults.history import Kind


@breaks(Law.INDEX_MISSING)
def a_session_has_no_entry(told: Story, broken: bool) -> None:
    if broken:
        told.index.clear()


@breaks(Law.INDEX_MISSING)
def a_listing_leaves_out_a_session(told: Story, broken: bool) -> None:
    invoked = 14 if broken else 12
    told.add(asked(Kind.LIST, "", invoked, session="", user="alice"))


@breaks(Law.INDEX_STALE)
def an_entry_is_older_than_its_session(told: Story, broken: bool) -> None:
    told.index = [StoredEntry("alice", "s", 9 if broken else 10)]


@breaks(Law.INDEX_ORPHAN)
def an_entry_outlives_its_session(told: Story, broken: bool) -> None:
    if broken:
        told.index.append(StoredEntry("alice", "other", 1))


@breaks(Law.INDEX_ORPHAN)
def a_session_is_in_another_user_s_list(told: Story, broken: bool) -> None:
    user = "bob" if broken else "alice"
    told.add(asked(Kind.LIST, "", 130, session="", user=user, listed=(("s", 10),)))


@breaks(Law.INDEX_TWICE)
def a_session_has_two_entries(told: Story, broken: bool) -> None:
    if broken:
        told.index.append(told.index[0])


@breaks(Law.INDEX_TWICE)
def a_listing_holds_a_session_twice(told: Story, broken: bool) -> None:
    told.change(reading(Kind.LIST), listed=(("s", 10),) * (2 if broken else 1))


@breaks(Law.AWAITED_DIFFERS)
def a_session_that_waits_is_not_in_its_agent_s_list(told: Story, broken: bool) -> None:
    told.head = replace(told.head, awaits="helper")
    told.awaited = frozenset(() if broken else {("helper", "s")})


@breaks(Law.AWAITED_DIFFERS)
def a_session_stays_in_the_list_of_an_agent_that_answered(told: Story, broken: bool) -> None:
    told.awaited = frozenset({("helper", "s")} if broken else ())


@breaks(Law.STRANGER_SERVED)
def a_list_is_shown_to_another_user(told: Story, broken: bool) -> None:
    actor = "mallory/user/" if broken else "alice/user/"
    told.change(reading(Kind.LIST), actor=actor)
