"""The log of a session from elsewhere: all that our rules decide may stand in it, and no more."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessiond.errors import InvalidArgument, TurnActive
from sessiond.session.access import Actor, MemberRole, Role
from sessiond.session.apply import apply, message_of
from sessiond.session.changes import (
    AppendMessage,
    ApproveOutput,
    BeginTurn,
    CancelTurn,
    EditOutput,
    EndTurn,
    PauseSession,
    ResumeSession,
    UpdateSession,
)
from sessiond.session.conversation import Run
from sessiond.session.events import (
    Event,
    MessageAppended,
    OutputDecided,
    OutputEdited,
    OutputSubmitted,
    Record,
    SessionCreated,
    SessionPaused,
    SessionResumed,
    SessionUpdated,
    TurnBegun,
    TurnEnded,
)
from sessiond.session.limits import DEFAULT_LIMITS, Limits
from sessiond.session.rewinding import fill, rewind
from sessiond.session.standing import (
    LAST_EXPIRY_MS,
    Forked,
    HoldSet,
    LinkMade,
    LinkRevoked,
    MemberGranted,
    MemberRevoked,
    OwnerTransferred,
    Rewound,
    lacking,
)
from sessiond.session.state import (
    Decision,
    Lineage,
    MessageType,
    OutputBody,
    OutputRow,
    OutputStatus,
    Sender,
    Session,
    Status,
    TurnOutcome,
)
from sessiond.session.verifying import Verifier
from sessiond.session.workflow import Step, Workflow
from sessiond.standing_wire import make_link_from_wire
from sessiond.store.codec import (
    HeadMeta,
    decode_head,
    decode_outputs,
    encode_head,
    encode_members,
    encode_outputs,
    load,
    needed_seqs,
)
from sessiond.v1.live_pb2 import MakeLinkRequest
from sessiond.v1.session_pb2 import MEMBER_ROLE_VIEWER
from sessiond.wire import set_timestamp
from tests.unit.stories import ALICE, CONSULTANT, SERVICE, Story

LATEST_MS = 1_900_000_000_000
DAY_MS = 86_400_000


def verified(
    records: Iterable[Record], session_id: str = "s-1", limits: Limits = DEFAULT_LIMITS
) -> Session:
    """Verify a log, and return what it leads to."""
    verifier = Verifier(session_id, limits=limits, latest_ms=LATEST_MS)
    session: Session | None = None
    read: list[Record] = []
    for record in records:
        verifier.verify(session, record)
        session = apply(session, record)
        read.append(record)
        if seqs := lacking(session):
            session = fill(session, [each for each in read if each.seq in seqs])
    assert session is not None
    return session


def story() -> Story:
    """A session in which everything that our rules decide has happened."""
    story = Story(asked={"user_inputs": '{"a": 1}', "metadata": {"k": "v"}})
    story.make(AppendMessage("first", metadata='{"x": []}'))
    story.submit("o-1", quality_score=0.5, metadata="{}")
    story.make(EditOutput("o-1", content="better"))
    story.make(ApproveOutput(feedback="good"))
    story.submit("o-2")
    story.make(ApproveOutput(decision=Decision.REJECTED))
    story.make(PauseSession())
    story.make(ResumeSession())
    story.make(UpdateSession(title="A title", metadata={"k": None}, user_inputs='{"b": 2}'))
    return story


def more(story: Story, *events: Event) -> list[Record]:
    """The story's records, and these events a second apart, by its owner."""
    records = list(story.records)
    for event in events:
        seq, time_ms = records[-1].seq + 1, records[-1].time_ms + 1000
        records.append(Record(seq, time_ms, ALICE.actor, event, "op"))
    return records


def test_what_our_rules_decide_is_good() -> None:
    """Messages, outputs, decisions, turns, pauses, updates; and it leads to the same session."""
    lived = story()
    turn_id = lived.begin(SERVICE, text="an answer")
    lived.make(EndTurn(turn_id, length=9), SERVICE)
    lived.make(CancelTurn(lived.begin(SERVICE)))
    assert verified(lived.records) == lived.session


def test_what_is_said_of_a_session_as_a_whole_is_good() -> None:
    """Members, links, owners, holds and forks, in an order in which they can happen."""
    records = more(
        story(),
        MemberGranted("bob", MemberRole.VIEWER),
        MemberGranted("bob", MemberRole.EDITOR),
        LinkMade("l-1", MemberRole.APPROVER, expires_ms=LATEST_MS + DAY_MS),
        MemberGranted("carol", MemberRole.APPROVER, "l-1"),
        LinkRevoked("l-1"),
        MemberRevoked("carol"),
        OwnerTransferred("bob", "alice"),
        HoldSet(held=True, reason="a claim"),
        HoldSet(held=False),
    )
    session = verified(more_of(records, Forked("s-0", len(records), "dora")))
    assert (session.user_id, session.lineage) == ("dora", Lineage("s-0", len(records)))


def more_of(records: list[Record], event: Event) -> list[Record]:
    seq, time_ms = records[-1].seq + 1, records[-1].time_ms + 1000
    return [*records, Record(seq, time_ms, ALICE.actor, event)]


@pytest.mark.parametrize("to_seq", range(1, 10))
def test_every_rewind_that_our_rules_make_is_good(to_seq: int) -> None:
    """And one back to before that one, and what is decided after either."""
    lived = story()
    for target in (to_seq, lived.session.seq):
        past = verified(lived.records[:target])
        (rewound,) = rewind(lived.session, target, past=past)
        lived.records = more_of(lived.records, rewound)
        lived.session = verified(lived.records)
        lived.now_ms = lived.records[-1].time_ms
        lived.make(AppendMessage(f"after {target}"))
    assert verified(lived.records).message_count == lived.session.message_count == 2


# --- what is refused -----------------------------------------------------------------------------


BODY = OutputBody("o-3", "gtm-consultant", "persona_development", "text", 1_700_000_000_000)
NO_STEPS = Workflow("w", "W", agent="a")
SAID = MessageAppended("m-9", Sender.USER, MessageType.TEXT, "hello")
FIRST = SessionCreated("s-1", "alice", NO_STEPS, "{}", "", {})
BACK = Rewound(
    to_seq=2,
    status=Status.ACTIVE,
    current_step=0,
    title="first",
    title_given=False,
    metadata={"k": "v"},
    inputs_seq=1,
    outputs=(),
    message_count=1,
    last_message_seq=2,
    last_word=story().session.last_word,
    runs=(Run(1, 2),),
)
LONG = "x" * (DEFAULT_LIMITS.content + 1)

BAD_EVENTS: dict[str, tuple[Event, str]] = {
    "created twice": (FIRST, "session_created"),
    "no message": (SAID._replace(content=""), "content"),
    "too long a message": (SAID._replace(content=LONG), "content"),
    "NUL in a message": (SAID._replace(content="a\0"), "content"),
    "half a character": (SAID._replace(content="a\ud800"), "content"),
    "no message id": (SAID._replace(id=""), "message_id"),
    "a message id again": (SAID._replace(id="id-1"), "message_id"),
    "no agent": (SAID._replace(agent_id=""), "agent_id"),
    "metadata that are none": (SAID._replace(metadata="[]"), "metadata"),
    "metadata with a key twice": (SAID._replace(metadata='{"a":1,"a":2}'), "metadata"),
    "a title of two lines": (SAID._replace(title="a\nb"), "title"),
    "deep inputs": (SessionUpdated(user_inputs='{"a":' * 65 + "1" + "}" * 65), "user_inputs"),
    "no JSON": (SessionUpdated(user_inputs="{"), "user_inputs"),
    "too many notes": (SessionUpdated(metadata={str(n): "" for n in range(17)}), "metadata"),
    "an output again": (OutputSubmitted(replace(BODY, id="o-1")), "output_id"),
    "an output of no step": (OutputSubmitted(replace(BODY, step_id="lunch")), "step_id"),
    "an output of nobody": (OutputSubmitted(replace(BODY, agent_id="")), "agent_id"),
    "an output to come": (OutputSubmitted(replace(BODY, generated_ms=LATEST_MS)), "generated_at"),
    "no score": (OutputSubmitted(replace(BODY, quality_score=float("nan"))), "quality_score"),
    "an edit of nothing": (OutputEdited(BODY), "output_id"),
    "an edit of what is decided": (OutputEdited(replace(BODY, id="o-1")), "output_id"),
    "a decision of nothing": (OutputDecided("o-9", Decision.APPROVED), "output_id"),
    "a decision again": (OutputDecided("o-1", Decision.REJECTED), "output_id"),
    "resumed, not paused": (SessionResumed(), "session_resumed"),
    "no turn": (TurnEnded("t-1", TurnOutcome.COMPLETED), "turn_id"),
    "no turn id": (TurnBegun(""), "turn_id"),
    "a grant to the owner": (MemberGranted("alice", MemberRole.EDITOR), "user_id"),
    "a grant to nobody": (MemberGranted("", MemberRole.EDITOR), "user_id"),
    "no member": (MemberRevoked("bob"), "user_id"),
    "a transfer to a stranger": (OwnerTransferred("bob", "alice"), "user_id"),
    "no link id": (LinkMade("", MemberRole.VIEWER), "link_id"),
    "a link of the year 10000": (
        LinkMade("l", MemberRole.VIEWER, LAST_EXPIRY_MS + 1),
        "expires_at",
    ),
    "no such link": (LinkRevoked("l-9"), "link_id"),
    "a hold that is so": (HoldSet(held=False), "held"),
    "a fork of more": (Forked("s-0", 99, "alice"), "seq"),
    "a fork of nothing": (Forked("", 10, "alice"), "session_id"),
    "back to now": (replace(BACK, to_seq=99), "to_seq"),
    "back to a step beyond": (replace(BACK, current_step=9), "current_step"),
    "back to completed": (replace(BACK, status=Status.COMPLETED), "current_step"),
    "back to no inputs": (replace(BACK, inputs_seq=2), "inputs_seq"),
    "back to later inputs": (replace(BACK, inputs_seq=10), "inputs_seq"),
    "back to fewer messages": (replace(BACK, message_count=0), "message_count"),
    "back to no message": (replace(BACK, last_message_seq=1), "last_message_seq"),
    "back to runs beyond": (replace(BACK, runs=(Run(1, 3),)), "runs"),
    "back to runs in disorder": (replace(BACK, runs=(Run(2, 2), Run(1, 1))), "runs"),
    "back to a later output": (
        replace(BACK, outputs=(OutputRow("o-1", OutputStatus.PENDING, 3, 0),)),
        "outputs",
    ),
    "back to another decision": (
        replace(BACK, to_seq=5, outputs=(OutputRow("o-1", OutputStatus.REJECTED, 4, 5),)),
        "outputs",
    ),
}


@pytest.mark.parametrize("case", BAD_EVENTS)
def test_an_event_that_cannot_be_is_named(case: str) -> None:
    """By its seq and the field that is wrong."""
    event, field = BAD_EVENTS[case]
    records = more(story(), event)
    with pytest.raises(InvalidArgument) as refused:
        verified(records)
    named = {violation.field for violation in refused.value.violations}
    assert f"events.{len(records)}.{field}" in named


def test_a_transfer_names_the_owner_before() -> None:
    """Who follows that one's sessions relies on it."""
    records = more(
        story(), MemberGranted("bob", MemberRole.EDITOR), OwnerTransferred("bob", "carol")
    )
    with pytest.raises(InvalidArgument) as refused:
        verified(records)
    fields = [violation.field for violation in refused.value.violations]
    assert fields == [f"events.{len(records)}.former_user_id"]


BAD_FRAMES: dict[str, tuple[dict[str, Any], str]] = {
    "a hole": ({"seq": 3}, "seq"),
    "the same again": ({"seq": 1}, "seq"),
    "back in time": ({"time_ms": 1_699_999_999_999}, "time"),
    "in the future": ({"time_ms": LATEST_MS + 1}, "time"),
    "by nobody": ({"actor": Actor("", Role.USER)}, "actor.subject"),
    "for a line": ({"actor": Actor("crm", Role.SERVICE, "a\nb")}, "actor.acting_for"),
    "under no text": ({"op_id": "é"}, "op_id"),
    "with a long hash": ({"hash": b"h" * 65}, "hash"),
}


@pytest.mark.parametrize("case", BAD_FRAMES)
def test_a_record_that_does_not_fit_is_named(case: str) -> None:
    """Its place, its time, and who made it."""
    changes, field = BAD_FRAMES[case]
    first, second = more(Story(), SAID)
    with pytest.raises(InvalidArgument) as refused:
        verified([first, second._replace(**changes)])
    assert f"events.2.{field}" in {each.field for each in refused.value.violations}


BAD_BEGINNINGS: dict[str, tuple[Event, str]] = {
    "not created": (SAID, "session_created"),
    "another session": (replace(FIRST, session_id="s-2"), "session_id"),
    "nobody's": (replace(FIRST, user_id=""), "user_id"),
    "no inputs": (replace(FIRST, user_inputs=""), "user_inputs"),
    "no agent": (replace(FIRST, workflow=Workflow("w", "W")), "workflow"),
    "agent and steps": (
        replace(FIRST, workflow=Workflow("w", "W", (Step("a", "A", "x", "s", 1),), "y")),
        "workflow",
    ),
    "a step twice": (
        replace(FIRST, workflow=Workflow("w", "W", (Step("a", "A", "x", "s", 1),) * 2)),
        "workflow",
    ),
}


@pytest.mark.parametrize("case", BAD_BEGINNINGS)
def test_a_log_that_does_not_begin_a_session_is_named(case: str) -> None:
    """The first event is the creation of this session, by our rules."""
    event, field = BAD_BEGINNINGS[case]
    with pytest.raises(InvalidArgument) as refused:
        verified([Record(1, 1_700_000_000_000, ALICE.actor, event)])
    assert f"events.1.{field}" in {each.field for each in refused.value.violations}


def test_a_turn_is_one_and_ends_itself() -> None:
    """A second one, the end of another, a pause that is one already, a rewind: none can be."""
    begun = Story()
    begun.make(BeginTurn(), CONSULTANT)
    paused = Story()
    paused.make(PauseSession())
    for lived, event in (
        (begun, TurnBegun("t-2")),
        (begun, TurnEnded("t-2", TurnOutcome.COMPLETED)),
        (begun, TurnEnded(begun.session.turn.id, TurnOutcome.COMPLETED, content="lost")),  # type: ignore[union-attr]
        (begun, replace(BACK, to_seq=1, message_count=0, last_message_seq=0, runs=(Run(1, 1),))),
        (paused, SessionPaused()),
    ):
        with pytest.raises(InvalidArgument):
            verified(more(lived, event))


def test_members_and_links_have_their_bounds() -> None:
    """As many of each as the limits say, and links that expired are not counted."""
    limits = replace(DEFAULT_LIMITS, members=2, links=1)
    short = Story().now_ms + 1500
    good = more(
        Story(),
        LinkMade("l-1", MemberRole.VIEWER, expires_ms=short),
        LinkMade("l-2", MemberRole.VIEWER),
        MemberGranted("bob", MemberRole.VIEWER),
        MemberGranted("carol", MemberRole.VIEWER),
        MemberGranted("carol", MemberRole.EDITOR),
    )
    assert len(verified(good, limits=limits).members) == 2
    for event, field in (
        (MemberGranted("dora", MemberRole.VIEWER), "members"),
        (LinkMade("l-3", MemberRole.VIEWER), "links"),
    ):
        with pytest.raises(InvalidArgument) as refused:
            verified(more_of(good, event), limits=limits)
        named = {each.field for each in refused.value.violations}
        assert named == {f"events.{len(good) + 1}.{field}"}


def test_every_link_that_our_rules_make_is_good() -> None:
    """To the last moment that one may ask for; nothing is asked for after it."""
    request = MakeLinkRequest(session_id="s-1", role=MEMBER_ROLE_VIEWER)
    set_timestamp(request.expires_at, LAST_EXPIRY_MS)
    lived = Story()
    lived.make(make_link_from_wire(request))
    session = verified(lived.records)
    assert [link.expires_ms for link in session.links.values()] == [LAST_EXPIRY_MS]
    set_timestamp(request.expires_at, LAST_EXPIRY_MS + 1)
    with pytest.raises(InvalidArgument):
        make_link_from_wire(request)


# --- anything ------------------------------------------------------------------------------------


NAMES = st.sampled_from(["a", "b", "alice", ""])
SEQS = st.integers(0, 9)
ROLES = st.sampled_from(MemberRole)
STEPS = st.sampled_from(["foundation_gtm", "persona_development", "lunch"])
BODIES = st.builds(OutputBody, NAMES, NAMES, STEPS, NAMES, st.just(1_700_000_000_000))
ROWS = st.builds(OutputRow, NAMES, st.sampled_from(OutputStatus), SEQS, SEQS)
RUNS = st.builds(Run, SEQS, SEQS)
ANYTHING: st.SearchStrategy[Event] = st.one_of(
    st.builds(
        MessageAppended,
        NAMES,
        st.sampled_from(Sender),
        st.sampled_from(MessageType),
        NAMES,
        agent_id=st.none() | NAMES,
    ),
    st.builds(
        SessionUpdated, title=st.none() | NAMES, user_inputs=st.sampled_from(["{}", "[", None])
    ),
    st.builds(OutputSubmitted, BODIES),
    st.builds(OutputEdited, BODIES),
    st.builds(OutputDecided, NAMES, st.sampled_from(Decision)),
    st.sampled_from([SessionPaused(), SessionResumed()]),
    st.builds(TurnBegun, NAMES),
    st.builds(TurnEnded, NAMES, st.sampled_from(TurnOutcome), message_id=NAMES, content=NAMES),
    st.builds(MemberGranted, NAMES, ROLES),
    st.builds(MemberRevoked, NAMES),
    st.builds(LinkMade, NAMES, ROLES),
    st.builds(LinkRevoked, NAMES),
    st.builds(OwnerTransferred, NAMES, NAMES),
    st.builds(HoldSet, st.booleans()),
    st.builds(Forked, NAMES, SEQS, NAMES),
    st.builds(
        replace,
        st.just(BACK),
        to_seq=SEQS,
        current_step=st.integers(0, 2),
        inputs_seq=SEQS,
        outputs=st.lists(ROWS, max_size=2).map(tuple),
        message_count=st.integers(0, 3),
        last_message_seq=SEQS,
        runs=st.lists(RUNS, max_size=2).map(tuple),
    ),
)


@given(st.lists(ANYTHING | st.integers(1, 12), max_size=40))
@settings(max_examples=200, deadline=None)
def test_what_is_found_good_is_a_session_in_every_way(asked: list[Event | int]) -> None:
    """Folded, filled after rewinds, and loaded from its head, its tables and few records.

    Of events without sense those are left out that are refused; a number is a true rewind.
    """
    records = [Story().records[0]]
    verifier = Verifier("s-1", limits=DEFAULT_LIMITS, latest_ms=LATEST_MS)
    verifier.verify(None, records[0])
    session = apply(None, records[0])
    states = {1: session}
    for each in asked:
        event: Event | None = each if not isinstance(each, int) else None
        with suppress(InvalidArgument, TurnActive):
            if isinstance(each, int):
                (event,) = rewind(session, each, past=states.get(each)) or (None,)
            if event is None:
                continue
            record = Record(session.seq + 1, records[-1].time_ms + 1, ALICE.actor, event)
            verifier.verify(session, record)
            session = apply(session, record)
            session = fill(session, [each for each in records if each.seq in lacking(session)])
            records.append(record)
            states[record.seq] = session
    head = decode_head(encode_head(session, HeadMeta(1)))
    outputs = decode_outputs(encode_outputs(session))
    needed = set(needed_seqs(head, outputs))
    few = [record for record in records if record.seq in needed]
    assert load(head, outputs, few, encode_members(session)) == session
    counted = [each.seq for each in records if message_of(each) is not None]
    assert session.message_count == sum(map(session.conversation.holds, counted))
