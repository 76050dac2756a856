"""A session as a document, over REST on real parts."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

import httpx
import yaml

from sessiond.export.format import json_chunks, read_export
from tests.e2e.answers import good, problem
from tests.e2e.kept import Kept
from tests.unit.telling import HOSTILE


async def test_an_export_holds_the_session_and_its_whole_history(
    alice: httpx.AsyncClient, name: Callable[[str], str]
) -> None:
    """What a list shows, and every change with who made it; read and written it is the same."""
    session_id = name("exported")
    chat = f"/api/chat/{session_id}"
    good(await alice.post("/api/sessions", json={"id": session_id}), 201)
    good(await alice.post(f"{chat}/messages", json={"content": "first", "metadata": {"n": 1}}), 201)
    good(await alice.post(f"{chat}/outputs", json={"content": "plan"}), 201)
    good(await alice.put(f"{chat}/approve", json={"feedback": "good"}))
    good(await alice.post(f"{chat}/messages", json={"content": "second"}), 201)
    answer = await alice.get(f"/api/sessions/{session_id}/export")
    document = good(answer)
    session = good(await alice.get(f"/api/sessions/{session_id}"))
    assert {key: document["session"][key] for key in ("id", "userId", "title", "revision")} == {
        key: session[key] for key in ("id", "userId", "title", "revision")
    }
    assert [event["seq"] for event in document["events"]] == list(range(1, session["revision"] + 1))
    messages = [
        event["messageAppended"]["message"]
        for event in document["events"]
        if "messageAppended" in event
    ]
    assert messages == session["conversationHistory"]
    assert {event["actor"]["subject"] for event in document["events"]} == {session["userId"]}
    summary, *events = list(read_export(io.BytesIO(answer.content)))
    assert b"".join(json_chunks(summary, events)) == answer.content  # type: ignore[arg-type]


async def test_a_hostile_conversation_is_exported_as_what_it_is(
    alice: httpx.AsyncClient, name: Callable[[str], str]
) -> None:
    """In the readable formats nobody forges anything."""
    session_id = name("hostile")
    body = {"id": session_id, "title": "---", "workflowId": "chat"}
    good(await alice.post("/api/sessions", json=body), 201)
    good(await alice.post(f"/api/chat/{session_id}/messages", json={"content": HOSTILE}), 201)
    exports = f"/api/sessions/{session_id}/export"
    text = (await alice.get(exports, params={"format": "markdown"})).text
    _, front, _ = re.split(r"^---$", text, maxsplit=2, flags=re.MULTILINE)
    assert yaml.safe_load(front)["title"] == "---"
    assert len(re.findall(r"^#", text, flags=re.MULTILINE)) == 3
    pdf = await alice.get(exports, params={"format": "pdf"})
    assert pdf.content.startswith(b"%PDF-")


async def test_only_those_who_may_read_a_session_export_it(
    alice: httpx.AsyncClient, bob: httpx.AsyncClient, kept: Kept
) -> None:
    """For all others there is none."""
    path = f"/api/sessions/{kept.id}/export"
    problem(await bob.get(path), 404, "SESSION_NOT_FOUND")
    anonymous = httpx.AsyncClient(base_url=alice.base_url)
    async with anonymous:
        problem(await anonymous.get(path), 401, "UNAUTHENTICATED")
