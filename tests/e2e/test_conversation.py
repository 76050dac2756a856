"""A conversation, its list and its end, over REST on real parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

from tests.e2e.answers import good, problem
from tests.e2e.system import System
from tests.e2e.talking import created, listed, said

SESSION_FIELDS = {
    *("id", "userId", "workflowId", "status", "currentAgent", "currentStep", "createdAt"),
    *("lastActive", "userInputs", "agentOutputs", "conversationHistory", "progress", "title"),
    *("metadata", "revision"),
}


async def test_a_session_is_created_loaded_and_listed(
    alice: httpx.AsyncClient, name: Callable[[str], str]
) -> None:
    """A new session is whole at once: state, progress, ETag, Location and its place in the list."""
    answer = await alice.post(
        "/api/sessions",
        json={
            "userInputs": {"market": "EU", "budget": 12000, "big": 2**60},
            "metadata": {"a": "b"},
        },
    )
    session = good(answer, 201)
    assert session.keys() == SESSION_FIELDS
    assert answer.headers["etag"] == '"1"'
    assert answer.headers["location"] == f"/api/sessions/{session['id']}"
    assert session["userId"] == name("alice")
    assert (session["status"], session["workflowId"]) == ("active", "master-workflow-v2")
    assert (session["currentStep"], session["currentAgent"]) == (0, "gtm-consultant")
    assert session["userInputs"] == {"market": "EU", "budget": 12000, "big": 2**60}
    assert (session["agentOutputs"], session["conversationHistory"]) == ({}, [])
    assert session["progress"] == {
        "totalSteps": 8,
        "completedSteps": 0,
        "currentStepId": "foundation_gtm",
        "estimatedTimeRemaining": 280,
        "stageProgress": {"foundation": 0, "strategy": 0, "validation": 0},
    }
    loaded = await alice.get(answer.headers["location"])
    assert good(loaded) == session
    assert loaded.headers["etag"] == '"1"'
    unchanged = await alice.get(answer.headers["location"], headers={"If-None-Match": '"1"'})
    good(unchanged, 304)
    page = good(await alice.get(f"/api/users/{name('alice')}/sessions"))
    (summary,) = page["sessions"]
    left_out = {"userInputs", "agentOutputs", "conversationHistory"}
    assert summary == {key: session[key] for key in SESSION_FIELDS - left_out} | {
        "messageCount": 0,
        "lastMessage": "",
    }
    assert page["nextPageToken"] == ""


async def test_messages_are_kept_in_order(alice: httpx.AsyncClient) -> None:
    """Each message gets the next seq; the first one of a user gives the title; `tail` cuts."""
    session = await created(alice, workflowId="chat")
    path = f"/api/sessions/{session['id']}"
    first = await said(alice, session["id"], "Where do we start?", metadata={"n": 1})
    second = await said(alice, session["id"], "Zażółć 🎈\n\ttabs and lines")
    assert (first["seq"], second["seq"]) == (2, 3)
    assert (first["sender"], first["type"]) == ("user", "text")
    assert first["metadata"] == {"n": 1}
    loaded = good(await alice.get(path))
    assert loaded["conversationHistory"] == [first, second]
    assert (loaded["title"], loaded["revision"]) == ("Where do we start?", 3)
    assert loaded["lastActive"] == second["timestamp"]
    assert good(await alice.get(path, params={"tail": 1}))["conversationHistory"] == [second]
    assert good(await alice.get(path, params={"tail": 0}))["conversationHistory"] == []
    assert good(await alice.get(path, params={"tail": 9}))["conversationHistory"] == [first, second]


async def test_messages_come_in_pages_either_way(alice: httpx.AsyncClient) -> None:
    """Pages give every message once, oldest or newest first."""
    session = await created(alice, workflowId="chat")
    ids = [(await said(alice, session["id"], f"message {n}"))["id"] for n in range(5)]
    for order, expected in (("asc", ids), ("desc", ids[::-1])):
        found: list[str] = []
        query = {"pageSize": "2", "order": order}
        while True:
            page = good(await alice.get(f"/api/chat/{session['id']}/messages", params=query))
            found += [message["id"] for message in page["messages"]]
            if not page["nextPageToken"]:
                break
            assert len(page["messages"]) == 2
            query["pageToken"] = page["nextPageToken"]
        assert found == expected


async def test_a_patch_merges_and_null_removes(alice: httpx.AsyncClient) -> None:
    """JSON Merge Patch over title, metadata and inputs; what is absent stays."""
    session = await created(
        alice,
        title="Plan",
        metadata={"a": "1", "b": "2"},
        userInputs={"x": {"y": 1, "z": 2}, "w": 3},
    )
    path = f"/api/sessions/{session['id']}"
    patch = {"metadata": {"a": None, "c": "3"}, "userInputs": {"x": {"y": None}, "w": [1]}}
    answer = await alice.patch(
        path, json=patch, headers={"Content-Type": "application/merge-patch+json"}
    )
    patched = good(answer)
    assert patched["metadata"] == {"b": "2", "c": "3"}
    assert patched["userInputs"] == {"x": {"z": 2}, "w": [1]}
    assert (patched["title"], patched["revision"], answer.headers["etag"]) == ("Plan", 2, '"2"')
    same = await alice.patch(path, json=patch)
    assert (good(same)["revision"], same.headers["etag"]) == (2, '"2"')
    cleared = good(
        await alice.patch(path, json={"title": None, "metadata": None, "userInputs": None})
    )
    assert (cleared["title"], cleared["metadata"], cleared["userInputs"]) == ("", {}, {})
    await said(alice, session["id"], "A new name")
    assert good(await alice.get(path))["title"] == "A new name"


async def test_a_stale_etag_is_refused(alice: httpx.AsyncClient) -> None:
    """If-Match names the revision that the caller saw; 412 says which there is."""
    session = await created(alice)
    path, chat = f"/api/sessions/{session['id']}", f"/api/chat/{session['id']}"
    fresh = await alice.patch(path, json={"title": "One"}, headers={"If-Match": '"1"'})
    assert good(fresh)["revision"] == 2
    stale = {"If-Match": '"1"'}
    for answer in (
        await alice.patch(path, json={"title": "Two"}, headers=stale),
        await alice.post(f"{chat}/messages", json={"content": "x"}, headers=stale),
        await alice.post(f"{chat}/outputs", json={"content": "x"}, headers=stale),
        await alice.put(f"{chat}/approve", headers=stale),
        await alice.put(f"{path}/pause", headers=stale),
        await alice.delete(path, headers=stale),
    ):
        assert problem(answer, 412, "STALE_REVISION")["revision"] == 2
        assert answer.headers["etag"] == '"2"'
    assert good(await alice.get(path))["title"] == "One"
    good(await alice.delete(path, headers={"If-Match": '"2"'}), 204)


async def test_a_deleted_session_is_gone_for_everyone(
    system: System, alice: httpx.AsyncClient, name: Callable[[str], str]
) -> None:
    """404 for readers and late writers alike, no place in the list, and an id that stays taken."""
    session_id = name("gone")
    await created(alice, id=session_id)
    await said(alice, session_id, "Soon gone")
    path, chat = f"/api/sessions/{session_id}", f"/api/chat/{session_id}"
    good(await alice.delete(path), 204)
    admin = system.api("root", role="admin")
    for client in (alice, admin):
        for answer in (
            await client.get(path),
            await client.get(f"{chat}/messages"),
            await client.post(f"{chat}/messages", json={"content": "late"}),
            await client.post(f"{chat}/outputs", json={"content": "late"}),
            await client.put(f"{chat}/approve"),
            await client.put(f"{path}/pause"),
            await client.patch(path, json={"title": "late"}),
            await client.delete(path),
        ):
            problem(answer, 404, "SESSION_NOT_FOUND")
    assert await listed(alice, name("alice")) == []
    for client in (alice, admin, system.api(name("bob"))):
        problem(await client.post("/api/sessions", json={"id": session_id}), 409, "ID_TAKEN")
    stored = await system.stored(session_id)
    assert stored is not None
    assert stored[0].tombstone is not None
    assert stored[1] == []


async def test_an_id_in_use_is_taken_for_everyone(
    alice: httpx.AsyncClient, bob: httpx.AsyncClient, name: Callable[[str], str]
) -> None:
    """Whoever has it, the answer is the same."""
    session = await created(alice, id=name("mine"))
    problem(await alice.post("/api/sessions", json={"id": name("mine")}), 409, "ID_TAKEN")
    problem(await bob.post("/api/sessions", json={"id": name("mine")}), 409, "ID_TAKEN")
    assert good(await alice.get(f"/api/sessions/{name('mine')}")) == session


async def test_a_list_is_filtered_ordered_and_paged(
    alice: httpx.AsyncClient, name: Callable[[str], str]
) -> None:
    """Newest activity first; status, workflow and text choose; pages give each session once."""
    user = name("alice")
    ids = [(await created(alice, workflowId="chat"))["id"] for _ in range(4)]
    ids.append((await created(alice, title="The Master plan"))["id"])
    for session_id in (ids[1], ids[0], ids[3]):
        await said(alice, session_id, f"About {session_id} and STRASSE")
    order = [ids[3], ids[0], ids[1], ids[4], ids[2]]
    assert await listed(alice, user) == order
    good(await alice.put(f"/api/sessions/{ids[2]}/pause"))
    order = [ids[2], *order[:-1]]
    assert await listed(alice, user) == order
    assert await listed(alice, user, status="paused") == [ids[2]]
    assert await listed(alice, user, status="completed") == []
    assert await listed(alice, user, workflowId="master-workflow-v2") == [ids[4]]
    assert await listed(alice, user, q="master PLAN") == [ids[4]]
    assert await listed(alice, user, q="strasse", status="active") == [ids[3], ids[0], ids[1]]
    pages: list[list[str]] = []
    query: dict[str, Any] = {"pageSize": 2}
    while True:
        page = good(await alice.get(f"/api/users/{user}/sessions", params=query))
        pages.append([summary["id"] for summary in page["sessions"]])
        if not page["nextPageToken"]:
            break
        query["pageToken"] = page["nextPageToken"]
    assert pages == [order[:2], order[2:4], order[4:]]
    summary = good(await alice.get(f"/api/users/{user}/sessions"))["sessions"][1]
    assert (summary["messageCount"], summary["lastMessage"]) == (1, f"About {ids[3]} and STRASSE")
