"""Answers that are not what is stored, each beside what is almost that."""

from __future__ import annotations

from tests.faults.check import Law
from tests.faults.check_stories import Story, asked, breaks, operation, reading, recorded
from tests.faults.history import EventKind, Kind, Outcome, digest


@breaks(Law.ACKNOWLEDGED_LOST)
def an_append_is_granted_and_not_there(told: Story, broken: bool) -> None:
    outcome = Outcome.OK if broken else Outcome.UNKNOWN
    told.add(asked(Kind.APPEND, "lost", 130, seq=11, outcome=outcome))


@breaks(Law.ACKNOWLEDGED_LOST)
def a_session_is_gone_that_nobody_deleted(told: Story, broken: bool) -> None:
    told.delete(130, outcome=Outcome.UNKNOWN)
    told.buried = False
    if broken:
        told.drop(operation("delete"))


@breaks(Law.ACKNOWLEDGED_TWICE)
def a_granted_append_is_stored_again(told: Story, broken: bool) -> None:
    op = "op-3" if broken else "op-11"
    told.lengthen(recorded(11, EventKind.MESSAGE, digest("three"), op_id=op))
    told.add(asked(Kind.APPEND, "op-11", 90, outcome=Outcome.UNKNOWN))


@breaks(Law.ACKNOWLEDGED_ELSEWHERE)
def a_repeated_append_gets_another_seq(told: Story, broken: bool) -> None:
    told.add(asked(Kind.APPEND, "op-3", 130, seq=2 if broken else 3, content=digest("three")))


@breaks(Law.ACKNOWLEDGED_ELSEWHERE)
def a_repeated_append_gets_another_seq_before_a_deletion(told: Story, broken: bool) -> None:
    told.delete(140)
    told.add(asked(Kind.APPEND, "new", 125, seq=11, content=digest("new")))
    told.add(asked(Kind.APPEND, "new", 130, seq=12 if broken else 11, content=digest("new")))


@breaks(Law.STORED_DIFFERENTLY)
def another_text_is_stored_than_was_asked_for(told: Story, broken: bool) -> None:
    told.change(operation("op-3"), content=digest("thirty") if broken else "")


@breaks(Law.FAILED_STORED)
def a_refused_append_is_stored(told: Story, broken: bool) -> None:
    outcome = Outcome.FAIL if broken else Outcome.UNKNOWN
    told.change(operation("op-3"), outcome=outcome, seq=0, failure="UNAVAILABLE")


@breaks(Law.UNKNOWN_TWICE)
def an_unknown_append_is_stored_again(told: Story, broken: bool) -> None:
    told.add(asked(Kind.APPEND, "maybe", 95, outcome=Outcome.UNKNOWN))
    told.lengthen(recorded(11, EventKind.MESSAGE, digest("maybe"), op_id="maybe"))
    if broken:
        told.lengthen(recorded(12, EventKind.MESSAGE, digest("maybe"), op_id="maybe"))


@breaks(Law.UNASKED_STORED)
def somebody_else_s_change_is_stored(told: Story, broken: bool) -> None:
    told.lengthen(recorded(11, EventKind.PAUSED, "", op_id="whose"))
    if not broken:
        told.add(asked(Kind.PAUSE, "whose", 130, outcome=Outcome.UNKNOWN))


@breaks(Law.UNCHANGED_WRONGLY)
def a_pause_changes_nothing_of_a_running_session(told: Story, broken: bool) -> None:
    told.add(asked(Kind.PAUSE, "again", 64, seq=7 if broken else 6, returned=75))


@breaks(Law.UNCHANGED_WRONGLY)
def the_other_decision_is_granted(told: Story, broken: bool) -> None:
    word = digest("rejected" if broken else "approved")
    told.add(asked(Kind.DECIDE, "again", 130, seq=10, about="o", content=word))


@breaks(Law.EXPECTATION_IGNORED)
def a_change_is_made_over_one_that_it_did_not_know(told: Story, broken: bool) -> None:
    told.change(operation("op-10"), expected=8 if broken else 9)


@breaks(Law.EXPECTATION_IGNORED)
def a_needless_change_passes_at_another_revision(told: Story, broken: bool) -> None:
    expected = 7 if broken else 10
    told.add(asked(Kind.RESUME, "again", 130, seq=10, expected=expected))


@breaks(Law.STRANGER_SERVED)
def a_session_is_shown_to_another_user(told: Story, broken: bool) -> None:
    told.change(reading(Kind.GET), actor="al/user/" if broken else "alice/user/")


@breaks(Law.STRANGER_SERVED)
def a_change_of_another_user_is_made(told: Story, broken: bool) -> None:
    actor = "al/user/" if broken else "al/admin/"
    told.change(operation("op-3"), actor=actor)
    told.store(3, actor=actor)
