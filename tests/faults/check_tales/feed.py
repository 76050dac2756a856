"""What the feed can never say, each beside what is almost that."""

from __future__ import annotations

from collections.abc import Iterable

from tests.faults.check import Law
from tests.faults.check_stories import Story, breaks
from tests.faults.history import Fed, FedDeletion, FedReset


def fed(told: Story, seqs: Iterable[int], at: int = 200) -> None:
    """Let a reader be told of these events."""
    for place, seq in enumerate(seqs):
        record = told.records[seq - 1]
        said = record.op_id, record.event, record.content, record.about
        told.add(Fed("feed", "s", at + place, seq, *said))


@breaks(Law.FEED_GAP)
def a_change_is_told_before_the_one_that_it_follows(told: Story, broken: bool) -> None:
    fed(told, (1, 2, 4, 3, 4) if broken else (1, 2, 3, 2, 3, 4))
    fed(told, range(5, 11), 210)


@breaks(Law.FEED_GAP)
def a_deleted_session_changes(told: Story, broken: bool) -> None:
    told.delete(130)
    fed(told, range(1, 11))
    told.add(FedDeletion("feed", "s", 205 if broken else 215))


@breaks(Law.FEED_LOST)
def the_last_change_is_never_told(told: Story, broken: bool) -> None:
    fed(told, range(1, 10 if broken else 11))


@breaks(Law.FEED_LOST)
def a_deletion_is_never_told(told: Story, broken: bool) -> None:
    told.delete(130)
    fed(told, range(1, 11))
    if not broken:
        told.add(FedDeletion("feed", "s", 215))


@breaks(Law.FEED_RESET)
def the_feed_begins_anew_for_no_reason(told: Story, broken: bool) -> None:
    fed(told, range(1, 11))
    if broken:
        told.add(FedReset("feed", 220))


@breaks(Law.TWO_CONTENTS)
def the_feed_tells_another_text_than_is_stored(told: Story, broken: bool) -> None:
    fed(told, range(1, 11))
    place = next(
        n for n, each in enumerate(told.entries) if isinstance(each, Fed) and each.seq == 3
    )
    if broken:
        record = told.records[2]
        told.entries[place] = Fed("feed", "s", 202, 3, record.op_id, record.event, "thirty")
