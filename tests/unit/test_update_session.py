"""Updates: title, metadata and inputs, each as it became."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sessiond.errors import InvalidArgument
from sessiond.session.changes import PauseSession, UpdateSession
from sessiond.session.events import SessionUpdated
from sessiond.session.limits import DEFAULT_LIMITS
from tests.unit.stories import Story, bad_fields

LIMITS = replace(DEFAULT_LIMITS, metadata_keys=2, metadata=20, user_inputs=20, title_characters=5)


def updated(story: Story, change: UpdateSession) -> SessionUpdated:
    story.make(change)
    assert isinstance(story.event, SessionUpdated)
    return story.event


def test_an_update_carries_results_and_leaves_the_rest() -> None:
    """Only what changed stands in the event, whole."""
    story = Story(asked={"metadata": {"a": "1", "b": "2"}, "user_inputs": '{"x":1,"y":{"z":2}}'})
    assert updated(story, UpdateSession(title="New")) == SessionUpdated(
        title="New", title_given=True
    )
    assert updated(story, UpdateSession(metadata={"a": "9", "b": None, "c": "3"})) == (
        SessionUpdated(metadata={"a": "9", "c": "3"})
    )
    patch = UpdateSession(user_inputs='{"x":null,"y":{"w":3}}')
    assert updated(story, patch) == SessionUpdated(user_inputs='{"y":{"z":2,"w":3}}')
    session = story.session
    assert (session.title, session.metadata) == ("New", {"a": "9", "c": "3"})
    assert (session.user_inputs, session.inputs_seq, session.seq) == ('{"y":{"z":2,"w":3}}', 4, 4)


def test_what_is_to_be_cleared_is_cleared_first() -> None:
    """Then what is given is set."""
    story = Story(asked={"metadata": {"a": "1"}, "user_inputs": '{"x":1}'})
    story.make(UpdateSession(clear_metadata=True, metadata={"b": "2"}))
    assert story.session.metadata == {"b": "2"}
    story.make(UpdateSession(clear_user_inputs=True, user_inputs='{"y":2}'))
    assert story.session.user_inputs == '{"y":2}'
    story.make(UpdateSession(clear_user_inputs=True, clear_metadata=True))
    assert (story.session.user_inputs, story.session.metadata) == ("{}", {})


@pytest.mark.parametrize(
    "change",
    [
        UpdateSession(),
        UpdateSession(title="Mine"),
        UpdateSession(metadata={"a": "1"}),
        UpdateSession(metadata={"gone": None}),
        UpdateSession(clear_metadata=True, metadata={"a": "1"}),
        UpdateSession(user_inputs="{}"),
        UpdateSession(user_inputs='{"x": 1}'),
        UpdateSession(user_inputs='{"gone": null}'),
        UpdateSession(clear_user_inputs=True, user_inputs='{"x":1}'),
    ],
)
def test_an_update_to_what_is_there_changes_nothing(change: UpdateSession) -> None:
    """No event, so no new revision."""
    story = Story(asked={"title": "Mine", "metadata": {"a": "1"}, "user_inputs": '{ "x": 1 }'})
    assert story.decide(change) == ()


def test_clearing_what_is_empty_changes_nothing() -> None:
    """However the empty object was written."""
    story = Story(asked={"user_inputs": "{ }"})
    assert story.decide(UpdateSession(title="", clear_user_inputs=True, clear_metadata=True)) == ()


def test_updates_pass_while_paused() -> None:
    """Only turns, outputs and decisions wait."""
    story = Story()
    story.make(PauseSession())
    story.make(UpdateSession(title="Later"))
    assert story.session.title == "Later"


@pytest.mark.parametrize(
    ("change", "good"),
    [
        (UpdateSession(title="1234"), True),
        (UpdateSession(title="12345"), True),
        (UpdateSession(title="123456"), False),
        (UpdateSession(metadata={"b": "x"}), True),
        (UpdateSession(metadata={"b": "x", "c": "x"}), False),
        (UpdateSession(metadata={"a": None, "b": "x", "c": "x"}), True),
        (UpdateSession(metadata={"a": "x" * 18}), True),
        (UpdateSession(metadata={"a": "x" * 19}), True),
        (UpdateSession(metadata={"a": "x" * 20}), False),
        (UpdateSession(user_inputs='{"yyy":234}'), True),
        (UpdateSession(user_inputs='{"yyy":2345}'), True),
        (UpdateSession(user_inputs='{"yyy":23456}'), False),
        (UpdateSession(user_inputs='{"x":null,"yyy":23456}'), True),
    ],
)
def test_limits_hold_for_what_an_update_leads_to(change: UpdateSession, good: bool) -> None:
    """The result counts, to the byte and to the key; inputs start as 9 of 20 bytes."""
    asked = {"metadata": {"a": "1"}, "user_inputs": '{"x":"1"}'}
    story = Story(limits=LIMITS, asked=asked)
    if good:
        assert story.decide(change) != ()
        return
    with pytest.raises(InvalidArgument) as refused:
        story.decide(change)
    assert bad_fields(refused)[0] in {"title", "metadata", "user_inputs"}
    assert len(bad_fields(refused)) == 1


def test_every_bad_field_of_an_update_is_named() -> None:
    """Title, a key, a value and the patch at once."""
    change = UpdateSession(title="\n", metadata={"": "x", "k": "\0"}, user_inputs='{"a":NaN}')
    with pytest.raises(InvalidArgument) as refused:
        Story().decide(change)
    assert bad_fields(refused) == ["title", "metadata", "metadata.k", "user_inputs"]


@pytest.mark.parametrize(("size", "good"), [(39, True), (40, True), (41, False)])
def test_a_patch_may_remove_everything_and_give_as_much_anew(size: int, good: bool) -> None:
    """So it may be twice as long as what it leads to."""
    story = Story(limits=LIMITS, asked={"user_inputs": '{"x":"1"}'})
    change = UpdateSession(user_inputs='{"x":null,"' + "y" * (size - 18) + '":null}')
    assert change.user_inputs is not None
    assert len(change.user_inputs) == size
    if good:
        story.make(change)
        assert story.session.user_inputs == "{}"
        return
    with pytest.raises(InvalidArgument) as refused:
        story.decide(change)
    assert bad_fields(refused) == ["user_inputs"]
