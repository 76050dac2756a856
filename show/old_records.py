"""Records as the old system wrote them: sessions of some users, and some of them damaged.

Each damage is one that was met where whole sessions stand as one value in a store that agrees with
itself only later: values cut off, lists that lost or kept an id, fields that another version wrote.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

Json = dict[str, Any]

_FIRST_MS: Final = 1_735_689_600_000  # 2025-01-01
_STEPS: Final = (
    "gtm-consultant",
    "persona-strategist",
    "product-manager",
    "growth-manager",
    "head-of-acquisition",
    "head-of-retention",
    "viral-growth-architect",
    "growth-hacker",
)
_SAID: Final = (
    "Where do we start?",
    "Wir verkaufen Fahrräder, 你好, שלום.",
    "# A plan\n\n1. <b>Look</b>\n2. Leap & *learn* [here](javascript:alert(1))",
    "🚲" * 40,
    "\x1b[31mred\x1b[0m and \u202eturned\u202c",
)


@dataclass
class Sample:
    """What was written, as it must come out again.

    Attributes:
        sessions: the good ones, by user and then by id.
        damaged: the keys that must be refused, and what was done to each.
    """

    sessions: dict[str, dict[str, Json]] = field(default_factory=dict)
    damaged: dict[str, str] = field(default_factory=dict)


def write(path: Path, *, count: int, users: int, chance: random.Random) -> Sample:
    """Write so many sessions as NDJSON; about one in fifteen is damaged."""
    sample = Sample()
    lists: dict[str, list[str]] = {f"user-{number}": [] for number in range(users)}
    with path.open("w", encoding="utf-8") as lines:
        for number in range(count):
            user_id = chance.choice(list(lists))
            session = _session(f"old-{number:05}", user_id, chance)
            key = f"session:{session['id']}"
            lists[user_id].append(session["id"])
            if chance.random() < 1 / 15:
                name, damage = chance.choice(list(DAMAGES.items()))
                sample.damaged[key] = name
                lines.write(damage(key, session, lists) + "\n")
            else:
                sample.sessions.setdefault(user_id, {})[session["id"]] = session
                lines.write(_line(key, session) + "\n")
        for user_id, ids in lists.items():
            lines.write(_line(f"user:{user_id}:sessions", ids) + "\n")
    return sample


def _line(key: str, value: object) -> str:
    return json.dumps({"key": key, "value": value}, ensure_ascii=False)


def _session(session_id: str, user_id: str, chance: random.Random) -> Json:
    clock = _Clock(_FIRST_MS + chance.randrange(300 * 86_400_000), chance)
    created = clock.next()
    master = chance.random() < 0.7
    messages: list[Json] = []

    def say(sender: str, agent: str | None = None, kind: str = "text") -> None:
        message: Json = {
            "id": f"{session_id}-m{len(messages)}",
            "sessionId": session_id,
            "sender": sender,
            "type": kind,
            "content": chance.choice(_SAID),
            "timestamp": clock.next(),
        }
        if agent is not None:
            message["agentId"] = agent
        if chance.random() < 0.2:
            message["metadata"] = {"tokens": chance.randrange(10**20), "tags": ["a", {"b": None}]}
        messages.append(message)

    outputs: dict[str, Json] = {}
    done = chance.choice((0, 1, 2, 5, 8)) if master else 0
    for place, agent in enumerate(_STEPS[:done]):
        say("user")
        if chance.random() < 0.3:
            outputs[f"o{place}-first"] = _output(agent, "rejected", clock, chance)
        outputs[f"o{place}"] = _output(agent, "approved", clock, chance)
        say("system", kind="system")
    if master and done < len(_STEPS) and chance.random() < 0.5:
        outputs[f"o{done}"] = _output(_STEPS[done], "pending", clock, chance)
        say("agent", _STEPS[done], "approval_request")
    for _ in range(chance.randrange(4)):
        say("user")
        say("agent", _STEPS[done] if done < len(_STEPS) and master else "assistant")
    status = "completed" if done == len(_STEPS) else chance.choice(("active", "active", "paused"))
    return {
        "id": session_id,
        "userId": user_id,
        "workflowId": "master-workflow-v2" if master else "chat",
        "status": status,
        "currentAgent": ("" if done == len(_STEPS) else _STEPS[done]) if master else "assistant",
        "currentStep": done,
        "createdAt": created,
        "lastActive": clock.next(),
        "userInputs": {"market": chance.choice(("EU", "US")), "n": chance.randrange(10**20)},
        "agentOutputs": outputs,
        "conversationHistory": messages,
        "progress": {"totalSteps": 8 if master else 0, "completedSteps": done},
    }


def _output(agent: str, status: str, clock: _Clock, chance: random.Random) -> Json:
    output: Json = {
        "agentId": agent,
        "status": status,
        "content": chance.choice(_SAID),
        "generatedAt": clock.next(),
    }
    if status == "approved":
        output |= {"approvedAt": clock.next(), "approvedBy": "boss", "qualityScore": 0.75}
    if status == "rejected":
        output["userFeedback"] = "Again, please."
    return output


class _Clock:
    """Times that rise, as texts."""

    def __init__(self, now_ms: int, chance: random.Random) -> None:
        self._now_ms = now_ms
        self._chance = chance

    def next(self) -> str:
        self._now_ms += 1 + self._chance.randrange(60_000)
        time = datetime.fromtimestamp(self._now_ms / 1000, UTC)
        return f"{time:%Y-%m-%dT%H:%M:%S}.{self._now_ms % 1000:03}Z"


# --- damages ---------------------------------------------------------------------------------


def _cut_off(key: str, session: Json, lists: Mapping[str, list[str]]) -> str:
    """The value ends in the middle; it was kept as a text, as such values are."""
    text = json.dumps(session)
    return _line(key, text[: len(text) // 2])


def _of_nobody(key: str, session: Json, lists: Mapping[str, list[str]]) -> str:
    lists[session["userId"]].remove(session["id"])
    return _line(key, session)


def _of_another(key: str, session: Json, lists: Mapping[str, list[str]]) -> str:
    other = next(user_id for user_id in lists if user_id != session["userId"])
    lists[other].append(session["id"])
    return _line(key, session)


def _without(name: str) -> Callable[[str, Json, Mapping[str, list[str]]], str]:
    def damage(key: str, session: Json, lists: Mapping[str, list[str]]) -> str:
        return _line(key, {**session, name: None})

    return damage


def _with(**changes: object) -> Callable[[str, Json, Mapping[str, list[str]]], str]:
    def damage(key: str, session: Json, lists: Mapping[str, list[str]]) -> str:
        return _line(key, session | changes)

    return damage


_MESSAGE: Final = {
    "id": "m",
    "sender": "user",
    "type": "text",
    "content": "twice",
    "timestamp": "2025-06-01T00:00:00.000Z",
}

DAMAGES: Final[Mapping[str, Callable[[str, Json, Mapping[str, list[str]]], str]]] = {
    "the value is cut off": _cut_off,
    "no list holds it": _of_nobody,
    "another user's list holds it, too": _of_another,
    "it has no user": _without("userId"),
    "it has no beginning": _without("createdAt"),
    "its status is no word": _with(status="archived"),
    "its id is another's": _with(id="somebody-else", conversationHistory=[]),
    "its time is none": _with(lastActive="31.12.2025"),
    "a message stands there twice": _with(conversationHistory=[_MESSAGE, _MESSAGE]),
    "its history is no list": _with(conversationHistory="lost"),
    "it is in the future": _with(lastActive="2199-01-01T00:00:00.000Z"),
}
