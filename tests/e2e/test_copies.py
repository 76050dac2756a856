"""Forks and imports on real parts, over REST: whole at once, and sessions like any other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx

from tests.e2e.answers import bad_fields, good, problem
from tests.e2e.system import System
from tests.e2e.talking import created, said

Names = Callable[[str], str]


async def test_a_fork_goes_on_by_itself(alice: httpx.AsyncClient) -> None:
    """It has what was there, is loaded, listed and continued, and its parent stays as it is."""
    parent = await created(alice, title="Plan", userInputs={"market": "EU"})
    chat = f"/api/chat/{parent['id']}"
    await said(alice, parent["id"], "first")
    good(await alice.post(f"{chat}/outputs", json={"content": "A plan", "outputId": "o"}), 201)
    good(await alice.put(f"{chat}/approve"))
    before = good(await alice.get(f"/api/sessions/{parent['id']}"))
    answer = await alice.post(f"/api/sessions/{parent['id']}/fork", json={})
    made = good(answer, 201)
    assert answer.headers["location"] == f"/api/sessions/{made['id']}"
    assert answer.headers["etag"] == f'"{before["revision"] + 1}"'
    assert made["lineage"] == {"sessionId": parent["id"], "seq": before["revision"]}
    await said(alice, made["id"], "only here")
    forked = good(await alice.get(f"/api/sessions/{made['id']}"))
    for name in ("title", "userInputs", "agentOutputs", "progress", "currentAgent", "workflowId"):
        assert forked[name] == before[name]
    contents = [message["content"] for message in forked["conversationHistory"]]
    assert contents == ["first", "only here"]
    assert good(await alice.get(f"/api/sessions/{parent['id']}")) == before
    page = good(await alice.get(f"/api/users/{before['userId']}/sessions"))
    summary = next(each for each in page["sessions"] if each["id"] == made["id"])
    assert (summary["lineage"], summary["messageCount"]) == (made["lineage"], 2)


async def test_a_fork_is_made_once(alice: httpx.AsyncClient, bob: httpx.AsyncClient) -> None:
    """By its key; of events that are there, and for those who may read them."""
    parent = await created(alice, workflowId="chat")
    await said(alice, parent["id"], "first")
    path, key = f"/api/sessions/{parent['id']}/fork", {"Idempotency-Key": "fork-1"}
    first = good(await alice.post(path, json={"atSeq": 1}, headers=key), 201)
    again = good(await alice.post(path, json={"atSeq": 1}, headers=key), 201)
    assert first == again and first["revision"] == 2
    other = await alice.post(path, json={"atSeq": 2}, headers=key)
    problem(other, 422, "IDEMPOTENCY_MISMATCH")
    taken = await alice.post(path, json={"id": parent["id"]})
    problem(taken, 409, "ID_TAKEN")
    assert bad_fields(await alice.post(path, json={"atSeq": 3})) == ["atSeq"]
    problem(await bob.post(path, json={}), 404, "SESSION_NOT_FOUND")


async def test_forks_and_appends_do_not_wait_for_one_another(alice: httpx.AsyncClient) -> None:
    """While a session is written it is forked: each fork has a beginning of what was said."""
    parent = await created(alice, workflowId="chat")
    writing = asyncio.gather(*(said(alice, parent["id"], f"{number}") for number in range(40)))
    path = f"/api/sessions/{parent['id']}/fork"
    made = [good(await alice.post(path, json={}), 201) for _ in range(5)]
    await writing
    whole = good(await alice.get(f"/api/sessions/{parent['id']}"))["conversationHistory"]
    assert len(whole) == 40
    for fork in made:
        loaded = good(await alice.get(f"/api/sessions/{fork['id']}"))
        assert loaded["revision"] == loaded["lineage"]["seq"] + 1
        held = [message["content"] for message in loaded["conversationHistory"]]
        assert held == [message["content"] for message in whole[: len(held)]]


async def test_an_export_becomes_a_session_and_the_same_export(
    alice: httpx.AsyncClient, bob: httpx.AsyncClient, system: System, name: Names
) -> None:
    """To the byte, in both formats; a second time it is there; and then it goes on."""
    session = await created(alice, title="Plan", userInputs={"n": 1e3}, metadata={"a": "b"})
    await said(alice, session["id"], "\u202e first \u2028")
    chat = f"/api/chat/{session['id']}"
    good(await alice.post(f"{chat}/outputs", json={"content": "x", "qualityScore": 0.25}), 201)
    good(await alice.put(f"{chat}/approve", json={"feedback": "good"}))
    before = good(await alice.get(f"/api/sessions/{session['id']}"))
    for form, media_type in (("json", "application/json"), ("ndjson", "application/x-ndjson")):
        copy = name(form)
        answer = await alice.get(f"/api/sessions/{session['id']}/export?format={form}")
        renamed = answer.text.replace(json.dumps(session["id"]), json.dumps(copy)).encode()

        async def imported(
            who: httpx.AsyncClient, content: bytes = renamed, kind: str = media_type
        ) -> httpx.Response:
            headers = {"Content-Type": kind}
            return await who.post("/api/import", content=content, headers=headers)

        problem(await imported(bob), 403, "PERMISSION_DENIED")
        first = await imported(alice)
        assert good(first, 201)["imported"] is True
        assert first.headers["location"] == f"/api/sessions/{copy}"
        assert good(await imported(alice))["imported"] is False
        again = await alice.get(f"/api/sessions/{copy}/export?format={form}")
        assert again.content == renamed
        loaded = good(await alice.get(f"/api/sessions/{copy}"))
        assert _without_id(loaded) == _without_id(before)
        await said(alice, copy, "here")
        assert good(await imported(alice))["session"]["revision"] == before["revision"] + 1
        problem(await imported(alice, renamed[:-30]), 400, "INVALID_ARGUMENT")


def _without_id(session: dict[str, Any]) -> dict[str, Any]:
    text = json.dumps(session).replace(json.dumps(session["id"]), '""')
    found: dict[str, Any] = json.loads(text)
    return found
