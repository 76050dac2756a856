"""Records as they are stored: one event each, written once.

What every record holds is set field by field, and in the place where it is to stand: a message that
is made for itself is encoded and decoded again when it becomes a field of another.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from google.protobuf.message import DecodeError

from sessiond.numbers import (
    DECISION_NUMBER,
    DECISION_WORD,
    MESSAGE_TYPE_NUMBER,
    MESSAGE_TYPE_WORD,
    SENDER_NUMBER,
    SENDER_WORD,
    TURN_OUTCOME_NUMBER,
    TURN_OUTCOME_WORD,
)
from sessiond.session.access import Actor, Role
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
from sessiond.session.state import OutputBody
from sessiond.session.workflow import Step, Workflow
from sessiond.store.standing import set_standing, standing_of
from sessiond.store.v1 import records_pb2 as pb


class StoredRecord(NamedTuple):
    """A record of which only that is decoded by which a repeated change is known.

    Who holds many of them rarely needs more, and `whole` takes six times as long.
    """

    seq: int
    actor: Actor
    op_id: str
    hash: bytes
    data: bytes

    def whole(self) -> Record:
        """Return the record.

        Raises:
            ValueError: the bytes are none, or one of a later version.
        """
        return decode_record(self.data)


def encode_record(record: Record) -> bytes:
    """Return the bytes of a record."""
    stored = pb.Record()
    stored.seq = record.seq
    stored.epoch = record.epoch
    stored.instance = record.instance
    stored.commit_id = record.commit_id
    stored.time_ms = record.time_ms
    actor_to_stored(record.actor, stored.actor)
    stored.op_id = record.op_id
    stored.hash = record.hash
    event = record.event
    match event:
        case MessageAppended():
            _appended(event, stored.message_appended)
        case SessionCreated():
            stored.session_created.CopyFrom(_created(event))
        case SessionUpdated():
            stored.session_updated.CopyFrom(_updated(event))
        case OutputSubmitted(output):
            stored.output_submitted.output.CopyFrom(_body(output))
        case OutputEdited(output):
            stored.output_edited.output.CopyFrom(_body(output))
        case OutputDecided():
            stored.output_decided.CopyFrom(
                pb.OutputDecided(
                    output_id=event.output_id,
                    decision=DECISION_NUMBER[event.decision],
                    feedback=event.feedback,
                )
            )
        case SessionPaused():
            stored.session_paused.SetInParent()
        case SessionResumed():
            stored.session_resumed.SetInParent()
        case TurnBegun(turn_id, agent_id):
            stored.turn_begun.CopyFrom(pb.TurnBegun(turn_id=turn_id, agent_id=agent_id))
        case TurnEnded():
            stored.turn_ended.CopyFrom(_turn_ended(event))
        case _:
            set_standing(stored, event)
    return stored.SerializeToString()


def decode_record(data: bytes) -> Record:
    """Return the record of these bytes.

    Raises:
        ValueError: they are no record, or one of a later version.
    """
    try:
        stored = pb.Record.FromString(data)
        return Record(
            seq=stored.seq,
            time_ms=stored.time_ms,
            actor=actor_from_stored(stored.actor),
            event=_event(stored),
            op_id=stored.op_id,
            hash=stored.hash,
            epoch=stored.epoch,
            instance=stored.instance,
            commit_id=stored.commit_id,
        )
    except (DecodeError, KeyError) as error:
        raise ValueError("these bytes are no record that this version knows") from error


def read_record(data: bytes) -> StoredRecord:
    """Return what these bytes say about whose change the record is.

    Raises:
        ValueError: they are no record, or one of a later version.
    """
    try:
        stored = pb.Record.FromString(data)
        actor = actor_from_stored(stored.actor)
    except (DecodeError, KeyError) as error:
        raise ValueError("these bytes are no record that this version knows") from error
    return StoredRecord(stored.seq, actor, stored.op_id, stored.hash, data)


def actor_to_stored(actor: Actor, stored: pb.Actor) -> None:
    """Write the actor into its message."""
    stored.subject = actor.subject
    stored.role = actor.role
    stored.acting_for = actor.acting_for


def actor_from_stored(stored: pb.Actor) -> Actor:
    """Return the actor of the message."""
    return _actor(stored.subject, stored.role, stored.acting_for)


# A session has few actors, and many records of each.
@lru_cache(maxsize=10_000)
def _actor(subject: str, role: str, acting_for: str) -> Actor:
    return Actor(subject, Role(role), acting_for)


def _event(stored: pb.Record) -> Event:
    match stored.WhichOneof("event"):
        case "message_appended":
            return _appended_event(stored.message_appended)
        case "session_created":
            return _created_event(stored.session_created)
        case "session_updated":
            return _updated_event(stored.session_updated)
        case "output_submitted":
            return OutputSubmitted(_output(stored.output_submitted.output))
        case "output_edited":
            return OutputEdited(_output(stored.output_edited.output))
        case "output_decided":
            decided = stored.output_decided
            return OutputDecided(
                output_id=decided.output_id,
                decision=DECISION_WORD[decided.decision],
                feedback=decided.feedback if decided.HasField("feedback") else None,
            )
        case "session_paused":
            return SessionPaused()
        case "session_resumed":
            return SessionResumed()
        case "turn_begun":
            begun = stored.turn_begun
            return TurnBegun(
                turn_id=begun.turn_id,
                agent_id=begun.agent_id if begun.HasField("agent_id") else None,
            )
        case "turn_ended":
            return _turn_ended_event(stored.turn_ended)
    standing = standing_of(stored)
    if standing is None:
        raise ValueError("the record holds no event that this version knows")
    return standing


def _appended(event: MessageAppended, stored: pb.MessageAppended) -> None:
    stored.id = event.id
    stored.sender = SENDER_NUMBER[event.sender]
    stored.type = MESSAGE_TYPE_NUMBER[event.type]
    stored.content = event.content
    if event.agent_id is not None:
        stored.agent_id = event.agent_id
    if event.metadata is not None:
        stored.metadata = event.metadata
    if event.title is not None:
        stored.title = event.title


def _appended_event(stored: pb.MessageAppended) -> MessageAppended:
    return MessageAppended(
        id=stored.id,
        sender=SENDER_WORD[stored.sender],
        type=MESSAGE_TYPE_WORD[stored.type],
        content=stored.content,
        agent_id=stored.agent_id if stored.HasField("agent_id") else None,
        metadata=stored.metadata if stored.HasField("metadata") else None,
        title=stored.title if stored.HasField("title") else None,
    )


def _created(event: SessionCreated) -> pb.SessionCreated:
    return pb.SessionCreated(
        session_id=event.session_id,
        user_id=event.user_id,
        workflow=pb.Workflow(
            id=event.workflow.id,
            name=event.workflow.name,
            steps=[
                pb.WorkflowStep(
                    id=step.id,
                    name=step.name,
                    agent=step.agent,
                    stage=step.stage,
                    minutes=step.minutes,
                )
                for step in event.workflow.steps
            ],
            agent=event.workflow.agent,
        ),
        user_inputs=event.user_inputs,
        title=event.title,
        metadata=event.metadata,
    )


def _created_event(stored: pb.SessionCreated) -> SessionCreated:
    return SessionCreated(
        session_id=stored.session_id,
        user_id=stored.user_id,
        workflow=_workflow(stored.workflow.SerializeToString()),
        user_inputs=stored.user_inputs,
        title=stored.title,
        metadata=dict(stored.metadata),
    )


# Many sessions follow one workflow: one value stands for it in all of them.
@lru_cache(maxsize=1000)
def _workflow(data: bytes) -> Workflow:
    stored = pb.Workflow.FromString(data)
    return Workflow(
        id=stored.id,
        name=stored.name,
        steps=tuple(
            Step(step.id, step.name, step.agent, step.stage, step.minutes) for step in stored.steps
        ),
        agent=stored.agent,
    )


def _updated(event: SessionUpdated) -> pb.SessionUpdated:
    return pb.SessionUpdated(
        title=None
        if event.title is None
        else pb.SessionUpdated.Title(text=event.title, given=event.title_given),
        metadata=None
        if event.metadata is None
        else pb.SessionUpdated.Metadata(values=event.metadata),
        user_inputs=event.user_inputs,
    )


def _updated_event(stored: pb.SessionUpdated) -> SessionUpdated:
    return SessionUpdated(
        title=stored.title.text if stored.HasField("title") else None,
        title_given=stored.title.given,
        metadata=dict(stored.metadata.values) if stored.HasField("metadata") else None,
        user_inputs=stored.user_inputs if stored.HasField("user_inputs") else None,
    )


def _body(output: OutputBody) -> pb.OutputBody:
    return pb.OutputBody(
        id=output.id,
        agent_id=output.agent_id,
        step_id=output.step_id,
        content=output.content,
        quality_score=output.quality_score,
        metadata=output.metadata,
        generated_ms=output.generated_ms,
    )


def _output(stored: pb.OutputBody) -> OutputBody:
    return OutputBody(
        id=stored.id,
        agent_id=stored.agent_id,
        step_id=stored.step_id,
        content=stored.content,
        generated_ms=stored.generated_ms,
        quality_score=stored.quality_score if stored.HasField("quality_score") else None,
        metadata=stored.metadata if stored.HasField("metadata") else None,
    )


def _turn_ended(event: TurnEnded) -> pb.TurnEnded:
    return pb.TurnEnded(
        turn_id=event.turn_id,
        outcome=TURN_OUTCOME_NUMBER[event.outcome],
        message_id=event.message_id,
        agent_id=event.agent_id,
        content=event.content,
        metadata=event.metadata,
    )


def _turn_ended_event(stored: pb.TurnEnded) -> TurnEnded:
    return TurnEnded(
        turn_id=stored.turn_id,
        outcome=TURN_OUTCOME_WORD[stored.outcome],
        message_id=stored.message_id,
        agent_id=stored.agent_id if stored.HasField("agent_id") else None,
        content=stored.content,
        metadata=stored.metadata if stored.HasField("metadata") else None,
    )
