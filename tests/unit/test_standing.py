"""Events about a session as a whole: what each does, and that nothing is lost on any way."""

from __future__ import annotations

import pytest

from sessiond.event_wire import event_from_wire, event_to_wire, state_from_wire, state_to_wire
from sessiond.session.access import MemberRole
from sessiond.session.apply import apply
from sessiond.session.changes import AppendMessage, ApproveOutput, SubmitOutput
from sessiond.session.conversation import Conversation, Run
from sessiond.session.events import Record
from sessiond.session.standing import (
    Forked,
    HoldSet,
    LinkMade,
    LinkRevoked,
    MemberGranted,
    MemberRevoked,
    OwnerTransferred,
    Rewound,
    StandingEvent,
    lacking,
)
from sessiond.session.state import LastWord, Lineage, OutputRow, OutputStatus, Session, Status
from sessiond.store.codec import (
    HeadMeta,
    decode_head,
    decode_members,
    decode_record,
    encode_head,
    encode_members,
    encode_record,
)
from tests.unit.stories import ALICE, CONSULTANT, Story

EVENTS: tuple[StandingEvent, ...] = (
    MemberGranted("bob", MemberRole.VIEWER),
    MemberGranted("carol", MemberRole.APPROVER, link_id="l-1"),
    LinkMade("l-1", MemberRole.EDITOR, expires_ms=1_800_000_000_123),
    LinkMade("l-2", MemberRole.VIEWER),
    LinkRevoked("l-2"),
    MemberRevoked("carol"),
    OwnerTransferred("bob", "alice"),
    HoldSet(held=True, reason="a claim"),
    Rewound(
        to_seq=2,
        status=Status.ACTIVE,
        current_step=0,
        title="Then",
        title_given=True,
        metadata={"k": "v"},
        inputs_seq=1,
        outputs=(OutputRow("o-1", OutputStatus.PENDING, 3, 0),),
        message_count=1,
        last_message_seq=2,
        last_word=LastWord.OTHER,
        runs=(Run(1, 2),),
    ),
)
FORKED = Forked("s-0", 12, "dora")


@pytest.fixture
def story() -> Story:
    """A session with two messages and an approved output."""
    story = Story()
    story.make(AppendMessage("first"))
    story.make(SubmitOutput("plan", "o-1"), CONSULTANT)
    story.make(ApproveOutput())
    story.make(AppendMessage("second"))
    return story


def after(session: Session, *events: StandingEvent) -> Session:
    """The session after some more events, a second apart."""
    for event in events:
        time_ms = session.last_active_ms + 1000
        session = apply(session, Record(session.seq + 1, time_ms, ALICE.actor, event, "op"))
    return session


@pytest.mark.parametrize("event", [*EVENTS, FORKED], ids=lambda event: type(event).__name__)
def test_every_event_comes_back_as_it_went(event: StandingEvent) -> None:
    """On the wire and as a record."""
    record = Record(7, 1_700_000_000_001, ALICE.actor, event, "op")
    assert event_from_wire(event_to_wire(record, "s")) == record
    assert decode_record(encode_record(record)) == record


def test_the_hash_of_a_secret_is_stored_and_never_told() -> None:
    """Whoever reads the stream learns nothing about the secret."""
    made = LinkMade("l-1", MemberRole.VIEWER, secret_hash=b"\x07" * 32)
    record = Record(7, 1_700_000_000_001, ALICE.actor, made)
    assert decode_record(encode_record(record)) == record
    wire = event_to_wire(record, "s")
    assert b"\x07" * 32 not in wire.SerializeToString()
    assert event_from_wire(wire).event == LinkMade("l-1", MemberRole.VIEWER)


def test_members_links_owner_and_hold_follow_their_events(story: Story) -> None:
    """And the table, the head and a snapshot's state hold them."""
    session = after(story.session, *EVENTS[:8])
    assert session.user_id == "bob"
    assert {user: member.role for user, member in session.members.items()} == {
        "alice": MemberRole.EDITOR
    }
    assert list(session.links) == ["l-1"]
    assert session.held
    assert decode_members(encode_members(session)) == (session.members, session.links)
    head = decode_head(encode_head(session, HeadMeta(1)))
    assert (head.held, head.member_count, head.user_id) == (True, 1, "bob")
    told = state_from_wire(state_to_wire(session))
    assert (told.members, told.links, told.held) == (session.members, session.links, True)


def test_a_rewind_says_which_contents_it_lacks(story: Story) -> None:
    """It keeps what it holds: the inputs, and the body of an output whose decision is undone."""
    session = after(story.session, EVENTS[8])
    assert (session.title, session.current_step, session.message_count) == ("Then", 0, 1)
    assert session.conversation == Conversation(6, (Run(1, 2),))
    assert session.outputs["o-1"].body.content == "plan"
    assert session.outputs["o-1"].status is OutputStatus.PENDING
    assert lacking(session) == [2]
    head = decode_head(encode_head(session, HeadMeta(1)))
    assert head.conversation == session.conversation


def test_a_conversation_holds_its_runs_and_what_came_after_the_rewind() -> None:
    """The rewind takes away what stands between."""
    conversation = Conversation(6, (Run(1, 2),))
    assert [seq for seq in range(1, 9) if conversation.holds(seq)] == [1, 2, 7, 8]
    assert conversation.until(8) == (Run(1, 2), Run(7, 8))
    assert conversation.until(2) == (Run(1, 2),)


def test_a_fork_is_its_makers_and_nobody_elses(story: Story) -> None:
    """Members, links and a hold stay with the parent."""
    session = after(story.session, *EVENTS[:8], FORKED)
    assert (session.user_id, session.lineage) == ("dora", Lineage("s-0", 12))
    assert (session.members, session.links, session.held) == ({}, {}, False)
    assert session.created_ms == session.last_active_ms
    assert decode_head(encode_head(session, HeadMeta(1))).lineage == session.lineage
