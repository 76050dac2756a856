"""The contract's messages and the rules' values, both ways."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sessiond import numbers
from sessiond.errors import InvalidArgument, Violations
from sessiond.session.changes import (
    AppendMessage,
    ApproveOutput,
    CreateSession,
    EditOutput,
    SubmitOutput,
    UpdateSession,
)
from sessiond.session.state import (
    Decision,
    MessageType,
    OutputStatus,
    Sender,
    Status,
)
from sessiond.store.codec import decode_entry, encode_entry
from sessiond.v1 import live_pb2, session_pb2, store_pb2
from sessiond.wire import (
    append_message_from_wire,
    approve_output_from_wire,
    create_session_from_wire,
    edit_output_from_wire,
    message_from_wire,
    message_to_wire,
    output_to_wire,
    session_to_wire,
    status_from_wire,
    submit_output_from_wire,
    summary_to_wire,
    timestamp_from_wire,
    timestamp_to_wire,
    update_session_from_wire,
)
from tests.unit.stories import CONSULTANT, Story, bad_fields

Text = session_pb2.JsonObject


@pytest.fixture
def story() -> Story:
    """A session with an approved output, a pending one and two messages."""
    story = Story(asked={"user_inputs": '{"n": 12345678901234567890}', "metadata": {"k": "v"}})
    story.make(AppendMessage("Hello", metadata='{"a": 1}'))
    story.make(AppendMessage("Good day"), CONSULTANT)
    story.submit("o-1", quality_score=0.0)
    story.make(ApproveOutput(feedback="Good"))
    story.submit("o-2", metadata="{}")
    return story


def test_a_session_shows_everything_that_callers_are_promised(story: Story) -> None:
    """Each field of the message is set from the state."""
    wire = session_to_wire(story.session, story.messages)
    assert (wire.id, wire.user_id, wire.workflow_id) == ("s-1", "alice", "master-workflow-v2")
    assert wire.status == session_pb2.SESSION_STATUS_ACTIVE
    assert (wire.current_agent, wire.current_step) == ("persona-strategist", 1)
    assert wire.created_at.ToDatetime(UTC) == datetime.fromtimestamp(1_700_000_000, UTC)
    assert timestamp_from_wire(wire.last_active) == story.now_ms
    assert wire.user_inputs.text == '{"n": 12345678901234567890}'
    assert set(wire.agent_outputs) == {"o-1", "o-2"}
    assert [message.content for message in wire.conversation_history] == ["Hello", "Good day"]
    assert wire.progress == session_pb2.Progress(
        total_steps=8,
        completed_steps=1,
        current_step_id="persona_development",
        estimated_time_remaining=250,
        stage_progress={"foundation": 1 / 3, "strategy": 0.0, "validation": 0.0},
    )
    assert (wire.title, dict(wire.metadata), wire.revision) == ("Hello", {"k": "v"}, 6)


def test_an_output_shows_its_decision_only_once_it_is_decided(story: Story) -> None:
    """Absent is absent: no score, feedback, approver or metadata where there is none."""
    approved = output_to_wire(story.session.outputs["o-1"])
    assert (approved.agent_id, approved.step_id) == ("gtm-consultant", "foundation_gtm")
    assert approved.status == session_pb2.OUTPUT_STATUS_APPROVED
    assert (approved.user_feedback, approved.approved_by) == ("Good", "alice")
    assert approved.HasField("quality_score")
    generated = timestamp_from_wire(approved.generated_at)
    assert timestamp_from_wire(approved.approved_at) == generated + 1000
    assert not approved.HasField("metadata")
    pending = output_to_wire(story.session.outputs["o-2"])
    assert pending.status == session_pb2.OUTPUT_STATUS_PENDING
    assert pending.metadata.text == "{}"
    for absent in ("quality_score", "user_feedback", "approved_at", "approved_by"):
        assert absent not in {field.name for field, _ in pending.ListFields()}


def test_a_message_comes_back_as_it_went(story: Story) -> None:
    """Into the contract and out of it."""
    for message in story.messages:
        wire = message_to_wire(message, "s-1")
        assert wire.session_id == "s-1"
        assert message_from_wire(wire) == message


@pytest.mark.parametrize("field", ["sender", "type"])
@pytest.mark.parametrize("number", [0, 99])
def test_a_message_of_no_known_kind_is_refused(story: Story, field: str, number: int) -> None:
    """A client names what it does not know, instead of guessing."""
    wire = message_to_wire(story.messages[0], "s-1")
    setattr(wire, field, number)
    with pytest.raises(InvalidArgument) as refused:
        message_from_wire(wire)
    assert bad_fields(refused) == [field]


def test_a_summary_is_the_session_without_its_large_parts(story: Story) -> None:
    """Field by field the same as in the session."""
    summary = summary_to_wire(decode_entry(encode_entry(story.session)))
    whole = session_to_wire(story.session, [])
    for field in summary.DESCRIPTOR.fields:
        if field.name not in {"message_count", "last_message", "shared_as"}:
            assert getattr(summary, field.name) == getattr(whole, field.name), field.name
    assert (summary.message_count, summary.last_message) == (2, "Good day")


@pytest.mark.parametrize("time_ms", [0, 1, 999, 1000, 1_700_000_000_123])
def test_times_keep_their_milliseconds(time_ms: int) -> None:
    """There and back."""
    assert timestamp_from_wire(timestamp_to_wire(time_ms)) == time_ms


def test_what_a_request_leaves_out_is_left_to_the_rules() -> None:
    """Absent is None, which is not the empty text."""
    assert create_session_from_wire(store_pb2.CreateSessionRequest()) == CreateSession()
    assert append_message_from_wire(live_pb2.AppendMessageRequest(content="x")) == (
        AppendMessage("x")
    )
    assert update_session_from_wire(live_pb2.UpdateSessionRequest()) == UpdateSession()
    assert approve_output_from_wire(live_pb2.ApproveOutputRequest()) == ApproveOutput()
    assert submit_output_from_wire(live_pb2.SubmitOutputRequest(content="x")) == SubmitOutput("x")
    assert edit_output_from_wire(live_pb2.EditOutputRequest(output_id="o")) == EditOutput("o")


def test_what_a_request_gives_arrives_even_when_it_is_empty() -> None:
    """Every field of every change."""
    assert create_session_from_wire(
        store_pb2.CreateSessionRequest(
            workflow_id="", user_inputs=Text(), title="", metadata={"k": ""}, id="", op_id="x"
        )
    ) == CreateSession("", "", "", {"k": ""}, "")
    assert append_message_from_wire(
        live_pb2.AppendMessageRequest(
            sender=session_pb2.SENDER_SYSTEM,
            type=session_pb2.MESSAGE_TYPE_USER_INPUT_REQUEST,
            agent_id="",
            metadata=Text(text="{}"),
        )
    ) == AppendMessage("", Sender.SYSTEM, MessageType.USER_INPUT_REQUEST, "", "{}")
    assert approve_output_from_wire(
        live_pb2.ApproveOutputRequest(
            output_id="", feedback="", decision=live_pb2.DECISION_REJECTED
        )
    ) == ApproveOutput("", "", Decision.REJECTED)
    assert submit_output_from_wire(
        live_pb2.SubmitOutputRequest(output_id="", agent_id="", quality_score=0.0, metadata=Text())
    ) == SubmitOutput("", "", "", 0.0, "")
    assert edit_output_from_wire(
        live_pb2.EditOutputRequest(content="", metadata=Text())
    ) == EditOutput("", "", "")


def test_an_update_tells_remove_from_leave() -> None:
    """Metadata without a value is a key to remove; clearing travels beside the fields."""
    assert update_session_from_wire(
        live_pb2.UpdateSessionRequest(
            metadata={
                "set": live_pb2.NullableString(value="1"),
                "empty": live_pb2.NullableString(value=""),
                "gone": live_pb2.NullableString(),
            },
            user_inputs=Text(text="{}"),
            clear_title=True,
            clear_metadata=True,
            clear_user_inputs=True,
        )
    ) == UpdateSession("", {"set": "1", "empty": "", "gone": None}, "{}", True, True)
    with pytest.raises(InvalidArgument) as refused:
        update_session_from_wire(live_pb2.UpdateSessionRequest(title="T", clear_title=True))
    assert bad_fields(refused) == ["title"]


def test_numbers_that_no_word_has_are_bad_fields() -> None:
    """All of them at once; zero, set or not, is left out."""
    request = live_pb2.AppendMessageRequest(content="x")
    request.sender = 99  # type: ignore[assignment]  # what an untyped client may send
    request.type = -1  # type: ignore[assignment]  # as above
    with pytest.raises(InvalidArgument) as refused:
        append_message_from_wire(request)
    assert bad_fields(refused) == ["sender", "type"]
    request.sender = session_pb2.SENDER_UNSPECIFIED
    request.type = session_pb2.MESSAGE_TYPE_UNSPECIFIED
    assert append_message_from_wire(request) == AppendMessage("x")
    approval = live_pb2.ApproveOutputRequest()
    approval.decision = 7  # type: ignore[assignment]  # as above
    with pytest.raises(InvalidArgument) as refused:
        approve_output_from_wire(approval)
    assert bad_fields(refused) == ["decision"]
    found = Violations()
    assert status_from_wire(0, "status", found) is None
    assert status_from_wire(2, "status", found) is Status.PAUSED
    assert found.found == []
    assert status_from_wire(9, "status", found) is None
    assert [violation.field for violation in found.found] == ["status"]


def test_every_word_has_its_number_in_the_contract() -> None:
    """Both ways, and only zero has no word."""
    for words, table, enum in (
        (Status, numbers.STATUS_WORD, session_pb2.SessionStatus),
        (Sender, numbers.SENDER_WORD, session_pb2.Sender),
        (MessageType, numbers.MESSAGE_TYPE_WORD, session_pb2.MessageType),
        (OutputStatus, numbers.OUTPUT_STATUS_WORD, session_pb2.OutputStatus),
        (Decision, numbers.DECISION_WORD, live_pb2.Decision),
    ):
        assert set(table.values()) == set(words)
        assert set(table) | {0} == set(enum.DESCRIPTOR.values_by_number)
