from __future__ import annotations

import pytest

from services.store.compaction import Compaction

NEED = 0.61


def seen_until(end: int) -> Compaction:
    """Return what looked every two seconds, while each second made a thousand revisions."""
    compaction = Compaction()
    for now in range(0, end + 1, 2):
        compaction.seen(now, 1000 * now + 1)
    return compaction


def test_five_minutes_stay() -> None:
    """The newest moment that is five minutes old is the one that history begins with."""
    compaction = seen_until(1000)
    assert compaction.due(1000, fill=0.6) == 700_001
    assert compaction.due(1001, fill=0.6) == 700_001
    assert compaction.due(1002, fill=0.6) == 702_001


def test_half_a_minute_stays_in_need() -> None:
    """Above 60 % of the quota, and not at it, 30 s stay."""
    assert seen_until(1000).due(1000, fill=NEED) == 970_001
    assert seen_until(1000).due(1000, fill=0.6) == 700_001


@pytest.mark.parametrize(("fill", "kept"), [(0.1, 300), (NEED, 30)])
def test_who_has_just_started_waits(fill: float, kept: int) -> None:
    """Without a moment that is old enough nothing is forgotten."""
    compaction = seen_until(kept - 2)
    assert compaction.due(kept - 1, fill) is None
    assert compaction.due(kept, fill) == 1


def test_a_minute_lies_between_two() -> None:
    """Once somebody tried, nothing is due for 60 s, and then what is old enough by then."""
    compaction = seen_until(1000)
    compaction.tried(1000)
    assert compaction.due(1059, fill=NEED) is None
    assert compaction.due(1060, fill=NEED) == 1_000_001


def test_what_is_forgotten_is_not_forgotten_again() -> None:
    """Where nothing was written since, nothing is due."""
    compaction = Compaction()
    compaction.seen(0, 7)
    compaction.seen(400, 7)
    assert compaction.due(400, fill=0.1) == 7
    compaction.done(7)
    assert compaction.due(800, fill=0.1) is None


def test_another_history_begins_anew() -> None:
    """Moments of an etcd that was replaced are worth nothing, and new ones count at once."""
    compaction = seen_until(1000)
    compaction.done(700_001)
    compaction.forget()
    assert compaction.due(2000, fill=0.1) is None
    compaction.seen(2000, 5)
    assert compaction.due(2300, fill=0.1) == 5
