"""Between the rules' values and the messages of the contract: one function per type and way.

Out of the rules everything is total. Into the rules a number that no word has is an
`InvalidArgument` that names its field; everything else is for `decide` to judge. An enum that is
set to its zero counts as left out. Calls that ask for nothing but themselves (pause, resume,
delete) need no function.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from sessiond.errors import InvalidArgument, Violations
from sessiond.numbers import (
    DECISION_WORD,
    MESSAGE_TYPE_NUMBER,
    MESSAGE_TYPE_WORD,
    OUTPUT_STATUS_NUMBER,
    SENDER_NUMBER,
    SENDER_WORD,
    STATUS_NUMBER,
    STATUS_WORD,
)
from sessiond.session.changes import (
    AppendMessage,
    ApproveOutput,
    CreateSession,
    EditOutput,
    SubmitOutput,
    UpdateSession,
)
from sessiond.session.events import MessageAppended
from sessiond.session.state import Decision, Message, Output, Session, Status
from sessiond.session.workflow import Progress
from sessiond.store.v1 import records_pb2
from sessiond.v1 import live_pb2, session_pb2, store_pb2

_Word = TypeVar("_Word")
_UNKNOWN = "must be one of the known values"


def timestamp_to_wire(time_ms: int) -> Timestamp:
    """Return the time, of milliseconds since 1970, as a message."""
    time = Timestamp()
    set_timestamp(time, time_ms)
    return time


def set_timestamp(time: Timestamp, time_ms: int) -> None:
    """Write the time into a message."""
    time.seconds, ms = divmod(time_ms, 1000)
    time.nanos = ms * 1_000_000


def timestamp_from_wire(time: Timestamp) -> int:
    """Return the milliseconds since 1970; parts of one are dropped."""
    return time.seconds * 1000 + time.nanos // 1_000_000


def session_to_wire(session: Session, messages: Iterable[Message]) -> session_pb2.Session:
    """Return the whole session with these messages of it, oldest first."""
    return session_pb2.Session(
        id=session.id,
        user_id=session.user_id,
        workflow_id=session.workflow.id,
        status=STATUS_NUMBER[session.status],
        current_agent=session.current_agent,
        current_step=session.current_step,
        created_at=timestamp_to_wire(session.created_ms),
        last_active=timestamp_to_wire(session.last_active_ms),
        user_inputs=session_pb2.JsonObject(text=session.user_inputs),
        agent_outputs={
            output_id: output_to_wire(output) for output_id, output in session.outputs.items()
        },
        conversation_history=[message_to_wire(message, session.id) for message in messages],
        progress=progress_to_wire(session.progress),
        title=session.title,
        metadata=session.metadata,
        revision=session.seq,
        lineage=None
        if session.lineage is None
        else session_pb2.Lineage(session_id=session.lineage.session_id, seq=session.lineage.seq),
        held=session.held or None,
    )


def progress_to_wire(progress: Progress) -> session_pb2.Progress:
    """Return how far a workflow has come."""
    return session_pb2.Progress(
        total_steps=progress.total_steps,
        completed_steps=progress.completed_steps,
        current_step_id=progress.current_step_id,
        estimated_time_remaining=progress.estimated_time_remaining,
        stage_progress=progress.stage_progress,
    )


def output_to_wire(output: Output) -> session_pb2.Output:
    """Return an output and its decision; its id is the key under which it travels."""
    body = output.body
    return session_pb2.Output(
        agent_id=body.agent_id,
        step_id=body.step_id,
        status=OUTPUT_STATUS_NUMBER[output.status],
        content=body.content,
        quality_score=body.quality_score,
        user_feedback=output.feedback,
        generated_at=timestamp_to_wire(body.generated_ms),
        approved_at=None if output.approved_ms is None else timestamp_to_wire(output.approved_ms),
        approved_by=output.approved_by,
        metadata=_object_to_wire(body.metadata),
    )


def message_to_wire(message: Message, session_id: str) -> session_pb2.Message:
    """Return a message of this session."""
    wire = session_pb2.Message()
    set_message(wire, message, session_id, message.time_ms, message.seq, user_id=message.user_id)
    return wire


def set_message(
    wire: session_pb2.Message,
    message: Message | MessageAppended,
    session_id: str,
    time_ms: int,
    seq: int,
    *,
    user_id: str | None,
) -> None:
    """Write a message, or what appended it, into where it stands; that spares a copy of it."""
    wire.id = message.id
    wire.session_id = session_id
    wire.sender = SENDER_NUMBER[message.sender]
    if message.agent_id is not None:
        wire.agent_id = message.agent_id
    wire.type = MESSAGE_TYPE_NUMBER[message.type]
    wire.content = message.content
    if message.metadata is not None:
        wire.metadata.text = message.metadata
    set_timestamp(wire.timestamp, time_ms)
    wire.seq = seq
    if user_id is not None:
        wire.user_id = user_id


def message_from_wire(message: session_pb2.Message) -> Message:
    """Return the message that a server sent; its session is known to whoever asked."""
    sender = SENDER_WORD.get(message.sender)
    kind = MESSAGE_TYPE_WORD.get(message.type)
    if sender is None or kind is None:
        raise InvalidArgument.of("sender" if sender is None else "type", _UNKNOWN)
    return Message(
        id=message.id,
        sender=sender,
        type=kind,
        content=message.content,
        time_ms=timestamp_from_wire(message.timestamp),
        seq=message.seq,
        agent_id=message.agent_id if message.HasField("agent_id") else None,
        metadata=message.metadata.text if message.HasField("metadata") else None,
        user_id=message.user_id if message.HasField("user_id") else None,
    )


def summary_to_wire(entry: records_pb2.IndexEntry) -> session_pb2.SessionSummary:
    """Return the summary that an index entry holds."""
    wire = session_pb2.SessionSummary()
    set_summary(wire, entry)
    return wire


def set_summary(wire: session_pb2.SessionSummary, entry: records_pb2.IndexEntry) -> None:
    """Write the summary that an index entry holds into where it stands, as in a long list."""
    wire.id = entry.id
    wire.user_id = entry.user_id
    wire.workflow_id = entry.workflow_id
    # Both sides are numbers of the one enum; a later version's word passes through.
    wire.status = session_pb2.SessionStatus.ValueType(entry.status)
    wire.current_agent = entry.current_agent
    wire.current_step = entry.current_step
    set_timestamp(wire.created_at, entry.created_ms)
    set_timestamp(wire.last_active, entry.last_active_ms)
    progress = wire.progress
    progress.total_steps = entry.total_steps
    progress.completed_steps = entry.completed_steps
    progress.current_step_id = entry.current_step_id
    progress.estimated_time_remaining = entry.estimated_time_remaining
    # In a list of a thousand, a map is filled key by key in half the time that merging takes.
    stages, approved = progress.stage_progress, entry.stage_progress
    for stage in approved:
        stages[stage] = approved[stage]
    wire.title = entry.title
    if entry.metadata:
        wire.metadata.MergeFrom(entry.metadata)
    wire.revision = entry.revision
    wire.message_count = entry.message_count
    wire.last_message = entry.last_message
    if entry.HasField("lineage"):
        wire.lineage.session_id = entry.lineage.session_id
        wire.lineage.seq = entry.lineage.seq
    if entry.held:
        wire.held = True
    if entry.shared_as:
        wire.shared_as = session_pb2.MemberRole.ValueType(entry.shared_as)


def create_session_from_wire(request: store_pb2.CreateSessionRequest) -> CreateSession:
    """Return what the request asks for."""
    return CreateSession(
        workflow_id=request.workflow_id if request.HasField("workflow_id") else None,
        user_inputs=request.user_inputs.text if request.HasField("user_inputs") else None,
        title=request.title if request.HasField("title") else None,
        metadata=dict(request.metadata),
        id=request.id if request.HasField("id") else None,
        template=request.template if request.HasField("template") else None,
    )


def append_message_from_wire(request: live_pb2.AppendMessageRequest) -> AppendMessage:
    """Return what the request asks for."""
    found = Violations()
    change = AppendMessage(
        content=request.content,
        sender=_word(SENDER_WORD, request.sender, "sender", found),
        type=_word(MESSAGE_TYPE_WORD, request.type, "type", found),
        agent_id=request.agent_id if request.HasField("agent_id") else None,
        metadata=request.metadata.text if request.HasField("metadata") else None,
    )
    found.check()
    return change


def update_session_from_wire(request: live_pb2.UpdateSessionRequest) -> UpdateSession:
    """Return what the request asks for; a title cannot be given and cleared at once."""
    title = request.title if request.HasField("title") else None
    if request.clear_title:
        if title:
            raise InvalidArgument.of("title", "must not be given and cleared at once")
        title = ""
    return UpdateSession(
        title=title,
        metadata={
            key: nullable.value if nullable.HasField("value") else None
            for key, nullable in request.metadata.items()
        },
        user_inputs=request.user_inputs.text if request.HasField("user_inputs") else None,
        clear_metadata=request.clear_metadata,
        clear_user_inputs=request.clear_user_inputs,
    )


def approve_output_from_wire(request: live_pb2.ApproveOutputRequest) -> ApproveOutput:
    """Return what the request asks for."""
    found = Violations()
    decision = _word(DECISION_WORD, request.decision, "decision", found)
    found.check()
    return ApproveOutput(
        output_id=request.output_id if request.HasField("output_id") else None,
        feedback=request.feedback if request.HasField("feedback") else None,
        decision=decision or Decision.APPROVED,
    )


def submit_output_from_wire(request: live_pb2.SubmitOutputRequest) -> SubmitOutput:
    """Return what the request asks for."""
    return SubmitOutput(
        content=request.content,
        output_id=request.output_id if request.HasField("output_id") else None,
        agent_id=request.agent_id if request.HasField("agent_id") else None,
        quality_score=request.quality_score if request.HasField("quality_score") else None,
        metadata=request.metadata.text if request.HasField("metadata") else None,
    )


def edit_output_from_wire(request: live_pb2.EditOutputRequest) -> EditOutput:
    """Return what the request asks for."""
    return EditOutput(
        output_id=request.output_id,
        content=request.content if request.HasField("content") else None,
        metadata=request.metadata.text if request.HasField("metadata") else None,
    )


def status_from_wire(number: int, field: str, found: Violations) -> Status | None:
    """Return the status that a list or a watch is narrowed to; None where it is not."""
    return _word(STATUS_WORD, number, field, found)


def _word(words: Mapping[int, _Word], number: int, field: str, found: Violations) -> _Word | None:
    word = words.get(number)
    if word is None and number != 0:
        found.add(field, _UNKNOWN)
    return word


def _object_to_wire(text: str | None) -> session_pb2.JsonObject | None:
    return None if text is None else session_pb2.JsonObject(text=text)
