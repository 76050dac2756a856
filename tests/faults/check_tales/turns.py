"""Texts of turns that are not what was written, each beside what is almost that."""

from __future__ import annotations

from dataclasses import replace

from tests.faults.check import Law
from tests.faults.check_stories import Story, asked, breaks, recorded
from tests.faults.final import StoredDraft
from tests.faults.history import Attached, EventKind, Kind, Reset, Snapshot, Token, Written


@breaks(Law.TOKEN_HOLE)
def a_token_leaves_a_hole(told: Story, broken: bool) -> None:
    told.drop(lambda each: isinstance(each, Token) and each.offset == (0 if broken else 2))


@breaks(Law.TOKEN_REPEAT)
def a_token_is_shown_again(told: Story, broken: bool) -> None:
    told.add(Token("a", 1, "s", 88, "t", 2 if broken else 4, "cd" if broken else ""))


@breaks(Law.TOKEN_REPEAT)
def a_reader_that_joins_gets_again_what_it_has(told: Story, broken: bool) -> None:
    told.add(Attached("b", 1, "s", 86, 87, True, "l", 8, log="l", cursor=8, turns=(("t", "ab"),)))
    told.add(Token("b", 1, "s", 89, "t", 0 if broken else 2, "abcd" if broken else "cd"))


@breaks(Law.TOKEN_REPEAT)
def a_token_is_shown_again_and_no_reset_allows_it(told: Story, broken: bool) -> None:
    told.drop(lambda each: isinstance(each, Token) and each.offset == 2)
    if not broken:
        told.add(Reset("a", 1, "s", 88, "SLOW_READER"))
        told.add(Snapshot("a", 1, "s", 88, "l", 8, (), 0))
    told.add(Token("a", 1, "s", 89, "t", 0, "abcd"))


@breaks(Law.TOKEN_AFTER_END)
def a_token_comes_after_the_end(told: Story, broken: bool) -> None:
    told.drop(lambda each: isinstance(each, Token) and each.offset == 2)
    told.add(Token("a", 1, "s", 95 if broken else 89, "t", 2, "cd"))


@breaks(Law.TURN_TEXT)
def a_token_is_not_what_its_worker_wrote(told: Story, broken: bool) -> None:
    text = "cx" if broken else "cd"
    told.change(lambda each: isinstance(each, Token) and each.offset == 2, text=text)


@breaks(Law.TURN_TEXT)
def a_turn_that_was_completed_lost_its_end(told: Story, broken: bool) -> None:
    told.store(9, text="abc", completed=broken)


@breaks(Law.TURN_TEXT)
def a_token_comes_before_it_was_written(told: Story, broken: bool) -> None:
    written_at = 89 if broken else 87
    told.change(lambda each: isinstance(each, Written) and each.offset == 2, at=written_at)


@breaks(Law.DRAFT_ORPHAN)
def a_draft_outlives_its_turn(told: Story, broken: bool) -> None:
    told.drafts.append(StoredDraft("s", "t", 0, "ab"))
    if not broken:
        told.lengthen(recorded(11, EventKind.BEGUN, "", "t2"))
        told.add(asked(Kind.BEGIN, "op-11", 130, seq=11))
        told.drafts[0] = replace(told.drafts[0], turn="t2")


@breaks(Law.CHILD_ORPHAN)
def records_outlive_their_session(told: Story, broken: bool) -> None:
    told.delete(130)
    told.orphans = frozenset({"s"} if broken else ())
