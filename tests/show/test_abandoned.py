"""When an abandoned turn has to end, and how that is judged."""

from __future__ import annotations

import pytest

from sessiond.session.access import Actor, Role
from sessiond.session.events import Record, TurnEnded
from sessiond.session.state import TurnOutcome
from show import abandoned, script
from show.audience import Shown
from show.outcome import Outcome
from tests.show.test_audience import Somebody

SYSTEM = Actor("sessiond", Role.SERVICE)
TEXT = script.script(9)


def judged(*, seen: float, text: str = TEXT, stored: str = "t") -> Outcome:
    """Judge a turn whose worker was killed at 100 s, as one watcher saw it end."""
    shown = Shown(text=TEXT[:20], message=TEXT, outcome="interrupted", ended=100.0 + seen)
    ended = Record(3, 0, SYSTEM, TurnEnded(stored, TurnOutcome.INTERRUPTED, "m", None, text))
    found = Outcome("turn", 1)
    abandoned.judge(found, [ended], [Somebody(t=shown)], "t", 100.0)
    return found


@pytest.mark.parametrize(("seen", "ok"), [(9.9, False), (10.0, True), (12.9, True), (13.1, False)])
def test_it_ends_from_ten_to_thirteen_seconds_after_its_worker(seen: float, ok: bool) -> None:
    """Neither before nor after."""
    assert judged(seen=seen).ok is ok


def test_its_text_is_what_was_written_and_the_same_for_all() -> None:
    """Another text, or none, is wrong."""
    assert not judged(seen=11.0, text=TEXT[3:]).ok
    assert not judged(seen=11.0, text="").ok


def test_it_has_to_end() -> None:
    """A turn that stays open is wrong."""
    assert judged(seen=11.0, stored="other").wrong == ["the abandoned turn did not end"]


def test_a_turn_whose_end_nobody_saw_is_wrong() -> None:
    """As one that did not end."""
    ended = Record(3, 0, SYSTEM, TurnEnded("t", TurnOutcome.INTERRUPTED, "m", None, TEXT))
    found = Outcome("turn", 1)
    abandoned.judge(found, [ended], [Somebody()], "t", 100.0)
    assert found.wrong == ["somebody did not see the turn end"]
