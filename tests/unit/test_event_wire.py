"""Events and states as streams carry them: what a client folds is what the server has."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessiond import event_wire
from sessiond.errors import InvalidArgument
from sessiond.event_wire import (
    begin_turn_from_wire,
    cancel_turn_from_wire,
    end_turn_from_wire,
    event_bytes,
    event_from_wire,
    event_to_wire,
    output_from_wire,
    state_from_wire,
    state_to_wire,
    workflow_from_wire,
    workflow_to_wire,
)
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
    SubmitOutput,
    UpdateSession,
)
from sessiond.session.events import Event, Record
from sessiond.session.rewinding import fill, fold
from sessiond.session.standing import Rewound, StandingEvent
from sessiond.session.state import Decision, Sender, Session
from sessiond.session.workflow import Workflow
from sessiond.v1 import event_pb2, live_pb2, session_pb2
from sessiond.wire import message_from_wire, output_to_wire, session_to_wire
from tests.unit.asking import Asking, askings, lived, workflows
from tests.unit.stories import CHAT, CONSULTANT, MASTER, SERVICE, Story, bad_fields


@pytest.fixture
def story() -> Story:
    """A session with every kind of change, with and without what each may leave out."""
    story = Story(
        asked={"user_inputs": '{"n": 12345678901234567890}', "metadata": {"k": "v"}, "title": "T"}
    )
    story.make(AppendMessage("Hello", metadata='{"a": 1}'))
    story.make(UpdateSession(title="", metadata={"k": None, "l": "ж"}))
    story.make(AppendMessage("Gives a title"))
    story.make(UpdateSession(title="Mine", user_inputs='{"market":"EU"}'))
    story.make(UpdateSession(clear_metadata=True))
    story.make(SubmitOutput("Plan", "o-1", quality_score=0.0, metadata="{}"), CONSULTANT)
    story.make(EditOutput("o-1", "Better plan"))
    story.make(ApproveOutput("o-1", "No", Decision.REJECTED))
    story.make(SubmitOutput("Other plan", "o-2"), SERVICE)
    story.make(ApproveOutput())
    story.make(PauseSession())
    story.make(ResumeSession())
    turn_id = story.begin(SERVICE, "Good \U0001f600")
    story.make(EndTurn(turn_id, 6, metadata='{"m":1}'), SERVICE)
    story.make(BeginTurn("reviewer"), SERVICE)
    story.make(CancelTurn("id-5"))
    story.make(AppendMessage("Note", Sender.SYSTEM), SERVICE)
    return story


def travelled(record: Record) -> Record:
    """The record as a client has it: through the bytes of the frame that shows it."""
    frame = live_pb2.ServerFrame.FromString(event_bytes(record, "s-1"))
    return event_from_wire(frame.event)


def received(session: Session) -> Session:
    """The session as a client has it from a snapshot: through the bytes of its parts."""
    data = state_to_wire(session).SerializeToString()
    outputs = {}
    for output_id, output in session.outputs.items():
        part = session_pb2.Output.FromString(output_to_wire(output).SerializeToString())
        outputs[output_id] = output_from_wire(output_id, part)
    state = state_from_wire(live_pb2.SessionState.FromString(data))
    return state._replace(user_inputs=session.user_inputs, outputs=outputs)


def test_every_event_comes_back_as_it_went(story: Story) -> None:
    """Without what only the keeper of the log needs; each kind of event is tried.

    Those about the session as a whole are tried in `test_standing`.
    """
    kinds = {type(record.event) for record in story.records}
    assert kinds == set(Event.__args__) - set(StandingEvent.__args__)
    for record in story.records:
        kept = record._replace(hash=b"", epoch=0, instance=b"", commit_id=b"")
        assert travelled(record) == kept


def test_a_frame_shows_the_very_event(story: Story) -> None:
    """It is encoded at once, and says the same as a frame that is given the event."""
    for record in story.records:
        frame = live_pb2.ServerFrame(event=event_to_wire(record, "s-1"))
        assert live_pb2.ServerFrame.FromString(event_bytes(record, "s-1")) == frame


def test_an_event_says_where_it_belongs_and_whose_it_is(story: Story) -> None:
    """Every field around what happened, by its name."""
    wire = event_to_wire(story.records[14], "s-1")
    assert (wire.session_id, wire.seq, wire.op_id) == ("s-1", 15, "op-14")
    assert wire.time.ToMilliseconds() == story.records[14].time_ms
    assert wire.actor == event_pb2.Actor(subject="crm", role="service", acting_for="alice")
    assert wire.turn_ended.turn_id == "id-3"
    assert wire.turn_ended.outcome == event_pb2.TURN_OUTCOME_COMPLETED
    message = wire.turn_ended.message
    assert message_from_wire(message) == message_of(story.records[14])
    assert (message.session_id, message.sender) == ("s-1", session_pb2.SENDER_AGENT)


def test_an_output_travels_as_it_was_when_the_event_happened(story: Story) -> None:
    """Undecided, under its id."""
    submitted = event_to_wire(story.records[6], "s-1").output_submitted
    assert (submitted.output_id, submitted.output.content) == ("o-1", "Plan")
    assert submitted.output.status == session_pb2.OUTPUT_STATUS_PENDING
    decided = event_to_wire(story.records[8], "s-1").output_decided
    assert decided.status == session_pb2.OUTPUT_STATUS_REJECTED
    assert (decided.output_id, decided.feedback) == ("o-1", "No")


def test_a_turn_without_text_travels_without_a_message(story: Story) -> None:
    """So that nobody shows an empty one."""
    cancelled = event_to_wire(story.records[16], "s-1").turn_ended
    assert cancelled.outcome == event_pb2.TURN_OUTCOME_CANCELLED
    assert not cancelled.HasField("message")


@pytest.mark.parametrize("until", range(1, 19))
def test_a_snapshot_and_the_events_after_it_give_the_session(story: Story, until: int) -> None:
    """Wherever the snapshot was taken: old snapshot + events = new snapshot."""
    session = None
    for record in story.records[:until]:
        session = apply(session, record)
    assert session is not None
    copy = received(session)
    for record in story.records[until:]:
        check_same(copy, session)
        copy = apply(copy, travelled(record))
        session = apply(session, record)
    check_same(copy, session)
    assert session == story.session


@settings(max_examples=200, deadline=None)
@given(workflows, st.lists(askings, max_size=30), st.data())
def test_a_client_that_folds_what_it_was_sent_has_what_the_server_has(
    workflow: Workflow, asked: list[Asking], data: st.DataObject
) -> None:
    """Whatever was asked, and wherever the client came in."""
    story = lived(workflow, asked)
    until = data.draw(st.integers(1, len(story.records)))
    copy = snapshot(story, until)
    for record in story.records[until:]:
        # A rewind's event does not hold what is large: whoever follows is given a snapshot.
        rewound = isinstance(record.event, Rewound)
        copy = snapshot(story, record.seq) if rewound else apply(copy, travelled(record))
    check_same(copy, story.session)


def snapshot(story: Story, seq: int) -> Session:
    """What a client is shown that comes in after this event."""
    return received(fill(fold(None, story.records[:seq]), story.records))


def test_a_snapshot_says_whose_the_last_word_is() -> None:
    """In a plain conversation too: nobody's, the user's, the agent's."""
    story = Story(CHAT)
    check_same(received(story.session), story.session)
    story.make(AppendMessage("Hello"))
    assert received(story.session).awaited_agent == "assistant"
    check_same(received(story.session), story.session)
    story.make(AppendMessage("Good day", Sender.AGENT), SERVICE)
    check_same(received(story.session), story.session)


def check_same(copy: Session, session: Session) -> None:
    """A client's copy shows what the server shows, and the rules say the same of both."""
    assert session_to_wire(copy, ()) == session_to_wire(session, ())
    assert state_to_wire(copy) == state_to_wire(session)
    assert (copy.awaited_agent, copy.turn) == (session.awaited_agent, session.turn)


def test_a_state_travels_without_its_large_parts(story: Story) -> None:
    """They are parts of a snapshot of their own."""
    turn_id = story.begin(SERVICE)
    state = state_to_wire(story.session)
    assert state.session.user_inputs.text == "{}"
    assert not state.session.agent_outputs
    assert not state.session.conversation_history
    assert (state.message_count, state.last_message) == (4, "Note")
    assert (state.title_given, state.agent_had_last_word) == (True, False)
    assert (state.turn.turn_id, state.turn.seq, state.turn.op_id) == (turn_id, 19, "op-18")
    empty = state_from_wire(state)
    assert (empty.user_inputs, empty.outputs) == ("{}", {})
    assert not state_to_wire(Story(CHAT).session).HasField("turn")


@pytest.mark.parametrize("workflow", [MASTER, CHAT], ids=lambda workflow: workflow.id)
def test_a_workflow_comes_back_as_it_went(workflow: Workflow) -> None:
    """With steps, or with one agent."""
    assert workflow_from_wire(workflow_to_wire(workflow)) == workflow


ALICE = event_pb2.Actor(subject="alice", role="user")
OWL = event_pb2.Actor(subject="owl", role="owl")
DECIDED = event_pb2.OutputDecided
ENDED = event_pb2.TurnEnded
LATER = [
    (event_pb2.Event(actor=ALICE), "event"),
    (event_pb2.Event(actor=OWL, session_paused=event_pb2.SessionPaused()), "role"),
    (event_pb2.Event(actor=ALICE, message_appended=event_pb2.MessageAppended()), "sender"),
    (event_pb2.Event(actor=ALICE, output_decided=DECIDED(output_id="o-1")), "status"),
    (
        event_pb2.Event(
            actor=ALICE, output_decided=DECIDED(status=session_pb2.OUTPUT_STATUS_PENDING)
        ),
        "status",
    ),
    (event_pb2.Event(actor=ALICE, turn_ended=ENDED(turn_id="t")), "outcome"),
    (
        event_pb2.Event(
            actor=ALICE,
            turn_ended=ENDED(
                outcome=event_pb2.TURN_OUTCOME_COMPLETED, message=session_pb2.Message()
            ),
        ),
        "sender",
    ),
]


@pytest.mark.parametrize(("event", "field"), LATER, ids=str)
def test_an_event_of_a_later_version_is_refused(event: event_pb2.Event, field: str) -> None:
    """A client that cannot fold an event must not go on as if it had."""
    with pytest.raises(InvalidArgument) as refused:
        event_from_wire(event)
    assert bad_fields(refused) == [field]


def test_a_state_of_a_later_version_is_refused(story: Story) -> None:
    """A status, or an output's, that is not known."""
    state = state_to_wire(story.session)
    state.session.status = session_pb2.SessionStatus.ValueType(99)
    with pytest.raises(InvalidArgument) as refused:
        state_from_wire(state)
    assert bad_fields(refused) == ["status"]
    with pytest.raises(InvalidArgument) as refused:
        output_from_wire("o-1", session_pb2.Output(status=session_pb2.OutputStatus.ValueType(99)))
    assert bad_fields(refused) == ["status"]


def test_changes_of_turns_are_read_from_their_frames() -> None:
    """What is left out is left to the rules."""
    assert begin_turn_from_wire(live_pb2.BeginTurn(op_id="x")) == BeginTurn()
    assert begin_turn_from_wire(live_pb2.BeginTurn(agent_id="")) == BeginTurn("")
    assert end_turn_from_wire(live_pb2.EndTurn(turn_id="t", length=4)) == EndTurn("t", 4)
    metadata = session_pb2.JsonObject(text="{}")
    frame = live_pb2.EndTurn(turn_id="t", length=4, failed=True, metadata=metadata)
    assert end_turn_from_wire(frame) == EndTurn("t", 4, failed=True, metadata="{}")
    assert cancel_turn_from_wire(live_pb2.CancelTurn(turn_id="t")) == CancelTurn("t")


def test_what_the_door_names_is_there() -> None:
    """Others import all of this from one place."""
    assert all(hasattr(event_wire, name) for name in event_wire.__all__)
