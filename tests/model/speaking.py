"""The model's words over gRPC: requests out of them, and what the parts show back into them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any

import grpc

from services.serving.claims import encode_user
from sessiond.status import from_rpc_error
from sessiond.v1 import live_pb2, session_pb2, store_pb2
from sessiond.v1.live_pb2_grpc import LiveServiceStub
from sessiond.v1.store_pb2_grpc import StoreServiceStub
from tests.model.model import Caller, Change, Chat, Refused
from tests.model.parts import Parts, token

PATIENCE = 30.0

Shown = dict[str, Any]


class Speaking:
    """Calls the parts and waits for each answer; a refusal is raised by its name."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._resources = ExitStack()
        self._tokens: dict[Caller, str] = {}
        self.store: Any = StoreServiceStub(self._channel(str(parts.store_address)))
        self.live: Any = None
        self.meet_live()

    def close(self) -> None:
        """Close all channels."""
        self._resources.close()

    def meet_live(self) -> None:
        """Connect to Live, which is new."""
        self.live = LiveServiceStub(self._channel(str(self._parts.live_address)))

    def call(self, rpc: Callable[..., Any], request: Any, caller: Caller) -> Any:
        """Return the answer.

        Raises:
            Refused: with the reason.
        """
        try:
            return rpc(request, metadata=self._metadata(caller), timeout=PATIENCE)
        except grpc.RpcError as error:
            failure: Any = error
            raise Refused(from_rpc_error(failure, mutating=True).reason) from None

    def create(self, change: Change) -> Any:
        """Create a session; it may raise as `call` does."""
        asked = dict(change.asked)
        request = store_pb2.CreateSessionRequest(
            workflow_id=asked["workflow"],
            user_inputs=session_pb2.JsonObject(text=asked["inputs"]),
            title=asked["title"],
            id=asked["id"],
            op_id=change.op,
        )
        return self.call(self.store.CreateSession, request, change.caller)

    def change(self, change: Change) -> Any:
        """Change a session; it may raise as `call` does."""
        rpc, build = CHANGES[change.kind]
        request = build(dict(change.asked))
        request.session_id = change.sid
        if change.op is not None:
            request.op_id = change.op
        if change.revision is not None:
            request.expected_revision = change.revision
        return self.call(getattr(self.live, rpc), request, change.caller)

    def _metadata(self, caller: Caller) -> tuple[tuple[str, str], ...]:
        if caller not in self._tokens:
            claims: Shown = {"agents": list(caller.agents), "sessions": list(caller.sessions)}
            extra = claims if caller.role == "agent" else {}
            self._tokens[caller] = token(caller.subject, role=caller.role, **extra)
        authorization = ("authorization", f"Bearer {self._tokens[caller]}")
        if not caller.acting_for:
            return (authorization,)
        return authorization, ("sessiond-user", encode_user(caller.acting_for))

    def _channel(self, address: str) -> grpc.Channel:
        options = (("grpc.enable_retries", 0), ("grpc.enable_http_proxy", 0))
        return self._resources.enter_context(grpc.insecure_channel(address, options=options))


def _object(text: str | None) -> session_pb2.JsonObject | None:
    return None if text is None else session_pb2.JsonObject(text=text)


def _append(asked: Shown) -> live_pb2.AppendMessageRequest:
    sender, kind = asked["sender"], asked["type"]
    return live_pb2.AppendMessageRequest(
        content=asked["content"],
        sender=sender and session_pb2.Sender.Value(f"SENDER_{sender.upper()}"),
        type=kind and session_pb2.MessageType.Value(f"MESSAGE_TYPE_{kind.upper()}"),
        agent_id=asked["agent"],
        metadata=_object(asked["metadata"]),
    )


def _update(asked: Shown) -> live_pb2.UpdateSessionRequest:
    return live_pb2.UpdateSessionRequest(
        title=asked["title"],
        metadata={name: live_pb2.NullableString(value=value) for name, value in asked["metadata"]},
        user_inputs=_object(asked["inputs"]),
        clear_metadata=asked["clear_metadata"],
        clear_user_inputs=asked["clear_inputs"],
    )


def _submit(asked: Shown) -> live_pb2.SubmitOutputRequest:
    return live_pb2.SubmitOutputRequest(
        content=asked["content"],
        output_id=asked["output"],
        agent_id=asked["agent"],
        quality_score=asked["score"],
        metadata=_object(asked["metadata"]),
    )


def _edit(asked: Shown) -> live_pb2.EditOutputRequest:
    return live_pb2.EditOutputRequest(
        output_id=asked["output"], content=asked["content"], metadata=_object(asked["metadata"])
    )


def _decide(asked: Shown) -> live_pb2.ApproveOutputRequest:
    return live_pb2.ApproveOutputRequest(
        output_id=asked["output"],
        feedback=asked["feedback"],
        decision=live_pb2.Decision.Value(f"DECISION_{asked['decision'].upper()}"),
    )


CHANGES: dict[str, tuple[str, Callable[[Shown], Any]]] = {
    "append": ("AppendMessage", _append),
    "update": ("UpdateSession", _update),
    "submit": ("SubmitOutput", _submit),
    "edit": ("EditOutput", _edit),
    "decide": ("ApproveOutput", _decide),
    "pause": ("PauseSession", lambda _: live_pb2.PauseSessionRequest()),
    "resume": ("ResumeSession", lambda _: live_pb2.ResumeSessionRequest()),
    "delete": ("DeleteSession", lambda _: live_pb2.DeleteSessionRequest()),
}


def _word(kind: Any, number: int) -> str:
    name: str = kind.Name(number).lower()
    return name.removeprefix(kind.Name(0).lower().removesuffix("unspecified"))


def shown_summary(session: Any) -> Shown:
    """Return what a session and its summary both show, times aside, in the model's words."""
    progress = session.progress
    return {
        "id": session.id,
        "user_id": session.user_id,
        "workflow_id": session.workflow_id,
        "status": _word(session_pb2.SessionStatus, session.status),
        "current_agent": session.current_agent,
        "current_step": session.current_step,
        "title": session.title,
        "metadata": dict(session.metadata),
        "revision": session.revision,
        "progress": {
            "total_steps": progress.total_steps,
            "completed_steps": progress.completed_steps,
            "current_step_id": progress.current_step_id,
            "estimated_time_remaining": progress.estimated_time_remaining,
            "stage_progress": dict(progress.stage_progress),
        },
    }


def shown(session: session_pb2.Session) -> Shown:
    """Return a whole session, times aside, in the model's words."""
    return shown_summary(session) | {
        "inputs": canonical(json.loads(session.user_inputs.text)),
        "outputs": {name: shown_output(each) for name, each in session.agent_outputs.items()},
        "messages": shown_messages(session.id, session.conversation_history),
    }


def expected(chat: Chat) -> Shown:
    """Return what the parts must show of a session of the model's."""
    return chat.summary() | {
        "inputs": canonical(chat.inputs),
        "outputs": chat.outputs,
        "messages": chat.messages,
    }


def shown_output(output: session_pb2.Output) -> Shown:
    """Return an output in the model's words."""
    decided = output.HasField("approved_by")
    assert output.HasField("approved_at") == decided
    return {
        "agent": output.agent_id,
        "step": output.step_id,
        "status": _word(session_pb2.OutputStatus, output.status),
        "content": output.content,
        "score": output.quality_score if output.HasField("quality_score") else None,
        "metadata": output.metadata.text if output.HasField("metadata") else None,
        "feedback": output.user_feedback if output.HasField("user_feedback") else None,
        "approved_by": output.approved_by if decided else None,
    }


def shown_messages(sid: str, messages: Iterable[session_pb2.Message]) -> list[Shown]:
    """Return messages in the model's words, after looking that they are of this session."""
    found = []
    for message in messages:
        assert message.session_id == sid
        found.append(
            {
                "id": message.id,
                "seq": message.seq,
                "sender": _word(session_pb2.Sender, message.sender),
                "agent": message.agent_id if message.HasField("agent_id") else None,
                "type": _word(session_pb2.MessageType, message.type),
                "content": message.content,
                "metadata": message.metadata.text if message.HasField("metadata") else None,
            }
        )
    return found


def canonical(value: Any) -> str:
    """Return one text for equal JSON values; 1, 1.0 and true are three."""
    return json.dumps(value, sort_keys=True)
