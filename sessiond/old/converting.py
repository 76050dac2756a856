"""From a session as the old system kept it to a history of ours.

The old system kept no events, so they are told anew: what must have happened, in the order of the
times that it noted. Nothing is drawn and no clock is read, so the same record gives the same
history however often it is converted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from sessiond.errors import InvalidArgument
from sessiond.event_wire import event_to_wire
from sessiond.old.document import OldMessage, OldOutput, OldSession, document_of
from sessiond.old.reading import Refused, Value, said, session_of
from sessiond.session.access import Actor, Role
from sessiond.session.apply import apply
from sessiond.session.events import (
    Event,
    MessageAppended,
    OutputDecided,
    OutputSubmitted,
    Record,
    SessionCreated,
    SessionPaused,
    SessionUpdated,
)
from sessiond.session.state import (
    Decision,
    OutputBody,
    OutputStatus,
    Sender,
    Session,
    Status,
)
from sessiond.session.title import title_of
from sessiond.session.workflow import Step, Workflow
from sessiond.v1.store_pb2 import HistoryEvent, ImportHeader

_SYSTEM = Actor("system", Role.SERVICE)
_NO_ID = re.compile(r"[^A-Za-z0-9._~-]")
_FAILED = "The old system kept this output as an error."


@dataclass(frozen=True, slots=True)
class Converted:
    """A history to import, and what is not as the old record said it was."""

    header: ImportHeader
    events: tuple[HistoryEvent, ...]
    notes: tuple[str, ...]


def convert(
    found: Value, users: Mapping[str, set[str]], workflows: Mapping[str, Workflow]
) -> Converted | Refused:
    """Return the history of the session that stands under a key, or why there is none.

    Args:
        users: whose lists hold each session's id.
        workflows: those of the installation, by their ids.
    """
    session_id = session_of(found.key)
    if session_id is None or not isinstance(found.value, dict):
        return Refused(found.key, "is not a session")
    try:
        old = document_of(found.value)
    except InvalidArgument as error:
        return Refused(found.key, said(error))
    if old.id != session_id:
        return Refused(found.key, f"is the session {old.id}")
    listed = users.get(old.id, set())
    if listed != {old.user_id}:
        where = ", ".join(sorted(listed)) or "nobody"
        return Refused(found.key, f"belongs to {old.user_id}, and stands in the list of {where}")
    workflow = workflows.get(old.workflow_id)
    notes = []
    if workflow is None or not _can_follow(workflow, old.outputs):
        workflow = _workflow_of(old)
        notes.append(f"the workflow {old.workflow_id} is made of its outputs' agents")
    session, records = _history(old, workflow)
    if session.current_step != old.current_step:
        notes.append(f"it was at step {old.current_step}, and is at {session.current_step}")
    if session.status is not old.status:
        notes.append(f"it was {old.status}, and is {session.status}")
    return Converted(
        header=ImportHeader(session_id=old.id, last_seq=session.seq),
        events=tuple(
            HistoryEvent(event=event_to_wire(record, old.id), hash="") for record in records
        ),
        notes=tuple(notes),
    )


class _Deed(NamedTuple):
    """Something that happened. At one time, outputs come before messages, and decisions last."""

    time_ms: int
    kind: int
    place: int
    what: OldMessage | OldOutput


def _history(old: OldSession, workflow: Workflow) -> tuple[Session, list[Record]]:
    log = _Log(old, workflow)
    for deed in sorted(_deeds(old), key=lambda deed: deed[:3]):
        match deed.what:
            case OldMessage():
                log.append(deed.time_ms, deed.what)
            case OldOutput() if deed.kind == _SUBMITTED:
                log.submit(deed.time_ms, deed.what)
            case OldOutput():
                log.decide(deed.time_ms, deed.what)
    log.end()
    return log.session, log.records


_SUBMITTED, _SAID, _DECIDED = range(3)


def _deeds(old: OldSession) -> Iterable[_Deed]:
    # Messages stay in the order in which people saw them, whatever clocks said.
    time_ms = old.created_ms
    for place, message in enumerate(old.messages):
        time_ms = max(time_ms, message.time_ms)
        yield _Deed(time_ms, _SAID, place, message)
    for place, output in enumerate(old.outputs):
        yield _Deed(output.generated_ms, _SUBMITTED, place, output)
        if output.status is not OutputStatus.PENDING:
            decided_ms = max(output.generated_ms, output.approved_ms or 0)
            yield _Deed(decided_ms, _DECIDED, place, output)


class _Log:
    """A history as it grows, and the session that comes of it. Times never go back."""

    def __init__(self, old: OldSession, workflow: Workflow) -> None:
        self._old = old
        self._owner = Actor(old.user_id, Role.USER)
        self.records = [
            Record(
                seq=1,
                time_ms=old.created_ms,
                actor=self._owner,
                event=SessionCreated(old.id, old.user_id, workflow, old.inputs, "", {}),
                op_id="old:1",
            )
        ]
        self.session = apply(None, self.records[0])

    def append(self, time_ms: int, message: OldMessage) -> None:
        """Append a message; the first of the user's gives the title."""
        of_user = message.sender is Sender.USER
        title = title_of(message.content) if of_user and not self.session.title else ""
        actor = self._owner if of_user else _SYSTEM
        if message.sender is Sender.AGENT:
            actor = Actor(message.agent_id or "agent", Role.AGENT)
        event = MessageAppended(
            id=message.id,
            sender=message.sender,
            type=message.type,
            content=message.content,
            agent_id=None if of_user else message.agent_id,
            metadata=message.metadata,
            title=title or None,
        )
        self._add(time_ms, actor, event)

    def submit(self, time_ms: int, output: OldOutput) -> None:
        """Submit an output, for the step that its agent had."""
        body = OutputBody(
            id=output.id,
            agent_id=output.agent_id,
            step_id=self._step_of(output.agent_id),
            content=output.content,
            generated_ms=output.generated_ms,
            quality_score=output.quality_score,
            metadata=output.metadata,
        )
        self._add(time_ms, Actor(output.agent_id, Role.AGENT), OutputSubmitted(body))

    def decide(self, time_ms: int, output: OldOutput) -> None:
        """Decide an output; one that failed is as good as rejected."""
        approved = output.status is OutputStatus.APPROVED
        feedback = output.feedback
        if output.status is OutputStatus.ERROR and feedback is None:
            feedback = _FAILED
        actor = Actor(output.approved_by, Role.USER) if output.approved_by else self._owner
        decision = Decision.APPROVED if approved else Decision.REJECTED
        self._add(time_ms, actor, OutputDecided(output.id, decision, feedback))

    def end(self) -> None:
        """Pause the session if it was paused, and let it be as old as it was."""
        time_ms = self._old.last_active_ms
        if self._old.status is Status.PAUSED and self.session.status is Status.ACTIVE:
            self._add(time_ms, self._owner, SessionPaused())
        elif time_ms > self.session.last_active_ms:
            self._add(time_ms, self._owner, SessionUpdated())

    def _step_of(self, agent_id: str) -> str:
        steps, current = self.session.workflow.steps, self.session.current_step
        in_turn = (*steps[current:], *steps[:current])
        return next(step.id for step in in_turn if step.agent == agent_id)

    def _add(self, time_ms: int, actor: Actor, event: Event) -> None:
        seq = self.session.seq + 1
        time_ms = max(time_ms, self.session.last_active_ms)
        record = Record(seq, time_ms, actor, event, op_id=f"old:{seq}")
        self.session = apply(self.session, record)
        self.records.append(record)


def _can_follow(workflow: Workflow, outputs: Iterable[OldOutput]) -> bool:
    """Return whether every output has a step that it may be for."""
    agents = {step.agent for step in workflow.steps}
    return all(output.agent_id in agents for output in outputs)


def _workflow_of(old: OldSession) -> Workflow:
    """Return a definition of which nothing is known but who worked in it, and who was to."""
    in_order = sorted(old.outputs, key=lambda output: output.generated_ms)
    agents = list(dict.fromkeys(output.agent_id for output in in_order))
    if not agents:
        return Workflow(old.workflow_id, old.workflow_id, agent=old.current_agent or "assistant")
    done = {each.agent_id for each in old.outputs if each.status is OutputStatus.APPROVED}
    if old.status is not Status.COMPLETED and done.issuperset(agents):
        agents.append(old.current_agent or "assistant")
    steps = tuple(
        Step(f"{place}-{_NO_ID.sub('-', agent)}"[:128], agent, agent, "imported", 0)
        for place, agent in enumerate(agents, 1)
    )
    return Workflow(old.workflow_id, old.workflow_id, steps)
