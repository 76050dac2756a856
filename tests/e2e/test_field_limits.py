"""The limits of fields, bodies and ids: one less, the limit itself, one more."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import httpx
import pytest

from tests.e2e.answers import bad_fields, good, problem
from tests.e2e.kept import CONTENT, KIB, nested
from tests.e2e.system import System


async def test_a_body_may_have_a_mebibyte(alice: httpx.AsyncClient) -> None:
    """1 MiB less one, 1 MiB, one more."""
    session = good(await alice.post("/api/sessions", json={}), 201)
    body = b'{"content": "x"}'
    for size, status in ((KIB * KIB - 1, 201), (KIB * KIB, 201), (KIB * KIB + 1, 413)):
        answer = await alice.post(
            f"/api/chat/{session['id']}/messages",
            content=body + b" " * (size - len(body)),
            headers={"Content-Type": "application/json"},
        )
        if status == 201:
            good(answer, 201)
        else:
            problem(answer, 413, "PAYLOAD_TOO_LARGE")


def deep(levels: int) -> Any:
    return json.loads(nested(levels))


def wide(size: int) -> dict[str, str]:
    """An object of so many bytes as the gateway writes it: `{"a":"..."}`."""
    return {"a": "x" * (size - 8)}


def keys(count: int) -> dict[str, str]:
    return {str(number): "" for number in range(count)}


def two_byte(size: int) -> str:
    """A text of so many bytes, and about half as many characters."""
    return "é" * (size // 2) + "x" * (size % 2)


class Limit(NamedTuple):
    """A field, how a value of it reaches a size, and the largest size that it may have."""

    verb: str
    path: str
    field: str
    value: Callable[[int], Any]
    most: int
    told: bool = True  # by the field's name

    def body(self, size: int) -> dict[str, Any]:
        needed = {"content": "x"} if self.verb == "POST" and "{chat}" in self.path else {}
        return {**needed, self.field: self.value(size)}


CREATE, UPDATE = ("POST", "/api/sessions"), ("PATCH", "{path}")


SAY, SUBMIT = ("POST", "{chat}/messages"), ("POST", "{chat}/outputs")


EDIT, APPROVE = ("PUT", "{chat}/outputs/plan"), ("PUT", "{chat}/approve")


LIMITS = [
    Limit(*CREATE, "title", lambda size: "é" * size, 200),
    Limit(*UPDATE, "title", lambda size: "é" * size, 200),
    Limit(*CREATE, "metadata", keys, 16),
    Limit(*UPDATE, "metadata", keys, 16),
    Limit(*CREATE, "metadata", lambda size: {"a": two_byte(size - 1)}, 2 * KIB),
    Limit(*UPDATE, "metadata", lambda size: {"a": two_byte(size - 1)}, 2 * KIB),
    Limit(*CREATE, "userInputs", wide, CONTENT),
    Limit(*UPDATE, "userInputs", wide, CONTENT),
    # What is too deep is not parsed, so its field has no name yet.
    Limit(*CREATE, "userInputs", deep, 64, told=False),
    Limit(*UPDATE, "userInputs", deep, 64, told=False),
    Limit(*SAY, "metadata", deep, 64, told=False),
    Limit(*SAY, "content", lambda size: "x" * size, CONTENT),
    Limit(*SAY, "content", two_byte, CONTENT),
    Limit(*SAY, "metadata", wide, 64 * KIB),
    Limit(*SUBMIT, "content", two_byte, CONTENT),
    Limit(*SUBMIT, "metadata", wide, 64 * KIB),
    Limit(*SUBMIT, "agentId", two_byte, 128),
    Limit(*SUBMIT, "outputId", lambda size: "x" * size, 128),
    Limit(*EDIT, "content", two_byte, CONTENT),
    Limit(*EDIT, "metadata", wide, 64 * KIB),
    Limit(*APPROVE, "feedback", two_byte, 16 * KIB),
]


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: f"{limit.field}-{limit.most}")
async def test_a_limit_is_where_it_is_said_to_be(alice: httpx.AsyncClient, limit: Limit) -> None:
    """One less and the limit itself pass, and come back whole; one more is refused by its name."""

    async def attempt(size: int) -> tuple[httpx.Response, str]:
        session = good(await alice.post("/api/sessions", json={}), 201)
        path, chat = f"/api/sessions/{session['id']}", f"/api/chat/{session['id']}"
        if limit[:2] in (EDIT, APPROVE):
            plan = {"content": "x", "outputId": "plan"}
            good(await alice.post(f"{chat}/outputs", json=plan), 201)
        where = limit.path.format(path=path, chat=chat)
        answer = await alice.request(limit.verb, where, json=limit.body(size))
        return answer, answer.headers.get("location", path)

    for size in (limit.most - 1, limit.most):
        answer, path = await attempt(size)
        shown = good(answer, 201 if limit.verb == "POST" else 200)
        loaded = good(await alice.get(path))
        assert int(answer.headers["etag"].strip('"')) == loaded["revision"]
        given = limit.body(size)[limit.field]
        if limit[:2] in (CREATE, UPDATE):
            assert loaded[limit.field] == given
        elif limit[:2] == SAY:
            assert loaded["conversationHistory"] == [shown]
            assert shown[limit.field] == given
        elif limit.field == "outputId":
            assert list(loaded["agentOutputs"]) == [given]
        else:
            (output,) = loaded["agentOutputs"].values()
            assert output["userFeedback" if limit[:2] == APPROVE else limit.field] == given
    answer, path = await attempt(limit.most + 1)
    assert bad_fields(answer) == ([limit.field] if limit.told else [])


async def test_ids_may_have_128_characters(
    alice: httpx.AsyncClient, name: Callable[[str], str]
) -> None:
    """Of sessions and of operations."""
    for length, status in ((127, 201), (128, 201), (129, 400)):
        session_id = name("x").ljust(length, "~")
        answer = await alice.post("/api/sessions", json={"id": session_id})
        assert answer.status_code == status
        if status == 201:
            assert good(await alice.get(f"/api/sessions/{session_id}"))["id"] == session_id
        key = {"Idempotency-Key": name("k").ljust(length, "k")}
        answer = await alice.post("/api/sessions", json={}, headers=key)
        assert answer.status_code == status


async def test_a_user_id_may_have_128_bytes(system: System, name: Callable[[str], str]) -> None:
    """In tokens and for the users that a service acts for."""
    for length, status in ((127, 201), (128, 201), (129, 401)):
        user = name("é").ljust(length - 1, "x")
        assert len(user.encode()) == length
        answer = await system.api(user).post("/api/sessions", json={})
        assert answer.status_code == status
        service = system.api("backend", role="service", acting_for=user)
        answer = await service.post("/api/sessions", json={})
        if status == 201:
            assert good(answer, 201)["userId"] == user
        else:
            assert bad_fields(answer) == ["Sessiond-User"]
