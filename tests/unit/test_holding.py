"""Legal holds: what is held stays, whoever asks."""

from __future__ import annotations

import pytest

from sessiond.errors import InvalidArgument, LegalHold
from sessiond.session.changes import AppendMessage, DeleteSession, SetHold, SubmitOutput
from sessiond.session.holding import REASON_CHARACTERS
from sessiond.session.standing import HoldSet
from tests.unit.stories import ADMIN, ALICE, SERVICE, Story, bad_fields


def test_a_held_session_cannot_be_deleted() -> None:
    """Not by its owner, not by an administrator, until the hold ends; then it can."""
    story = Story()
    assert story.make(SetHold(True, "case 7"), ADMIN) == (HoldSet(True, "case 7"),)
    assert story.session.held
    for identity in (ALICE, SERVICE, ADMIN):
        with pytest.raises(LegalHold):
            story.decide(DeleteSession(), identity)
    story.make(SetHold(False), ADMIN)
    assert story.decide(DeleteSession()) == ()


def test_a_held_session_goes_on() -> None:
    """A hold keeps what there is, and stops nobody's work."""
    story = Story()
    story.make(SetHold(True), ADMIN)
    story.make(AppendMessage("on we go"))
    story.submit("o-1")
    assert story.session.held
    assert [type(record.event).__name__ for record in story.records[-2:]] == [
        "MessageAppended",
        "OutputSubmitted",
    ]


def test_what_stands_already_makes_no_event() -> None:
    """Whatever the reason."""
    story = Story()
    assert story.make(SetHold(False), ADMIN) == ()
    story.make(SetHold(True, "one"), ADMIN)
    assert story.make(SetHold(True, "another"), ADMIN) == ()


@pytest.mark.parametrize("reason", ["x" * (REASON_CHARACTERS + 1), "a\nb", "\x1b[31m", "\ud800"])
def test_a_reason_is_one_short_line(reason: str) -> None:
    """It is shown to people, in lists and terminals."""
    with pytest.raises(InvalidArgument) as refused:
        Story().decide(SetHold(True, reason), ADMIN)
    assert bad_fields(refused) == ["reason"]
    assert Story().decide(SetHold(True, "é" * REASON_CHARACTERS), ADMIN)


def test_a_full_session_can_still_be_deleted() -> None:
    """A deletion takes no room."""
    story = Story()
    while story.session.seq < 5:
        story.make(AppendMessage("x"))
    story.limits = type(story.limits)(events=4)
    assert story.decide(DeleteSession()) == ()
    with pytest.raises(Exception, match="may have 4"):
        story.decide(SubmitOutput("x", output_id="o-1"), SERVICE)
