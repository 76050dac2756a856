"""Logs that no single owner at a time can have written, each beside what is almost that."""

from __future__ import annotations

from dataclasses import replace

from tests.faults.check import Law
from tests.faults.check_stories import Story, asked, breaks, recorded
from tests.faults.final import StoredEntry
from tests.faults.history import EventKind, Kind, Outcome, digest


@breaks(Law.SEQ_HOLE)
def a_record_is_missing(told: Story, broken: bool) -> None:
    if broken:
        told.lengthen(recorded(12, EventKind.MESSAGE, digest("late"), op_id="late"))
    else:
        told.lengthen(recorded(11, EventKind.MESSAGE, digest("late"), op_id="late"))
    told.add(asked(Kind.APPEND, "late", 130, outcome=Outcome.UNKNOWN))


@breaks(Law.HEAD_DIFFERS)
def the_head_is_ahead_of_the_log(told: Story, broken: bool) -> None:
    told.head = replace(told.head, seq=11 if broken else 10)
    told.index = [StoredEntry("alice", "s", told.head.seq)]


@breaks(Law.EPOCH_ORDER)
def a_former_owner_writes_after_the_new_one(told: Story, broken: bool) -> None:
    if broken:
        told.store(9, epoch=1, instance="i1")
        told.store(10, epoch=2, instance="i2")
    else:
        told.store(8, epoch=1, instance="i1")


@breaks(Law.EPOCH_ORDER)
def the_head_is_of_an_older_epoch_than_the_log(told: Story, broken: bool) -> None:
    told.head = replace(told.head, epoch=1 if broken else 3)


@breaks(Law.WRONG_AUTHOR)
def two_instances_write_in_one_epoch(told: Story, broken: bool) -> None:
    told.store(10, instance="i3", epoch=2 if broken else 3)
    told.head = replace(told.head, epoch=3)


@breaks(Law.COMMIT_SPLIT)
def a_commit_stands_in_two_places(told: Story, broken: bool) -> None:
    told.store(2, commit_id="c4" if broken else "c3")


@breaks(Law.DECIDED_TWICE)
def an_output_is_decided_again(told: Story, broken: bool) -> None:
    about = "o" if broken else "o2"
    told.lengthen(recorded(11, EventKind.DECIDED, digest("rejected"), about))
    told.add(asked(Kind.DECIDE, "op-11", 130, seq=11, about=about))


@breaks(Law.TURN_ORDER)
def a_turn_begins_while_one_runs(told: Story, broken: bool) -> None:
    for seq in (11, 12) if broken else (11,):
        told.lengthen(recorded(seq, EventKind.BEGUN, "", f"t{seq}"))
        told.add(asked(Kind.BEGIN, f"op-{seq}", 10 * seq + 20, seq=seq))


@breaks(Law.TURN_ORDER)
def a_turn_ends_twice(told: Story, broken: bool) -> None:
    if not broken:
        told.lengthen(recorded(11, EventKind.BEGUN, "", "t2", actor="alice"))
        told.add(asked(Kind.BEGIN, "op-11", 130, seq=11))
    seq, turn = (11, "t") if broken else (12, "t2")
    told.lengthen(recorded(seq, EventKind.ENDED, "", turn, actor="sessiond", op_id="by itself"))
