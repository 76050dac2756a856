"""The rules of outputs: submitted by agents, edited while they wait, decided once."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from sessiond.errors import (
    AlreadyDecided,
    IdTaken,
    NothingPending,
    OutputNotFound,
    OutputPending,
    SessionCompleted,
    SessionFull,
    SessionPaused,
    Violations,
)
from sessiond.session.access import Identity
from sessiond.session.changes import ApproveOutput, EditOutput, SubmitOutput
from sessiond.session.checks import check_name, check_session_id, check_text
from sessiond.session.events import OutputDecided, OutputEdited, OutputSubmitted
from sessiond.session.jsontext import check_message_metadata
from sessiond.session.limits import Limits
from sessiond.session.senders import speaking_agent
from sessiond.session.state import Output, OutputBody, OutputStatus, Session, Status


def submit_output(
    session: Session,
    change: SubmitOutput,
    *,
    identity: Identity,
    now_ms: int,
    new_id: Callable[[], str],
    limits: Limits,
) -> tuple[OutputSubmitted]:
    """One output of the current step at a time."""
    found = Violations()
    check_text(change.content, "content", found, limit=limits.content)
    if change.output_id is not None:
        check_session_id(change.output_id, "output_id", found)
    if change.agent_id is not None:
        check_name(change.agent_id, "agent_id", found, limit=limits.agent_id)
    if change.quality_score is not None and not math.isfinite(change.quality_score):
        found.add("quality_score", "must be a finite number")
    check_message_metadata(change.metadata, found, limits)
    found.check()
    agent = speaking_agent(identity, session, change.agent_id)
    _refuse_unless_active(session)
    step_id = session.workflow.step_id_at(session.current_step)
    if agent is None or not step_id:
        raise NothingPending("This workflow has no step to submit an output for.")
    if session.pending_output is not None:
        raise OutputPending
    if change.output_id in session.outputs:
        raise IdTaken("The session already has an output of this id.")
    if len(session.outputs) >= limits.outputs:
        raise SessionFull(f"The session has {limits.outputs} outputs, as many as it may have.")
    return (
        OutputSubmitted(
            OutputBody(
                id=new_id() if change.output_id is None else change.output_id,
                agent_id=agent,
                step_id=step_id,
                content=change.content,
                generated_ms=now_ms,
                quality_score=change.quality_score,
                metadata=change.metadata,
            )
        ),
    )


def edit_output(
    session: Session, change: EditOutput, *, now_ms: int, limits: Limits
) -> tuple[OutputEdited, ...]:
    """Only what waits for its decision can be edited; () when the edit changes nothing."""
    found = Violations()
    check_session_id(change.output_id, "output_id", found)
    if change.content is not None:
        check_text(change.content, "content", found, limit=limits.content)
    check_message_metadata(change.metadata, found, limits)
    found.check()
    output = _named(session, change.output_id)
    if output.status is not OutputStatus.PENDING:
        raise AlreadyDecided("This output has been decided and can no longer be edited.")
    body = replace(
        output.body,
        content=output.body.content if change.content is None else change.content,
        metadata=output.body.metadata if change.metadata is None else change.metadata,
    )
    if body == output.body:
        return ()
    _refuse_unless_active(session)
    return (OutputEdited(replace(body, generated_ms=now_ms)),)


def approve_output(
    session: Session, change: ApproveOutput, *, limits: Limits
) -> tuple[OutputDecided, ...]:
    """Decide an output once; () when it was decided the same way before.

    What was decided is told before a pause or the end of the workflow is, so that a repeated call
    gets its answer whatever happened since.
    """
    found = Violations()
    if change.output_id is not None:
        check_session_id(change.output_id, "output_id", found)
    if change.feedback is not None:
        check_text(change.feedback, "feedback", found, limit=limits.feedback, may_be_empty=True)
    found.check()
    if change.output_id is None:
        _refuse_unless_active(session)
        pending = session.pending_output
        if pending is None:
            raise NothingPending
        output = pending
    else:
        output = _named(session, change.output_id)
    if output.status is not OutputStatus.PENDING:
        if output.status.value == change.decision.value:
            return ()
        raise AlreadyDecided
    _refuse_unless_active(session)
    return (OutputDecided(output.body.id, change.decision, change.feedback),)


def _named(session: Session, output_id: str) -> Output:
    output = session.outputs.get(output_id)
    if output is None:
        raise OutputNotFound
    return output


def _refuse_unless_active(session: Session) -> None:
    if session.status is Status.PAUSED:
        raise SessionPaused
    if session.status is Status.COMPLETED:
        raise SessionCompleted
