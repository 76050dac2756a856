"""Verifying a log that comes from elsewhere: may these records be a session's?

What our own rules decide is good by itself. A log that is imported was decided by nobody here, so
each record is looked at once more, before `apply` believes it: its form, its place, and whether
what it speaks of is there.
"""

from __future__ import annotations

import math

from sessiond.errors import FieldViolation, InvalidArgument, Violations
from sessiond.session import verifying_standing as standing
from sessiond.session.checks import (
    check_metadata,
    check_name,
    check_op_id,
    check_session_id,
    check_text,
    check_title,
    check_user_id,
)
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
from sessiond.session.jsontext import check_message_metadata, check_object
from sessiond.session.limits import Limits
from sessiond.session.state import OutputBody, OutputStatus, Session, Status
from sessiond.session.workflow import Workflow, parse

MOST_HASH_BYTES = 64


class Verifier:
    """Verifies the records of one session, each once and in order.

    `latest_ms` is the latest time that a record may have. What it remembers of the records is
    where messages, inputs and outputs stand, so that a rewind can be held against it.
    """

    def __init__(self, session_id: str, *, limits: Limits, latest_ms: int) -> None:
        self._session_id = session_id
        self._limits = limits
        self._latest_ms = latest_ms
        self._places = standing.Places()

    def verify(self, session: Session | None, record: Record) -> None:
        """Return if the record may follow; `session` is None before the first one.

        Raises:
            InvalidArgument: it may not; every bad field is `events.<seq>.<field>`.
        """
        found = Violations()
        expected = 1 if session is None else session.seq + 1
        self._check_frame(session, record, expected, found)
        if not found.found:
            self._check_event(session, record, found)
        if found.found:
            raise InvalidArgument(
                [
                    FieldViolation(f"events.{expected}.{field}", message)
                    for field, message in found.found
                ]
            )
        self._places.add(record)

    def _check_frame(
        self, session: Session | None, record: Record, expected: int, found: Violations
    ) -> None:
        if record.seq != expected:
            found.add("seq", f"must be {expected}, as every event follows the one before")
        earliest = 0 if session is None else session.last_active_ms
        if not earliest <= record.time_ms:
            found.add("time", "must not be before that of the event before")
        if record.time_ms > self._latest_ms:
            found.add("time", "must not be in the future")
        check_name(record.actor.subject, "actor.subject", found, limit=self._limits.user_id)
        if record.actor.acting_for:
            check_user_id(record.actor.acting_for, "actor.acting_for", found, limits=self._limits)
        check_op_id(record.op_id or None, "op_id", found, limits=self._limits)
        if len(record.hash) > MOST_HASH_BYTES:
            found.add("hash", f"must be at most {MOST_HASH_BYTES} bytes")
        if isinstance(record.event, SessionCreated) != (session is None):
            found.add("session_created", "must be the first event, and no other")

    def _check_event(self, session: Session | None, record: Record, found: Violations) -> None:
        event, limits = record.event, self._limits
        if session is None:
            if isinstance(event, SessionCreated):
                self._check_created(event, found)
            return
        match event:
            case SessionCreated():
                pass  # its place was found bad
            case MessageAppended(message_id, _, _, content, agent_id, metadata, title):
                check_text(content, "content", found, limit=limits.content)
                self._check_said(message_id, agent_id, metadata, found)
                check_title(title or "", "title", found, limits=limits)
            case SessionUpdated(title, _, metadata, inputs):
                check_title(title or "", "title", found, limits=limits)
                check_metadata(metadata or {}, "metadata", found, limits=limits)
                self._check_inputs("{}" if inputs is None else inputs, found)
            case OutputSubmitted(body):
                self._check_body(body, session, record.time_ms, found)
                if body.id in session.outputs:
                    found.add("output_id", "must not be that of an output that is there")
                if len(session.outputs) >= limits.outputs:
                    found.add("output_id", f"must be one of at most {limits.outputs}")
            case OutputEdited(body):
                self._check_body(body, session, record.time_ms, found)
                self._check_pending(session, body.id, found)
            case OutputDecided(output_id, _, feedback):
                self._check_pending(session, output_id, found)
                self._check_long(feedback or "", "feedback", found)
            case SessionPaused():
                if session.status is not Status.ACTIVE:
                    found.add("session_paused", "must be of an active session")
            case SessionResumed():
                if session.status is not Status.PAUSED:
                    found.add("session_resumed", "must be of a paused session")
            case TurnBegun(turn_id, agent_id):
                check_name(turn_id, "turn_id", found, limit=limits.agent_id)
                self._check_agent(agent_id, found)
                if session.turn is not None:
                    found.add("turn_id", "must not begin while another turn runs")
            case TurnEnded():
                self._check_turn_ended(session, event, found)
            case _:
                standing.check(session, record, event, self._places, found=found, limits=limits)

    def _check_created(self, event: SessionCreated, found: Violations) -> None:
        limits = self._limits
        if event.session_id != self._session_id:
            found.add("session_id", "must be that of the session")
        check_session_id(event.session_id, "session_id", found)
        check_user_id(event.user_id, "user_id", found, limits=limits)
        check_title(event.title, "title", found, limits=limits)
        check_metadata(event.metadata, "metadata", found, limits=limits)
        self._check_inputs(event.user_inputs, found)
        try:
            parse(_definition(event.workflow), limits=limits)
        except ValueError as error:
            found.add("workflow", str(error))

    def _check_said(
        self, message_id: str, agent_id: str | None, metadata: str | None, found: Violations
    ) -> None:
        check_name(message_id, "message_id", found, limit=self._limits.agent_id)
        if message_id in self._places.message_ids:
            found.add("message_id", "must not be that of a message before")
        self._check_agent(agent_id, found)
        check_message_metadata(metadata, found, self._limits)

    def _check_turn_ended(self, session: Session, event: TurnEnded, found: Violations) -> None:
        if session.turn is None or session.turn.id != event.turn_id:
            found.add("turn_id", "must be that of the turn that runs")
        if event.message_id:
            check_text(event.content, "content", found, limit=self._limits.content)
            self._check_said(event.message_id, event.agent_id, event.metadata, found)
        elif event != TurnEnded(event.turn_id, event.outcome):
            found.add("message_id", "must not be empty")

    def _check_body(
        self, body: OutputBody, session: Session, time_ms: int, found: Violations
    ) -> None:
        check_session_id(body.id, "output_id", found)
        self._check_agent(body.agent_id, found)
        if body.step_id not in {step.id for step in session.workflow.steps}:
            found.add("step_id", "must be that of a step of the workflow")
        check_text(body.content, "content", found, limit=self._limits.content)
        if not 0 <= body.generated_ms <= time_ms:
            found.add("generated_at", "must not be after the event")
        if body.quality_score is not None and not math.isfinite(body.quality_score):
            found.add("quality_score", "must be a finite number")
        check_message_metadata(body.metadata, found, self._limits)

    def _check_pending(self, session: Session, output_id: str, found: Violations) -> None:
        output = session.outputs.get(output_id)
        if output is None or output.status is not OutputStatus.PENDING:
            found.add("output_id", "must be that of an output that waits for its decision")

    def _check_inputs(self, inputs: str, found: Violations) -> None:
        limits = self._limits
        check_object(
            inputs, "user_inputs", found, limit=limits.user_inputs, depth=limits.json_depth
        )

    def _check_agent(self, agent_id: str | None, found: Violations) -> None:
        if agent_id is not None:
            check_name(agent_id, "agent_id", found, limit=self._limits.agent_id)

    def _check_long(self, text: str, field: str, found: Violations) -> None:
        check_text(text, field, found, limit=self._limits.feedback, may_be_empty=True)


def _definition(workflow: Workflow) -> dict[str, object]:
    """Return the mapping that defines the workflow, as a file would hold it."""
    defined: dict[str, object] = {"id": workflow.id, "name": workflow.name}
    if workflow.steps:
        defined["steps"] = [
            {
                "id": step.id,
                "name": step.name,
                "agent": step.agent,
                "stage": step.stage,
                "minutes": step.minutes,
            }
            for step in workflow.steps
        ]
    if workflow.agent or not workflow.steps:
        defined["agent"] = workflow.agent
    return defined
