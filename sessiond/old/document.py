"""A session as the old system kept it: one JSON value, read strictly, with every bad field named.

Fields that are not known here are left out, and so is `progress`, which we compute.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeVar

from sessiond.errors import Violations
from sessiond.mapping.spelling import time_of
from sessiond.session.checks import check_name, check_session_id, check_text, check_user_id
from sessiond.session.jsontext import check_object
from sessiond.session.limits import DEFAULT_LIMITS
from sessiond.session.state import MessageType, OutputStatus, Sender, Status
from sessiond.wire import timestamp_from_wire

LAST_MS: Final = 10**13 - 1
"""The latest time that a session may have: in the year 2286."""

Word = TypeVar("Word", bound=StrEnum)


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
    fields = _Fields(value, "", found)
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


def _output(fields: _Fields) -> OldOutput:
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


def _message(fields: _Fields, *, session_id: object) -> OldMessage:
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


class _Fields:
    """The fields of one object. What is wrong with one is noted, and something plausible given.

    null is as good as nothing.
    """

    def __init__(
        self, value: Mapping[str, Any], path: str, found: Violations, name: str = ""
    ) -> None:
        self.path = path
        self.found = found
        self.name = name
        self._value = value

    def has(self, name: str) -> bool:
        return self._value.get(name) is not None

    def text(self, name: str, *, default: str | None = None) -> str:
        value = self._value.get(name)
        if isinstance(value, str):
            return value
        if value is not None or default is None:
            self._bad(name, "must be text")
        return default or "x"  # it spares the caller other complaints

    def maybe(self, name: str) -> str | None:
        return self.text(name) if self.has(name) else None

    def word(self, name: str, words: type[Word], default: Word) -> Word:
        value = self._value.get(name)
        if isinstance(value, str) and value in set(words):
            return words(value)
        self._bad(name, "must be one of: " + ", ".join(words))
        return default

    def time(self, name: str) -> int:
        value = self._value.get(name)
        time = time_of(value) if isinstance(value, str) else None
        time_ms = -1 if time is None else timestamp_from_wire(time)
        if 0 <= time_ms <= LAST_MS:
            return time_ms
        self._bad(name, "must be a time as RFC 3339 spells it, from 1970 to 2286")
        return 0

    def count(self, name: str) -> int:
        value = self._value.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        self._bad(name, "must be a whole number from 0 on")
        return 0

    def number(self, name: str) -> float | None:
        value = self._value.get(name)
        if value is None:
            return None
        if isinstance(value, int | float) and not isinstance(value, bool):
            try:
                number = float(value)
            except OverflowError:
                number = math.inf
            if math.isfinite(number):
                return number
        self._bad(name, "must be a finite number")
        return None

    def object(self, name: str, *, limit: int) -> str | None:
        """Return the text of an object, of at most so many bytes; None for nothing."""
        if not self.has(name):
            return None
        text = json.dumps(self._value[name], ensure_ascii=False, separators=(",", ":"))
        where, depth = self.path + name, DEFAULT_LIMITS.json_depth
        check_object(text, where, self.found, limit=limit, depth=depth)
        return text

    def listed(self, name: str) -> list[_Fields]:
        """Return the objects of a list."""
        value = self._value.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            self._bad(name, "must be a list")
            return []
        return self._inner(name, {str(place): each for place, each in enumerate(value)})

    def named(self, name: str) -> list[_Fields]:
        """Return the objects of an object, by their names."""
        value = self._value.get(name)
        if value is None:
            return []
        if not isinstance(value, dict):
            self._bad(name, "must be an object")
            return []
        return self._inner(name, value)

    def _inner(self, name: str, values: Mapping[str, Any]) -> list[_Fields]:
        inner = []
        for key, value in values.items():
            where = f"{name}.{key}"
            if isinstance(value, dict):
                inner.append(_Fields(value, f"{self.path}{where}.", self.found, key))
            else:
                self._bad(where, "must be an object")
        return inner

    def _bad(self, name: str, why: str) -> None:
        self.found.add(self.path + name, why)
