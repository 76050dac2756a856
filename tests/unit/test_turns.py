"""Turns: one at a time, ended by their worker, stopped by others, and then a message."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sessiond.errors import (
    InvalidArgument,
    PermissionDenied,
    SessionFull,
    SessionPaused,
    TurnActive,
    TurnNotFound,
    Violations,
)
from sessiond.session.access import Actor, Identity, Role
from sessiond.session.apply import message_of
from sessiond.session.changes import (
    AbandonTurn,
    AppendMessage,
    ApproveOutput,
    BeginTurn,
    CancelTurn,
    Change,
    EndTurn,
    PauseSession,
    UpdateSession,
)
from sessiond.session.events import TurnBegun, TurnEnded
from sessiond.session.limits import DEFAULT_LIMITS
from sessiond.session.state import LastWord, Message, MessageType, Sender, Status, Turn, TurnOutcome
from sessiond.session.turns import check_piece
from sessiond.session.workflow import Step, Workflow
from tests.unit.stories import (
    ADMIN,
    ALICE,
    CHAT,
    CONSULTANT,
    GUEST_AGENT,
    SERVICE,
    Story,
    bad_fields,
)

OURSELVES = Identity("sessiond", Role.LIVE)
COMPLETED = Workflow("one", "One step", (Step("only", "Only", "writer", "all", 5),))


def completed() -> Story:
    story = Story(COMPLETED)
    story.submit("o-1")
    story.make(ApproveOutput("o-1"))
    assert story.session.status is Status.COMPLETED
    return story


def test_a_turn_belongs_to_who_began_it_under_which_operation_id() -> None:
    """And it is the current agent's unless another one was asked for."""
    story = Story()
    events = story.make(BeginTurn(), CONSULTANT)
    assert events == (TurnBegun("id-1", "gtm-consultant"),)
    actor = Actor("worker-1", Role.AGENT)
    assert story.session.turn == Turn("id-1", actor, "op-1", "gtm-consultant", seq=2)
    assert story.session.message_count == 0


def test_a_service_begins_a_turn_for_any_agent() -> None:
    """An agent only for those that its token names."""
    story = Story()
    assert story.decide(BeginTurn("reviewer"), SERVICE) == (TurnBegun("id-1", "reviewer"),)
    assert story.decide(BeginTurn("gtm-consultant"), GUEST_AGENT)
    with pytest.raises(PermissionDenied):
        story.decide(BeginTurn("reviewer"), CONSULTANT)


def test_a_user_begins_no_turn() -> None:
    """A turn becomes an agent's message, and nobody may write one as an agent who is none."""
    with pytest.raises(PermissionDenied):
        Story().decide(BeginTurn(), ALICE)


@pytest.mark.parametrize("agent_id", ["", "a\nb", "a" * 129])
def test_a_bad_agent_name_begins_no_turn(agent_id: str) -> None:
    """As for messages and outputs."""
    with pytest.raises(InvalidArgument) as refused:
        Story().decide(BeginTurn(agent_id), SERVICE)
    assert bad_fields(refused) == ["agent_id"]


def test_one_turn_runs_at_a_time() -> None:
    """Whoever asks; the next one begins when it has ended."""
    story = Story()
    turn_id = story.begin()
    for identity in (CONSULTANT, SERVICE, ADMIN):
        with pytest.raises(TurnActive):
            story.decide(BeginTurn(), identity)
    story.make(EndTurn(turn_id, 0), CONSULTANT)
    story.begin(SERVICE)


def test_a_paused_session_begins_no_turn_and_lets_the_running_one_end() -> None:
    """The pause is told even where a turn runs."""
    story = Story()
    turn_id = story.begin(text="Well")
    story.make(PauseSession())
    with pytest.raises(SessionPaused):
        story.decide(BeginTurn(), CONSULTANT)
    for change, identity in (
        (CancelTurn(turn_id), ALICE),
        (AbandonTurn(turn_id, TurnOutcome.INTERRUPTED), OURSELVES),
    ):
        assert story.decide(change, identity)
    story.make(EndTurn(turn_id, 4), CONSULTANT)
    assert (story.session.turn, story.session.status) == (None, Status.PAUSED)
    assert [message.content for message in story.messages] == ["Well"]


def test_a_completed_session_takes_turns() -> None:
    """By the agent that was asked for, and otherwise by none, since none is the current one."""
    story = completed()
    assert story.decide(BeginTurn(), SERVICE) == (TurnBegun("id-1", None),)
    turn_id = story.begin(GUEST_AGENT, "Goodbye")
    story.make(EndTurn(turn_id, 7), GUEST_AGENT)
    assert story.messages[-1].agent_id is None
    assert story.decide(BeginTurn("writer"), SERVICE) == (TurnBegun("id-4", "writer"),)


def test_a_turn_that_ends_is_the_agents_message() -> None:
    """Its whole text, with the metadata given at the end; the agent has the last word."""
    story = Story(CHAT, asked={"title": "Mine"})
    story.make(AppendMessage("Hello"))
    turn_id = story.begin(SERVICE, "Good day \U0001f600")
    events = story.make(EndTurn(turn_id, 10, metadata='{"model":"m"}'), SERVICE)
    assert events == (
        TurnEnded(
            turn_id=turn_id,
            outcome=TurnOutcome.COMPLETED,
            message_id="id-3",
            agent_id="assistant",
            content="Good day \U0001f600",
            metadata='{"model":"m"}',
        ),
    )
    assert message_of(story.records[-1]) == Message(
        id="id-3",
        sender=Sender.AGENT,
        type=MessageType.TEXT,
        content="Good day \U0001f600",
        time_ms=story.now_ms,
        seq=4,
        agent_id="assistant",
        metadata='{"model":"m"}',
    )
    session = story.session
    assert (session.turn, session.seq, session.title) == (None, 4, "Mine")
    assert (session.message_count, session.last_message_seq) == (2, 4)
    assert session.last_message == "Good day \U0001f600"
    assert session.last_word is LastWord.AGENT


def test_a_turn_without_text_makes_no_message() -> None:
    """Then no id is given, and what came with the message has no place either."""
    story = Story()
    story.make(AppendMessage("Hello"))
    turn_id = story.begin()
    before = story.session
    events = story.make(EndTurn(turn_id, 0, metadata='{"a":1}'), CONSULTANT)
    assert events == (TurnEnded(turn_id, TurnOutcome.COMPLETED),)
    assert message_of(story.records[-1]) is None
    assert story.session == before._replace(
        turn=None, seq=4, last_active_ms=story.session.last_active_ms
    )
    assert story.session.last_word is LastWord.OTHER


def test_only_a_short_beginning_of_the_text_is_kept_in_the_state() -> None:
    """As for every message."""
    story = Story()
    turn_id = story.begin(text="ж" * 300)
    story.make(CancelTurn(turn_id))
    assert story.session.last_message == "ж" * 140
    assert story.messages[-1].content == "ж" * 300


@pytest.mark.parametrize(
    ("change", "identity", "outcome"),
    [
        (EndTurn("id-1", 2), CONSULTANT, TurnOutcome.COMPLETED),
        (EndTurn("id-1", 2, failed=True), CONSULTANT, TurnOutcome.FAILED),
        (CancelTurn("id-1"), ALICE, TurnOutcome.CANCELLED),
        (AbandonTurn("id-1", TurnOutcome.INTERRUPTED), OURSELVES, TurnOutcome.INTERRUPTED),
        (AbandonTurn("id-1", TurnOutcome.FAILED), OURSELVES, TurnOutcome.FAILED),
    ],
    ids=repr,
)
def test_however_a_turn_ends_its_text_is_kept(
    change: Change, identity: Identity, outcome: TurnOutcome
) -> None:
    """And the record says whose doing the end was."""
    story = Story()
    story.begin(text="Hm")
    (event,) = story.make(change, identity)
    assert event == TurnEnded("id-1", outcome, "id-2", "gtm-consultant", "Hm")
    assert story.records[-1].actor == identity.actor


@pytest.mark.parametrize(
    "change",
    [EndTurn("id-1", 0), CancelTurn("id-1"), AbandonTurn("id-1", TurnOutcome.FAILED)],
    ids=repr,
)
def test_only_the_turn_that_runs_can_end(change: Change) -> None:
    """Not one that has ended, nor another one than the one that runs."""
    story = Story()
    with pytest.raises(TurnNotFound):
        story.decide(change, CONSULTANT)
    story.begin()
    assert story.decide(change, CONSULTANT)
    story.make(change, CONSULTANT)
    story.begin()
    with pytest.raises(TurnNotFound):
        story.decide(change, CONSULTANT)


def test_only_its_worker_ends_a_turn() -> None:
    """Not even an administrator; they cancel it. The same name in another role is another actor."""
    story = Story()
    turn_id = story.begin()
    for identity in (ALICE, ADMIN, SERVICE, Identity("worker-1", Role.SERVICE)):
        with pytest.raises(TurnNotFound):
            story.decide(EndTurn(turn_id, 0), identity)
    assert story.decide(EndTurn(turn_id, 0), replace(CONSULTANT, agents=frozenset()))


@pytest.mark.parametrize("length", [-1, 0, 3, 5, 8])
def test_a_turn_ends_only_when_all_of_its_text_came(length: int) -> None:
    """Lengths are in code points: not in bytes, nor in UTF-16 units."""
    story = Story()
    turn_id = story.begin(text="жж\U0001f600.")
    with pytest.raises(InvalidArgument) as refused:
        story.decide(EndTurn(turn_id, length), CONSULTANT)
    assert bad_fields(refused) == ["length"]
    assert story.decide(EndTurn(turn_id, 4), CONSULTANT)


def test_the_metadata_of_a_turn_is_checked_as_a_messages() -> None:
    """An object within its bounds; the form is told before anything else."""
    story = Story()
    turn_id = story.begin()
    for metadata in ("[]", "x", '{"a":1,"a":2}', '{"a":"' + "x" * 65_536 + '"}'):
        for named in (turn_id, "none"):
            with pytest.raises(InvalidArgument) as refused:
                story.decide(EndTurn(named, 0, metadata=metadata), CONSULTANT)
            assert bad_fields(refused) == ["metadata"]


def test_a_full_session_begins_no_turn_and_lets_the_running_one_end() -> None:
    """So it never holds more than one event beyond its limit."""
    story = Story(limits=replace(DEFAULT_LIMITS, events=3))
    turn_id = story.begin(text="Hm")
    story.make(UpdateSession(title="T"))
    with pytest.raises(SessionFull):
        story.decide(AppendMessage("more"))
    story.make(EndTurn(turn_id, 2), CONSULTANT)
    assert story.session.seq == 4
    with pytest.raises(SessionFull):
        story.decide(BeginTurn(), CONSULTANT)


def test_a_turn_that_another_ones_event_ends_is_over() -> None:
    """What else happens meanwhile leaves it as it is."""
    story = Story()
    turn_id = story.begin(text="One")
    turn = story.session.turn
    for change in (AppendMessage("Go on"), UpdateSession(title="T"), PauseSession()):
        story.make(change)
        assert story.session.turn == turn
    story.make(CancelTurn(turn_id))
    assert story.session.turn is None
    assert [message.content for message in story.messages] == ["Go on", "One"]


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("", True),
        ("a\tb\n", True),
        ("ж" * 256, True),
        ("ж" * 257, False),
        ("a\0b", False),
        ("\ud800", False),
    ],
)
def test_a_piece_of_a_turns_text_holds_what_a_message_may(text: str, good: bool) -> None:
    """So that the whole can be one; nothing at all is good too."""
    found = Violations()
    check_piece(text, "text", found, limits=replace(DEFAULT_LIMITS, content=512))
    assert bool(found.found) is not good
