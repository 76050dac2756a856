"""Requests for changes, as the contract spells them. JSON objects are given as mappings."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from sessiond.numbers import DECISION_NUMBER, MESSAGE_TYPE_NUMBER, SENDER_NUMBER
from sessiond.session.state import Decision, MessageType, Sender
from sessiond.v1.live_pb2 import (
    AppendMessageRequest,
    ApproveOutputRequest,
    BeginTurn,
    CancelTurn,
    EditOutputRequest,
    EndTurn,
    NullableString,
    RewindSessionRequest,
    SubmitOutputRequest,
    UpdateSessionRequest,
)
from sessiond.v1.session_pb2 import JsonObject
from sessiond.v1.store_pb2 import CreateSessionRequest, GetSessionRequest

Json = Mapping[str, Any]


def new_op_id() -> str:
    """Return an operation id that nobody else has."""
    return uuid.uuid4().hex


def json_object(value: Json | None) -> JsonObject | None:
    """Return the object as its text.

    Raises:
        ValueError: it holds NaN or an infinity, which JSON does not.
    """
    if value is None:
        return None
    return JsonObject(text=json.dumps(value, ensure_ascii=False, allow_nan=False))


def create(
    *,
    op_id: str,
    workflow_id: str | None,
    user_inputs: Json | None,
    title: str | None,
    metadata: Mapping[str, str] | None,
    session_id: str | None,
    template: str | None,
) -> CreateSessionRequest:
    """Ask for a new session."""
    return CreateSessionRequest(
        workflow_id=workflow_id,
        user_inputs=json_object(user_inputs),
        title=title,
        metadata=metadata or {},
        id=session_id,
        op_id=op_id,
        template=template,
    )


def get(
    session_id: str, *, tail: int | None, at_seq: int | None, at_time: datetime | None
) -> GetSessionRequest:
    """Ask for a session, as it is or once was; a time without a zone is UTC."""
    request = GetSessionRequest(session_id=session_id, tail=tail, at_seq=at_seq)
    if at_time is not None:
        request.at_time.CopyFrom(Timestamp())
        request.at_time.FromDatetime(at_time)
    return request


def append(
    session_id: str,
    content: str,
    *,
    op_id: str,
    sender: Sender | None,
    kind: MessageType | None,
    agent_id: str | None,
    metadata: Json | None,
    expected_revision: int | None,
) -> AppendMessageRequest:
    """Ask to append a message."""
    return AppendMessageRequest(
        session_id=session_id,
        content=content,
        sender=None if sender is None else SENDER_NUMBER[sender],
        type=None if kind is None else MESSAGE_TYPE_NUMBER[kind],
        agent_id=agent_id,
        metadata=json_object(metadata),
        op_id=op_id,
        expected_revision=expected_revision,
    )


def update(
    session_id: str,
    *,
    op_id: str,
    title: str | None,
    metadata: Mapping[str, str | None] | None,
    user_inputs: Json | None,
    clear_metadata: bool,
    clear_user_inputs: bool,
    expected_revision: int | None,
) -> UpdateSessionRequest:
    """Ask to change title, metadata or inputs."""
    return UpdateSessionRequest(
        session_id=session_id,
        title=title,
        metadata={key: NullableString(value=value) for key, value in (metadata or {}).items()},
        user_inputs=json_object(user_inputs),
        clear_metadata=clear_metadata,
        clear_user_inputs=clear_user_inputs,
        op_id=op_id,
        expected_revision=expected_revision,
    )


def submit_output(
    session_id: str,
    content: str,
    *,
    op_id: str,
    output_id: str | None,
    agent_id: str | None,
    quality_score: float | None,
    metadata: Json | None,
    expected_revision: int | None,
) -> SubmitOutputRequest:
    """Ask to submit an output."""
    return SubmitOutputRequest(
        session_id=session_id,
        content=content,
        output_id=output_id,
        agent_id=agent_id,
        quality_score=quality_score,
        metadata=json_object(metadata),
        op_id=op_id,
        expected_revision=expected_revision,
    )


def edit_output(
    session_id: str,
    output_id: str,
    *,
    op_id: str,
    content: str | None,
    metadata: Json | None,
    expected_revision: int | None,
) -> EditOutputRequest:
    """Ask to edit a pending output."""
    return EditOutputRequest(
        session_id=session_id,
        output_id=output_id,
        content=content,
        metadata=json_object(metadata),
        op_id=op_id,
        expected_revision=expected_revision,
    )


def approve(
    session_id: str,
    *,
    op_id: str,
    output_id: str | None,
    feedback: str | None,
    decision: Decision,
    expected_revision: int | None,
) -> ApproveOutputRequest:
    """Ask to decide an output."""
    return ApproveOutputRequest(
        session_id=session_id,
        output_id=output_id,
        feedback=feedback,
        decision=DECISION_NUMBER[decision],
        op_id=op_id,
        expected_revision=expected_revision,
    )


def rewind(
    session_id: str, to_seq: int, *, op_id: str, expected_revision: int | None
) -> RewindSessionRequest:
    """Ask to go back."""
    return RewindSessionRequest(
        session_id=session_id, to_seq=to_seq, op_id=op_id, expected_revision=expected_revision
    )


def begin_turn(
    session_id: str, *, op_id: str, agent_id: str | None, expected_revision: int | None
) -> BeginTurn:
    """Ask to begin a turn."""
    return BeginTurn(
        session_id=session_id, op_id=op_id, agent_id=agent_id, expected_revision=expected_revision
    )


def end_turn(
    session_id: str, turn_id: str, length: int, *, op_id: str, failed: bool, metadata: Json | None
) -> EndTurn:
    """Ask to end a turn."""
    return EndTurn(
        session_id=session_id,
        turn_id=turn_id,
        length=length,
        failed=failed,
        metadata=json_object(metadata),
        op_id=op_id,
    )


def cancel(session_id: str, turn_id: str, *, op_id: str) -> CancelTurn:
    """Ask that a turn end now."""
    return CancelTurn(session_id=session_id, turn_id=turn_id, op_id=op_id)
