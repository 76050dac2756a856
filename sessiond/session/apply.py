"""Folding records into the state: the one place that says what an event does to a session."""

from __future__ import annotations

from dataclasses import replace

from sessiond.session.access import Actor
from sessiond.session.events import (
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
from sessiond.session.standing import stand
from sessiond.session.state import (
    Decision,
    LastWord,
    Message,
    MessageType,
    Output,
    OutputStatus,
    Sender,
    Session,
    Status,
    Turn,
)

LAST_MESSAGE_CHARACTERS = 140


def apply(session: Session | None, record: Record) -> Session:
    """Return the session after the record; `session` is None before the first one.

    Raises:
        ValueError: the record is not the next one of this session, which is a fault of ours.
    """
    event = record.event
    if session is None:
        if record.seq != 1 or not isinstance(event, SessionCreated):
            raise ValueError(f"record {record.seq} does not create a session")
        return _created(record, event)
    if record.seq != session.seq + 1:
        raise ValueError(f"record {record.seq} does not follow {session.seq}")
    last_active_ms = max(session.last_active_ms, record.time_ms)
    if isinstance(event, MessageAppended):
        # By far the most frequent: one copy instead of two.
        return _message_appended(session, record, event, last_active_ms)
    session = session._replace(seq=record.seq, last_active_ms=last_active_ms)
    match event:
        case SessionUpdated():
            return _updated(session, record, event)
        case OutputSubmitted(body):
            return _with_output(session, Output(body, body_seq=record.seq))
        case OutputEdited(body):
            edited = replace(session.outputs[body.id], body=body, body_seq=record.seq)
            return _with_output(session, edited)
        case OutputDecided():
            return _output_decided(session, record, event)
        case SessionPaused():
            return session._replace(status=Status.PAUSED)
        case SessionResumed():
            return session._replace(status=Status.ACTIVE)
        case TurnBegun(turn_id, agent_id):
            turn = Turn(turn_id, record.actor, record.op_id, agent_id, record.seq)
            return session._replace(turn=turn)
        case TurnEnded():
            return _turn_ended(session, record, event)
        case SessionCreated():
            raise ValueError(f"record {record.seq} creates a session that exists")
        case _:
            return stand(session, event, seq=record.seq, time_ms=record.time_ms)


def message_of(record: Record) -> Message | None:
    """Return the message that the record appended, or None when it did something else.

    The end of a turn appends one, unless nothing was written.
    """
    event = record.event
    if isinstance(event, TurnEnded):
        return _message_of_turn(record, event) if event.message_id else None
    if not isinstance(event, MessageAppended):
        return None
    return Message(
        id=event.id,
        sender=event.sender,
        type=event.type,
        content=event.content,
        time_ms=record.time_ms,
        seq=record.seq,
        agent_id=event.agent_id,
        metadata=event.metadata,
        user_id=author_of(event.sender, record.actor),
    )


def author_of(sender: Sender, actor: Actor) -> str | None:
    """Return the user who is named for a message; None where an agent or the system wrote it."""
    return actor.name if sender is Sender.USER else None


def decided(output: Output, record: Record, event: OutputDecided) -> Output:
    """Return the output after the decision that the record holds."""
    approved = event.decision is Decision.APPROVED
    return replace(
        output,
        status=OutputStatus.APPROVED if approved else OutputStatus.REJECTED,
        decision_seq=record.seq,
        feedback=event.feedback,
        approved_ms=record.time_ms if approved else None,
        approved_by=record.actor.name if approved else None,
    )


def _created(record: Record, event: SessionCreated) -> Session:
    return Session(
        id=event.session_id,
        user_id=event.user_id,
        workflow=event.workflow,
        status=Status.ACTIVE,
        current_step=0,
        created_ms=record.time_ms,
        last_active_ms=record.time_ms,
        user_inputs=event.user_inputs,
        inputs_seq=1,
        title=event.title,
        title_given=event.title != "",
        metadata=event.metadata,
        seq=1,
    )


def _message_appended(
    session: Session, record: Record, event: MessageAppended, last_active_ms: int
) -> Session:
    return session._replace(
        seq=record.seq,
        last_active_ms=last_active_ms,
        message_count=session.message_count + 1,
        last_message_seq=record.seq,
        last_message=event.content[:LAST_MESSAGE_CHARACTERS],
        last_word=_word_of(session, event.sender, event.agent_id),
        title=session.title if event.title is None else event.title,
    )


def _message_of_turn(record: Record, event: TurnEnded) -> Message:
    return Message(
        id=event.message_id,
        sender=Sender.AGENT,
        type=MessageType.TEXT,
        content=event.content,
        time_ms=record.time_ms,
        seq=record.seq,
        agent_id=event.agent_id,
        metadata=event.metadata,
    )


def _turn_ended(session: Session, record: Record, event: TurnEnded) -> Session:
    if not event.message_id:
        return session._replace(turn=None)
    return session._replace(
        turn=None,
        message_count=session.message_count + 1,
        last_message_seq=record.seq,
        last_message=event.content[:LAST_MESSAGE_CHARACTERS],
        last_word=_word_of(session, Sender.AGENT, event.agent_id),
    )


def _word_of(session: Session, sender: Sender, agent_id: str | None) -> LastWord:
    """Return whose word a message is.

    One agent's word is not another's: where a step was approved while its agent still spoke, the
    agent of the next step is due all the same.
    """
    by_current = sender is Sender.AGENT and agent_id == session.current_agent
    return LastWord.AGENT if by_current else LastWord.OTHER


def _updated(session: Session, record: Record, event: SessionUpdated) -> Session:
    if event.title is not None:
        session = session._replace(title=event.title, title_given=event.title_given)
    if event.metadata is not None:
        session = session._replace(metadata=event.metadata)
    if event.user_inputs is not None:
        session = session._replace(user_inputs=event.user_inputs, inputs_seq=record.seq)
    return session


def _with_output(session: Session, output: Output) -> Session:
    return session._replace(outputs={**session.outputs, output.body.id: output})


def _output_decided(session: Session, record: Record, event: OutputDecided) -> Session:
    output = session.outputs[event.output_id]
    # A decision is a word to the agent: whoever's step it now is, is awaited.
    after = _with_output(session, decided(output, record, event))
    after = after._replace(last_word=LastWord.OTHER)
    step_id = session.workflow.step_id_at(session.current_step)
    if event.decision is not Decision.APPROVED or output.body.step_id != step_id:
        return after
    step = session.current_step + 1
    completed = step == len(session.workflow.steps)
    return after._replace(
        current_step=step, status=Status.COMPLETED if completed else session.status
    )
