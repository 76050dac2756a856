"""What sessions do, written by hand from the specification, and from nothing else."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

STEPS: dict[str, list[tuple[str, str, str, int]]] = {
    "chat": [],
    "master-workflow-v2": [
        ("foundation_gtm", "gtm-consultant", "foundation", 30),
        ("persona_development", "persona-strategist", "foundation", 25),
        ("product_brand_development", "product-manager", "foundation", 30),
        ("growth_funnel_design", "growth-manager", "strategy", 35),
        ("acquisition_strategy", "head-of-acquisition", "strategy", 40),
        ("retention_strategy", "head-of-retention", "strategy", 35),
        ("viral_growth_strategy", "viral-growth-architect", "strategy", 40),
        ("experiment_design", "growth-hacker", "validation", 45),
    ],
}
SENDERS = {"user": {"user"}, "agent": {"agent"}}
AGENTS_MAY = {"append", "submit"}


class Refused(Exception):
    """The name of a failure."""


@dataclass(frozen=True)
class Caller:
    """Somebody with a token."""

    subject: str
    role: str = "user"
    acting_for: str = ""
    agents: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()

    @property
    def user(self) -> str:
        return self.subject if self.role in ("user", "admin") else self.acting_for

    @property
    def actor(self) -> tuple[str, str, str]:
        return self.subject, self.role, self.acting_for


@dataclass(frozen=True)
class Change:
    """What a caller asks of a session: of a kind, with arguments as sorted pairs."""

    sid: str
    caller: Caller
    kind: str
    asked: tuple[tuple[str, Any], ...]
    op: str | None = None
    revision: int | None = None


@dataclass
class Chat:
    """One session."""

    id: str
    user: str
    workflow: str
    title: str
    metadata: dict[str, str]
    inputs: dict[str, Any]
    status: str = "active"
    step: int = 0
    seq: int = 1
    messages: list[dict[str, Any]] = field(default_factory=list)
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    answered: dict[Any, tuple[Any, int]] = field(default_factory=dict)
    unchanging: dict[Any, tuple[Any, int]] = field(default_factory=dict)

    @property
    def agent(self) -> str:
        if self.workflow == "chat":
            return "assistant"
        return "" if self.step == len(STEPS[self.workflow]) else STEPS[self.workflow][self.step][1]

    @property
    def pending(self) -> str | None:
        return next((i for i, out in self.outputs.items() if out["status"] == "pending"), None)

    @property
    def last_message(self) -> str:
        return self.messages[-1]["content"][:140] if self.messages else ""

    def summary(self) -> dict[str, Any]:
        steps, done = STEPS[self.workflow], STEPS[self.workflow][: self.step]
        stages = {stage: [step[2] for step in steps].count(stage) for _, _, stage, _ in steps}
        return {
            "id": self.id,
            "user_id": self.user,
            "workflow_id": self.workflow,
            "status": self.status,
            "current_agent": self.agent,
            "current_step": self.step,
            "title": self.title,
            "metadata": self.metadata,
            "revision": self.seq,
            "progress": {
                "total_steps": len(steps),
                "completed_steps": self.step,
                "current_step_id": steps[self.step][0] if self.step < len(steps) else "",
                "estimated_time_remaining": sum(step[3] for step in steps[self.step :]),
                "stage_progress": {
                    stage: [step[2] for step in done].count(stage) / count
                    for stage, count in stages.items()
                },
            },
        }


class Model:
    """All sessions. Deleted ones are remembered by who deleted them."""

    def __init__(self) -> None:
        self.chats: dict[str, Chat] = {}
        self.deleted: dict[str, Any] = {}
        self.made: dict[Any, str] = {}

    def create(self, change: Change, given: str | None) -> Chat:
        """`given` is the id that the server gave; None if it refused."""
        caller, op, asked = change.caller, change.op, change.asked
        wanted = dict(asked)
        if wanted["workflow"] not in STEPS or len(wanted["title"]) > 200:
            raise Refused("INVALID_ARGUMENT")
        if not caller.user:
            raise Refused("PERMISSION_DENIED")
        key = (caller.actor, op)
        sid = wanted["id"] or (self.made.get(key) if op else None) or given
        if sid in self.deleted:
            raise Refused("ID_TAKEN")
        if sid in self.chats:
            first = self.chats[sid].answered.get("created")
            if op is None or first is None or first[0][0] != key:
                raise Refused("ID_TAKEN")
            if first[0][1] != asked:
                raise Refused("IDEMPOTENCY_MISMATCH")
            return self.chats[sid]
        assert sid is not None
        inputs = json.loads(wanted["inputs"])
        made = Chat(sid, caller.user, wanted["workflow"], wanted["title"], {}, inputs)
        made.answered = {"created": ((key, asked), 1), key: (("create", asked), 1)}
        self.chats[sid] = made
        if op and not wanted["id"]:
            self.made[key] = sid
        return made

    def see(self, sid: str, caller: Caller) -> Chat:
        chat = self.chats.get(sid)
        if chat is None or not (
            caller.role == "admin"
            or (caller.role in ("user", "service") and caller.user == chat.user)
            or (caller.role == "agent" and (chat.agent in caller.agents or sid in caller.sessions))
        ):
            raise Refused("SESSION_NOT_FOUND")
        return chat

    def change(self, change: Change, given: str | None) -> int:
        """Return the seq; `given` is the id that the server gave to what was made."""
        sid, caller, kind, op = change.sid, change.caller, change.kind, change.op
        request, key = (kind, change.asked), (caller.actor, op)
        if kind == "delete" and op and self.deleted.get(sid) == key:
            return 0
        chat = self.see(sid, caller)
        if caller.role == "agent" and kind not in AGENTS_MAY:
            raise Refused("PERMISSION_DENIED")
        before = chat.answered.get(key) or chat.unchanging.get(key) if op else None
        if before is not None:
            if before[0] != request:
                raise Refused("IDEMPOTENCY_MISMATCH")
            return before[1]
        if change.revision not in (None, chat.seq):
            raise Refused("STALE_REVISION")
        if kind == "delete":
            del self.chats[sid]
            self.deleted[sid] = key
            return 0
        changed = getattr(self, "_" + kind)(chat, caller, dict(change.asked), given)
        chat.seq += changed
        (chat.answered if changed else chat.unchanging)[key] = (request, chat.seq)
        return chat.seq

    def forget(self) -> None:
        """What changed nothing is answered again only as long as its session is held."""
        for chat in self.chats.values():
            chat.unchanging.clear()

    def _append(self, chat: Chat, caller: Caller, asked: dict[str, Any], given: Any) -> bool:
        sender = asked["sender"] or ("agent" if caller.role == "agent" else "user")
        agent = asked["agent"]
        if not asked["content"] or (sender == "user" and agent is not None):
            raise Refused("INVALID_ARGUMENT")
        if sender not in SENDERS.get(caller.role, {"user", "agent", "system"}):
            raise Refused("PERMISSION_DENIED")
        if sender == "agent":
            agent = self._speaks(chat, caller, agent)
        if sender == "user" and not chat.title:
            words = " ".join(asked["content"].split())
            cut = words[:61].rfind(" ") if len(words) > 60 else len(words)
            chat.title = words[: cut if cut > 0 else 60]
        message = {"sender": sender, "agent": agent, "type": asked["type"] or "text"}
        message |= {"content": asked["content"], "metadata": asked["metadata"]}
        chat.messages.append(message | {"id": given, "seq": chat.seq + 1})
        return True

    def _speaks(self, chat: Chat, caller: Caller, asked: str | None) -> str | None:
        agent = asked if asked is not None else chat.agent or None
        named = agent in caller.agents or (chat.id in caller.sessions and agent == chat.agent)
        if caller.role == "agent" and not named and not (agent is None and not chat.agent):
            raise Refused("PERMISSION_DENIED")
        return agent

    def _update(self, chat: Chat, caller: Caller, asked: dict[str, Any], given: Any) -> bool:
        before = _text([chat.title, chat.metadata, chat.inputs])
        metadata = {} if asked["clear_metadata"] else chat.metadata
        patched = metadata | dict(asked["metadata"])
        metadata = {name: value for name, value in patched.items() if value is not None}
        inputs = {} if asked["clear_inputs"] else chat.inputs
        if sum(len(name) + len(value) for name, value in metadata.items()) > 2048:
            raise Refused("INVALID_ARGUMENT")
        chat.title = chat.title if asked["title"] is None else asked["title"]
        chat.metadata = metadata
        chat.inputs = merged(inputs, json.loads(asked["inputs"])) if asked["inputs"] else inputs
        return _text([chat.title, chat.metadata, chat.inputs]) != before

    def _submit(self, chat: Chat, caller: Caller, asked: dict[str, Any], given: Any) -> bool:
        agent = self._speaks(chat, caller, asked["agent"])
        _active(chat)
        if chat.workflow == "chat":
            raise Refused("NOTHING_PENDING")
        if chat.pending is not None:
            raise Refused("OUTPUT_PENDING")
        if asked["output"] in chat.outputs:
            raise Refused("ID_TAKEN")
        chat.outputs[asked["output"] or given] = {
            "agent": agent,
            "step": STEPS[chat.workflow][chat.step][0],
            "status": "pending",
            "content": asked["content"],
            "score": asked["score"],
            "metadata": asked["metadata"],
            "feedback": None,
            "approved_by": None,
        }
        return True

    def _edit(self, chat: Chat, caller: Caller, asked: dict[str, Any], given: Any) -> bool:
        output = chat.outputs.get(asked["output"])
        if output is None:
            raise Refused("OUTPUT_NOT_FOUND")
        if output["status"] != "pending":
            raise Refused("ALREADY_DECIDED")
        new = {name: asked[name] for name in ("content", "metadata") if asked[name] is not None}
        if output | new == output:
            return False
        _active(chat)
        output.update(new)
        return True

    def _decide(self, chat: Chat, caller: Caller, asked: dict[str, Any], given: Any) -> bool:
        if asked["output"] is None:
            _active(chat)
            if chat.pending is None:
                raise Refused("NOTHING_PENDING")
        output = chat.outputs.get(asked["output"] or chat.pending or "")
        if output is None:
            raise Refused("OUTPUT_NOT_FOUND")
        if output["status"] != "pending":
            if output["status"] == asked["decision"]:
                return False
            raise Refused("ALREADY_DECIDED")
        _active(chat)
        output |= {"status": asked["decision"], "feedback": asked["feedback"]}
        if asked["decision"] == "approved":
            output["approved_by"] = caller.acting_for or caller.subject
            chat.step += 1
            if chat.step == len(STEPS[chat.workflow]):
                chat.status = "completed"
        return True

    def _pause(self, chat: Chat, caller: Caller, asked: dict[str, Any], given: Any) -> bool:
        if chat.status == "completed":
            raise Refused("SESSION_COMPLETED")
        changed, chat.status = chat.status == "active", "paused"
        return changed

    def _resume(self, chat: Chat, caller: Caller, asked: dict[str, Any], given: Any) -> bool:
        changed = chat.status == "paused"
        chat.status = "active" if changed else chat.status
        return changed


def merged(target: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        result[name] = merged(result.get(name), value)
        if value is None:
            del result[name]
    return result


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _active(chat: Chat) -> None:
    if chat.status != "active":
        raise Refused(f"SESSION_{chat.status.upper()}")
