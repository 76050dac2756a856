"""A browser's fold of JSON, and what it says about another session."""

from __future__ import annotations

from typing import Any

import pytest

from show.fold import Fold, UnknownEvent, difference

LOADED: dict[str, Any] = {
    "id": "s",
    "title": "",
    "userInputs": {"a": 1},
    "agentOutputs": {"o": {"content": "out"}},
    "conversationHistory": [{"id": "m2"}],
    "lastActive": "then",
    "revision": 2,
}


def folded() -> Fold:
    """A fold of a snapshot in parts."""
    fold = Fold()
    state = {**LOADED, "userInputs": {}, "agentOutputs": {}, "conversationHistory": []}
    fold.take_snapshot({"state": {"session": state}, "last": False})
    fold.take_snapshot({"userInputs": {"a": 1}, "last": False})
    output = {"outputId": "o", "output": {"content": "out"}}
    fold.take_snapshot({"output": output, "last": False})
    fold.take_snapshot({"messages": {"messages": [{"id": "m2"}]}, "last": True})
    return fold


def event(seq: int, **happened: Any) -> dict[str, Any]:
    return {"seq": seq, "time": f"t{seq}", "opId": f"op-{seq}", **happened}


def test_the_parts_of_a_snapshot_are_a_session() -> None:
    """Nothing counts before the last part is there."""
    assert difference(folded().session, LOADED) == ""
    half = Fold()
    half.take_snapshot({"state": {"session": dict(LOADED)}, "last": False})
    assert (half.session, half.seq) == (None, 0)


def test_events_are_folded_into_it() -> None:
    """A message and its title, and the end of a turn with its message, or without one."""
    fold = folded()
    fold.take_event(event(3, messageAppended={"message": {"id": "m3"}, "title": "New"}))
    fold.take_event(event(4, messageAppended={"message": {"id": "m4"}}))
    fold.take_event(event(5, turnBegun={"turnId": "t"}))
    fold.take_event(event(6, turnEnded={"turnId": "t", "message": {"id": "m6"}}))
    fold.take_event(event(7, turnBegun={"turnId": "u"}))
    fold.take_event(event(8, turnEnded={"turnId": "u"}))
    history = [{"id": each} for each in ("m2", "m3", "m4", "m6")]
    expected = {**LOADED, "title": "New", "conversationHistory": history}
    assert difference(fold.session, {**expected, "lastActive": "t8", "revision": 8}) == ""
    assert fold.seq == 8


def test_a_difference_names_its_fields() -> None:
    """Also those that only one side has."""
    held = {**LOADED, "title": "Other", "more": 1}
    assert difference(held, LOADED) == "title, more"
    assert difference(None, LOADED) == "there is none"


def test_what_is_not_known_is_not_passed_over() -> None:
    """A fold that ignores an event would agree with anything."""
    with pytest.raises(UnknownEvent):
        folded().take_event(event(3, sessionPaused={}))
    with pytest.raises(UnknownEvent):
        Fold().take_event(event(3, turnBegun={}))
    with pytest.raises(UnknownEvent):
        Fold().take_snapshot({"messages": {"messages": []}, "last": True})
