"""A full session: what it still takes, so that nobody is kept in it and it is kept from nobody."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sessiond.errors import SessionFull
from sessiond.session.access import MemberRole
from sessiond.session.capacity import check_count, check_room, is_urgent
from sessiond.session.changes import (
    AppendMessage,
    EndTurn,
    MakeLink,
    RevokeLink,
    SetHold,
    ShareSession,
    TransferSession,
    UnshareSession,
)
from sessiond.session.events import (
    Event,
    MessageAppended,
    SessionPaused,
    SessionResumed,
    TurnEnded,
)
from sessiond.session.limits import DEFAULT_LIMITS, HEADROOM_BYTES, HEADROOM_EVENTS
from sessiond.session.standing import (
    HoldSet,
    LinkMade,
    LinkRevoked,
    MemberGranted,
    MemberRevoked,
    OwnerTransferred,
)
from sessiond.session.state import MessageType, Sender, TurnOutcome
from tests.unit.stories import ADMIN, CONSULTANT, Story

VIEWER = MemberRole.VIEWER
ENDINGS: list[Event] = [
    MemberRevoked("bob"),
    LinkRevoked("l-1"),
    TurnEnded("t-1", TurnOutcome.COMPLETED),
]
OTHERS: list[Event] = [
    MessageAppended("m-1", Sender.USER, MessageType.TEXT, "x"),
    MemberGranted("bob", VIEWER),
    LinkMade("l-1", VIEWER),
    OwnerTransferred("bob", "alice"),
    SessionPaused(),
    SessionResumed(),
]
SMALL = replace(DEFAULT_LIMITS, events=10, session=100)


def fits(seq: int, size: int, event: Event) -> tuple[bool, bool]:
    """Return whether the count, and whether the bytes, leave room for an event."""

    def passes(check: object, *given: object) -> bool:
        try:
            check(*given, event, SMALL)  # type: ignore[operator]
        except SessionFull:
            return False
        return True

    return passes(check_count, seq), passes(check_room, 90, size - 90)


@pytest.mark.parametrize("event", OTHERS)
def test_what_makes_a_session_grow_stops_at_the_limits(event: Event) -> None:
    """The limit itself still fits."""
    assert fits(10, 100, event) == (True, True)
    assert fits(11, 101, event) == (False, False)


@pytest.mark.parametrize("event", ENDINGS)
def test_what_ends_always_has_room(event: Event) -> None:
    """However far beyond the limit: nothing that ends there could begin there."""
    assert fits(10_000, 10**8, event) == (True, True)


def test_holds_have_a_headroom() -> None:
    """They alone may come and go without an end."""
    for held in (True, False):
        event = HoldSet(held)
        assert fits(10 + HEADROOM_EVENTS, 100 + HEADROOM_BYTES, event) == (True, True)
        assert fits(11 + HEADROOM_EVENTS, 101 + HEADROOM_BYTES, event) == (False, False)


def test_only_what_protects_does_not_wait_for_space() -> None:
    """The end of a turn does not either, which a commit says for itself."""
    assert [is_urgent(event) for event in (*ENDINGS[:2], HoldSet(True))] == [True] * 3
    assert not any(map(is_urgent, OTHERS))


def test_everybody_can_be_put_out_of_a_full_session() -> None:
    """Members, links and the running turn go; holds come and go; and then it is as full as can be.

    Holds first: they leave the others their room.
    """
    limits = replace(DEFAULT_LIMITS, members=4, links=4)
    story = Story(limits=limits)
    for n in range(4):
        story.make(ShareSession(f"user-{n}", VIEWER))
        story.make(MakeLink(VIEWER))
    turn_id = story.begin(text="Hm")
    story.limits = replace(limits, events=story.session.seq)
    for refused in (AppendMessage("x"), ShareSession("eve", VIEWER), TransferSession("user-0")):
        with pytest.raises(SessionFull):
            story.decide(refused)
    for n in range(HEADROOM_EVENTS):
        story.make(SetHold(n % 2 == 0), ADMIN)
    with pytest.raises(SessionFull):
        story.decide(SetHold(True), ADMIN)
    for user_id in list(story.session.members):
        story.make(UnshareSession(user_id))
    for link_id in list(story.session.links):
        story.make(RevokeLink(link_id))
    story.make(EndTurn(turn_id, 2), CONSULTANT)
    assert (story.session.members, story.session.links, story.session.turn) == ({}, {}, None)
    assert story.session.seq == story.limits.most_events
