"""Titles that the first user message gives."""

from __future__ import annotations

import pytest

from sessiond.session.changes import AppendMessage, UpdateSession
from sessiond.session.state import Sender
from sessiond.session.title import title_of
from tests.unit.stories import SERVICE, Story

SIXTY = "1234567890" * 6


@pytest.mark.parametrize(
    ("content", "title"),
    [
        ("Plan the launch", "Plan the launch"),
        ("  Plan\n\n\tthe   launch ", "Plan the launch"),
        ("Plan\x07the\x85launch\x7f", "Plan the launch"),
        ("", ""),
        (" \n\t ", ""),
        (SIXTY, SIXTY),
        (SIXTY + "1", SIXTY),
        (SIXTY[:59] + " b", SIXTY[:59]),
        (SIXTY[:58] + " b", SIXTY[:58] + " b"),
        (SIXTY + " next", SIXTY),
        ("a " + SIXTY[:58] + " next", "a " + SIXTY[:58]),
        ("a " + SIXTY[:59] + " next", "a"),
        ("word " + SIXTY, "word"),
        ("one two " * 20, ("one two " * 7).strip() + " one"),
        ("ж" * 61, "ж" * 60),
        ("😀" * 61, "😀" * 60),
    ],
)
def test_a_title_is_the_beginning_up_to_a_word_boundary(content: str, title: str) -> None:
    """At most 60 characters, white space collapsed, a longer word cut at the 60th."""
    assert title_of(content) == title
    assert len(title) <= 60


def test_the_first_user_message_gives_the_title() -> None:
    """The title travels in the message's own event, and later messages leave it."""
    story = Story()
    story.make(AppendMessage("Ready.", sender=Sender.AGENT), SERVICE)
    assert story.session.title == ""
    story.make(AppendMessage("Plan the launch"))
    assert story.session.title == "Plan the launch"
    story.make(AppendMessage("And the budget"))
    assert story.session.title == "Plan the launch"


def test_a_blank_message_leaves_the_title_to_the_next() -> None:
    """A message of white space has no title to give."""
    story = Story()
    story.make(AppendMessage(" \n "))
    assert (story.session.title, story.session.message_count) == ("", 1)
    story.make(AppendMessage("Hello"))
    assert story.session.title == "Hello"


def test_a_given_title_is_never_replaced_by_a_message() -> None:
    """Only an empty title is filled."""
    story = Story(asked={"title": "Mine"})
    story.make(AppendMessage("Plan the launch"))
    assert (story.session.title, story.session.title_given) == ("Mine", True)


def test_a_cleared_title_is_given_by_the_next_user_message() -> None:
    """An update to "" makes the session untitled again."""
    story = Story(asked={"title": "Mine"})
    story.make(UpdateSession(title=""))
    assert (story.session.title, story.session.title_given) == ("", False)
    story.make(AppendMessage("Second thoughts"))
    assert (story.session.title, story.session.title_given) == ("Second thoughts", False)
