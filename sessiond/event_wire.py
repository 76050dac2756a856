"""Between the rules' records and states and what streams carry: symmetric pairs.

A client that folds the events that it was sent, on top of a state that it was sent, shows what the
server shows. What only keepers of logs need (epochs, hashes, the seqs of large values) does not
travel and comes out empty. The conversions of states, which are `state_wire`'s, stand here too.

Out of the rules everything is total. Into the rules a word or an event of a later version is an
`InvalidArgument` that names its field.
"""

from __future__ import annotations

from sessiond.errors import InvalidArgument
from sessiond.numbers import (
    OUTPUT_STATUS_NUMBER,
    OUTPUT_STATUS_WORD,
    TURN_OUTCOME_NUMBER,
    TURN_OUTCOME_WORD,
)
from sessiond.session.apply import author_of, message_of
from sessiond.session.changes import BeginTurn, CancelTurn, EndTurn
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
from sessiond.session.state import Decision, Output, OutputStatus
from sessiond.standing_wire import UNKNOWN, set_standing_event, standing_event_of, word_of
from sessiond.state_wire import (
    actor_from_wire,
    agent_id_from_wire,
    body_from_wire,
    output_from_wire,
    set_actor,
    state_from_wire,
    state_to_wire,
    workflow_from_wire,
    workflow_to_wire,
)
from sessiond.v1 import event_pb2, live_pb2, session_pb2
from sessiond.wire import (
    message_from_wire,
    message_to_wire,
    output_to_wire,
    set_message,
    set_timestamp,
    timestamp_from_wire,
)

__all__ = [
    "begin_turn_from_wire",
    "cancel_turn_from_wire",
    "end_turn_from_wire",
    "event_bytes",
    "event_from_wire",
    "event_to_wire",
    "output_from_wire",
    "state_from_wire",
    "state_to_wire",
    "workflow_from_wire",
    "workflow_to_wire",
]


def event_to_wire(record: Record, session_id: str) -> event_pb2.Event:
    """Return the event that the record holds, as all readers of this session see it."""
    wire = event_pb2.Event()
    _set_event(wire, record, session_id)
    return wire


def event_bytes(record: Record, session_id: str) -> bytes:
    """Return the encoded frame that shows the event.

    Its parts are written where they stand, none of them is copied: every change is shown so.
    """
    frame = live_pb2.ServerFrame()
    _set_event(frame.event, record, session_id)
    return frame.SerializeToString()


def _set_event(wire: event_pb2.Event, record: Record, session_id: str) -> None:
    wire.session_id = session_id
    wire.seq = record.seq
    set_timestamp(wire.time, record.time_ms)
    set_actor(wire.actor, record.actor)
    wire.op_id = record.op_id
    event = record.event
    match event:
        case MessageAppended(title=title):
            appended = wire.message_appended
            author = author_of(event.sender, record.actor)
            set_message(
                appended.message, event, session_id, record.time_ms, record.seq, user_id=author
            )
            if title is not None:
                appended.title = title
        case SessionCreated():
            wire.session_created.CopyFrom(_created_to_wire(event))
        case SessionUpdated():
            wire.session_updated.CopyFrom(_updated_to_wire(event))
        case OutputSubmitted(body):
            wire.output_submitted.output_id = body.id
            wire.output_submitted.output.CopyFrom(output_to_wire(Output(body, record.seq)))
        case OutputEdited(body):
            wire.output_edited.output_id = body.id
            wire.output_edited.output.CopyFrom(output_to_wire(Output(body, record.seq)))
        case OutputDecided():
            wire.output_decided.CopyFrom(
                event_pb2.OutputDecided(
                    output_id=event.output_id,
                    status=OUTPUT_STATUS_NUMBER[OutputStatus(event.decision.value)],
                    feedback=event.feedback,
                )
            )
        case SessionPaused():
            wire.session_paused.SetInParent()
        case SessionResumed():
            wire.session_resumed.SetInParent()
        case TurnBegun(turn_id, agent_id):
            wire.turn_begun.CopyFrom(event_pb2.TurnBegun(turn_id=turn_id, agent_id=agent_id))
        case TurnEnded(turn_id, outcome):
            wire.turn_ended.turn_id = turn_id
            wire.turn_ended.outcome = TURN_OUTCOME_NUMBER[outcome]
            message = message_of(record)
            if message is not None:
                wire.turn_ended.message.CopyFrom(message_to_wire(message, session_id))
        case _:
            set_standing_event(wire, event)


def event_from_wire(event: event_pb2.Event) -> Record:
    """Return the record of an event; what only keepers of logs need is empty.

    Raises:
        InvalidArgument: it is of a later version.
    """
    return Record(
        seq=event.seq,
        time_ms=timestamp_from_wire(event.time),
        actor=actor_from_wire(event.actor),
        event=_event(event),
        op_id=event.op_id,
    )


def _event(wire: event_pb2.Event) -> Event:
    match wire.WhichOneof("event"):
        case "message_appended":
            return _appended(wire.message_appended)
        case "session_created":
            return _created(wire.session_created, wire.session_id)
        case "session_updated":
            return _updated(wire.session_updated)
        case "output_submitted":
            submitted = wire.output_submitted
            return OutputSubmitted(body_from_wire(submitted.output_id, submitted.output))
        case "output_edited":
            return OutputEdited(
                body_from_wire(wire.output_edited.output_id, wire.output_edited.output)
            )
        case "output_decided":
            decided = wire.output_decided
            status = word_of(OUTPUT_STATUS_WORD, decided.status, "status")
            if status not in (OutputStatus.APPROVED, OutputStatus.REJECTED):
                raise InvalidArgument.of("status", "must be approved or rejected")
            return OutputDecided(
                output_id=decided.output_id,
                decision=Decision(status.value),
                feedback=decided.feedback if decided.HasField("feedback") else None,
            )
        case "session_paused":
            return SessionPaused()
        case "session_resumed":
            return SessionResumed()
        case "turn_begun":
            return TurnBegun(wire.turn_begun.turn_id, agent_id_from_wire(wire.turn_begun))
        case "turn_ended":
            return _turn_ended(wire.turn_ended)
    standing = standing_event_of(wire)
    if standing is None:
        raise InvalidArgument.of("event", UNKNOWN)
    return standing


def _appended(wire: event_pb2.MessageAppended) -> MessageAppended:
    message = message_from_wire(wire.message)
    return MessageAppended(
        id=message.id,
        sender=message.sender,
        type=message.type,
        content=message.content,
        agent_id=message.agent_id,
        metadata=message.metadata,
        title=wire.title if wire.HasField("title") else None,
    )


def _created_to_wire(event: SessionCreated) -> event_pb2.SessionCreated:
    return event_pb2.SessionCreated(
        user_id=event.user_id,
        workflow=workflow_to_wire(event.workflow),
        user_inputs=session_pb2.JsonObject(text=event.user_inputs),
        title=event.title,
        metadata=event.metadata,
    )


def _created(wire: event_pb2.SessionCreated, session_id: str) -> SessionCreated:
    return SessionCreated(
        session_id=session_id,
        user_id=wire.user_id,
        workflow=workflow_from_wire(wire.workflow),
        user_inputs=wire.user_inputs.text,
        title=wire.title,
        metadata=dict(wire.metadata),
    )


def _updated_to_wire(event: SessionUpdated) -> event_pb2.SessionUpdated:
    metadata, inputs = event.metadata, event.user_inputs
    return event_pb2.SessionUpdated(
        title=event.title,
        title_given=event.title_given,
        metadata=None if metadata is None else event_pb2.SessionUpdated.Metadata(values=metadata),
        user_inputs=None if inputs is None else session_pb2.JsonObject(text=inputs),
    )


def _updated(wire: event_pb2.SessionUpdated) -> SessionUpdated:
    return SessionUpdated(
        title=wire.title if wire.HasField("title") else None,
        title_given=wire.title_given,
        metadata=dict(wire.metadata.values) if wire.HasField("metadata") else None,
        user_inputs=wire.user_inputs.text if wire.HasField("user_inputs") else None,
    )


def _turn_ended(wire: event_pb2.TurnEnded) -> TurnEnded:
    outcome = word_of(TURN_OUTCOME_WORD, wire.outcome, "outcome")
    if not wire.HasField("message"):
        return TurnEnded(wire.turn_id, outcome)
    message = message_from_wire(wire.message)
    return TurnEnded(
        turn_id=wire.turn_id,
        outcome=outcome,
        message_id=message.id,
        agent_id=message.agent_id,
        content=message.content,
        metadata=message.metadata,
    )


def begin_turn_from_wire(frame: live_pb2.BeginTurn) -> BeginTurn:
    """Return what the frame asks for."""
    return BeginTurn(agent_id_from_wire(frame))


def end_turn_from_wire(frame: live_pb2.EndTurn) -> EndTurn:
    """Return what the frame asks for."""
    return EndTurn(
        turn_id=frame.turn_id,
        length=frame.length,
        failed=frame.failed,
        metadata=frame.metadata.text if frame.HasField("metadata") else None,
    )


def cancel_turn_from_wire(frame: live_pb2.CancelTurn) -> CancelTurn:
    """Return what the frame asks for."""
    return CancelTurn(frame.turn_id)
