"""Streams that are no slice of the log, each beside what is almost that."""

from __future__ import annotations

from tests.faults.check import Law
from tests.faults.check_stories import (
    MESSAGES,
    Story,
    a,
    asked,
    breaks,
    operation,
    reading,
    recorded,
    shown,
)
from tests.faults.history import (
    Attached,
    CaughtUp,
    EventKind,
    Kind,
    Outcome,
    Reset,
    Shown,
    Snapshot,
    digest,
)


@breaks(Law.TWO_CONTENTS)
def a_reader_is_shown_another_text_than_is_stored(told: Story, broken: bool) -> None:
    told.change(shown(3), content=digest("thirty" if broken else "three"))


@breaks(Law.TWO_CONTENTS)
def two_streams_tell_of_one_seq_differently(told: Story, broken: bool) -> None:
    told.delete(200)
    told.add(Attached("b", 1, "s", 130, 131, True, "l", 10, log="l", cursor=9))
    op = "other" if broken else "op-10"
    told.add(Shown("b", 1, "s", 132, 10, op, EventKind.UPDATED, digest("ten")))


@breaks(Law.WRONG_LOG)
def a_cursor_of_another_log_is_served(told: Story, broken: bool) -> None:
    log = "other" if broken else "l"
    told.change(a(Attached, 1), log=log)


@breaks(Law.STREAM_GAP)
def a_stream_leaves_out_an_event(told: Story, broken: bool) -> None:
    told.drop(shown(5 if broken else 10))


@breaks(Law.STREAM_GAP)
def a_stream_says_that_it_caught_up_and_did_not(told: Story, broken: bool) -> None:
    told.drop(shown(10))
    told.add(CaughtUp("a", 1, "s", 109, 10 if broken else 9))


@breaks(Law.STREAM_GAP)
def a_resumed_stream_begins_one_too_late(told: Story, broken: bool) -> None:
    told.add(Attached("b", 1, "s", 130, 131, True, "l", 10, log="l", cursor=8 if broken else 9))
    told.add(Shown("b", 1, "s", 132, 10, "op-10", EventKind.UPDATED, digest("ten")))


@breaks(Law.STREAM_LATE)
def a_stream_begins_without_what_was_acknowledged(told: Story, broken: bool) -> None:
    told.change(a(Attached, 2), asked=104 if broken else 102, head=9)


@breaks(Law.STREAM_LATE)
def a_stream_begins_without_what_another_has_shown(told: Story, broken: bool) -> None:
    told.change(operation("op-10"), returned=110)
    told.change(shown(10), at=103)
    told.change(a(Attached, 2), asked=104 if broken else 102, head=9)


@breaks(Law.STREAM_LATE)
def a_stream_begins_without_what_was_read(told: Story, broken: bool) -> None:
    told.change(operation("op-10"), returned=110)
    told.drop(shown(10))
    told.add(asked(Kind.GET, "", 100, seq=10, returned=103, messages=MESSAGES))
    told.change(a(Attached, 2), asked=104 if broken else 102, head=9)


@breaks(Law.STREAM_REPEAT)
def a_resumed_stream_begins_one_too_early(told: Story, broken: bool) -> None:
    told.add(Attached("b", 1, "s", 130, 131, True, "l", 10, log="l", cursor=10 if broken else 9))
    told.add(Shown("b", 1, "s", 132, 10, "op-10", EventKind.UPDATED, digest("ten")))


@breaks(Law.STREAM_BACK)
def a_snapshot_is_older_than_what_the_client_had(told: Story, broken: bool) -> None:
    told.add(Reset("a", 1, "s", 109, "CURSOR_TOO_OLD"))
    told.add(Snapshot("a", 1, "s", 110, "l", 9 if broken else 10, MESSAGES, 50))


@breaks(Law.SHOWN_NOT_STORED)
def an_event_is_shown_that_is_not_stored(told: Story, broken: bool) -> None:
    told.add(Shown("a", 1, "s", 130, 11, "maybe", EventKind.MESSAGE, digest("maybe")))
    told.add(asked(Kind.APPEND, "maybe", 125, outcome=Outcome.UNKNOWN))
    if not broken:
        told.lengthen(recorded(11, EventKind.MESSAGE, digest("maybe"), op_id="maybe"))


@breaks(Law.SHOWN_NOT_STORED)
def a_read_is_of_a_revision_that_is_not_stored(told: Story, broken: bool) -> None:
    told.change(reading(Kind.GET), seq=11 if broken else 10)
    told.change(reading(Kind.LIST), listed=(("s", 11 if broken else 10),))
