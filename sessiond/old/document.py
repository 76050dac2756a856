"""A session as the old system kept it: one JSON value, read strictly, with every bad field named.

Fields that are not known here are left out, and so is `progress`, which we compute.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sessiond.errors import Violations
from sessiond.old.fields import Fields
from sessiond.session.checks import check_name, check_session_id, check_text, check_user_id
from sessiond.session.limits import DEFAULT_LIMITS
from sessiond.session.state import MessageType, OutputStatus, Sender, Status


@dataclass(frozen=True, slots=True)
class OldMessage:
    """A message. `metadata` is a JSON object's text; times are milliseconds since 1970."""

    id: str
    sender: Sender
    type: MessageType
    content: str
    time_ms: int
    agent_id: str | None
    metadata: str | None


@dataclass(frozen=True, slots=True)
class OldOutput:
    """An output. `metadata` is a JSON object's text; times are milliseconds since 1970."""

    id: str
    agent_id: str
    status: OutputStatus
    content: str
    generated_ms: int
    quality_score: float | None
    feedback: str | None
    approved_ms: int | None
    approved_by: str | None
    metadata: str | None


@dataclass(frozen=True, slots=True)
class OldSession:
    """A session. `inputs` is a JSON object's text; messages stand in the order of the history."""

    id: str
    user_id: str
    workflow_id: str
    status: Status
    current_agent: str
    current_step: int
    created_ms: int
    last_active_ms: int
    inputs: str
    outputs: tuple[OldOutput, ...]
    messages: tuple[OldMessage, ...]


def document_of(value: Mapping[str, Any]) -> OldSession:
    """Return the session that a JSON object tells.

    Raises:
        InvalidArgument: with every bad field.
    """
    found = Violations()
    fields = Fields(value, "", found)
    messages = fields.listed("conversationHistory")
    session = OldSession(
        id=fields.text("id"),
        user_id=fields.text("userId"),
        workflow_id=fields.text("workflowId"),
        status=fields.word("status", Status, Status.ACTIVE),
        current_agent=fields.text("currentAgent", default=""),
        current_step=fields.count("currentStep"),
        created_ms=fields.time("createdAt"),
        last_active_ms=fields.time("lastActive"),
        inputs=fields.object("userInputs", limit=DEFAULT_LIMITS.user_inputs) or "{}",
        outputs=tuple(_output(each) for each in fields.named("agentOutputs")),
        messages=tuple(_message(each, session_id=value.get("id")) for each in messages),
    )
    check_session_id(session.id, "id", found)
    check_user_id(session.user_id, "userId", found)
    check_session_id(session.workflow_id, "workflowId", found)
    if session.current_agent:
        check_name(session.current_agent, "currentAgent", found, limit=DEFAULT_LIMITS.agent_id)
    for message_id, times in Counter(message.id for message in session.messages).items():
        if times > 1:
            found.add("conversationHistory", f"must hold {message_id} once, not {times} times")
    found.check()
    return session


def _output(fields: Fields) -> OldOutput:
    content, agent_id = fields.text("content"), fields.text("agentId")
    feedback, approved_by = fields.maybe("userFeedback"), fields.maybe("approvedBy")
    check_session_id(fields.name, fields.path.rstrip("."), fields.found)
    check_name(agent_id, fields.path + "agentId", fields.found, limit=DEFAULT_LIMITS.agent_id)
    check_text(content, fields.path + "content", fields.found, limit=DEFAULT_LIMITS.content)
    if approved_by is not None:
        check_user_id(approved_by, fields.path + "approvedBy", fields.found)
    if feedback is not None:
        where, limit = fields.path + "userFeedback", DEFAULT_LIMITS.feedback
        check_text(feedback, where, fields.found, limit=limit, may_be_empty=True)
    return OldOutput(
        id=fields.name,
        agent_id=agent_id,
        status=fields.word("status", OutputStatus, OutputStatus.PENDING),
        content=content,
        generated_ms=fields.time("generatedAt"),
        quality_score=fields.number("qualityScore"),
        feedback=feedback,
        approved_ms=fields.time("approvedAt") if fields.has("approvedAt") else None,
        approved_by=approved_by,
        metadata=fields.object("metadata", limit=DEFAULT_LIMITS.message_metadata),
    )


def _message(fields: Fields, *, session_id: object) -> OldMessage:
    content, message_id = fields.text("content"), fields.text("id")
    agent_id = fields.maybe("agentId")
    check_session_id(message_id, fields.path + "id", fields.found)
    if fields.has("sessionId") and fields.text("sessionId") != session_id:
        fields.found.add(fields.path + "sessionId", "must be the session's")
    check_text(content, fields.path + "content", fields.found, limit=DEFAULT_LIMITS.content)
    if agent_id is not None:
        check_name(agent_id, fields.path + "agentId", fields.found, limit=DEFAULT_LIMITS.agent_id)
    return OldMessage(
        id=message_id,
        sender=fields.word("sender", Sender, Sender.USER),
        type=fields.word("type", MessageType, MessageType.TEXT),
        content=content,
        time_ms=fields.time("timestamp"),
        agent_id=agent_id,
        metadata=fields.object("metadata", limit=DEFAULT_LIMITS.message_metadata),
    )
