"""A conversation from its first line to its end, over REST on real parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.e2e.answers import good, problem
from tests.e2e.system import System

STEPS = [
    ("foundation_gtm", "gtm-consultant", "foundation", 30),
    ("persona_development", "persona-strategist", "foundation", 25),
    ("product_brand_development", "product-manager", "foundation", 30),
    ("growth_funnel_design", "growth-manager", "strategy", 35),
    ("acquisition_strategy", "head-of-acquisition", "strategy", 40),
    ("retention_strategy", "head-of-retention", "strategy", 35),
    ("viral_growth_strategy", "viral-growth-architect", "strategy", 40),
    ("experiment_design", "growth-hacker", "validation", 45),
]
STAGES = {"foundation": 3, "strategy": 4, "validation": 1}

SESSION_FIELDS = {
    *("id", "userId", "workflowId", "status", "currentAgent", "currentStep", "createdAt"),
    *("lastActive", "userInputs", "agentOutputs", "conversationHistory", "progress", "title"),
    *("metadata", "revision"),
}


async def created(client: httpx.AsyncClient, **body: Any) -> Any:
    return good(await client.post("/api/sessions", json=body), 201)


async def said(client: httpx.AsyncClient, session_id: str, content: str, **body: Any) -> Any:
    answer = await client.post(
        f"/api/chat/{session_id}/messages", json={"content": content, **body}
    )
    return good(answer, 201)


async def listed(client: httpx.AsyncClient, user: str, **query: Any) -> list[str]:
    page = good(await client.get(f"/api/users/{quote(user, safe='')}/sessions", params=query))
    return [summary["id"] for summary in page["sessions"]]


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


async def test_eight_approvals_complete_the_workflow(alice: httpx.AsyncClient) -> None:
    """Every approval moves step, agent and progress at once; the last one completes."""
    session = await created(alice)
    chat = f"/api/chat/{session['id']}"
    for step, (step_id, agent, stage, minutes) in enumerate(STEPS):
        assert (session["currentStep"], session["currentAgent"]) == (step, agent)
        assert session["progress"]["currentStepId"] == step_id
        before = session["progress"]
        submitted = good(await alice.post(f"{chat}/outputs", json={"content": f"By {agent}"}), 201)
        assert submitted["output"]["status"] == "pending"
        assert (submitted["output"]["agentId"], submitted["output"]["stepId"]) == (agent, step_id)
        answer = await alice.put(f"{chat}/approve", json={"feedback": f"Good, {step}."})
        session = good(answer)
        assert answer.headers["etag"] == f'"{session["revision"]}"' == f'"{2 * step + 3}"'
        output = session["agentOutputs"][submitted["outputId"]]
        assert (output["status"], output["userFeedback"]) == ("approved", f"Good, {step}.")
        assert output["approvedBy"] == session["userId"]
        after = session["progress"]
        assert after["completedSteps"] == step + 1
        left = before["estimatedTimeRemaining"] - after["estimatedTimeRemaining"]
        assert left == minutes
        gained = after["stageProgress"][stage] - before["stageProgress"][stage]
        assert gained == pytest.approx(1 / STAGES[stage])
    assert (session["status"], session["currentAgent"]) == ("completed", "")
    assert session["currentStep"] == session["progress"]["totalSteps"] == 8
    assert session["progress"]["estimatedTimeRemaining"] == 0
    assert session["progress"]["currentStepId"] == ""
    assert session["progress"]["stageProgress"] == dict.fromkeys(STAGES, 1)
    assert good(await alice.get(f"/api/sessions/{session['id']}")) == session
    refused = await alice.post(f"{chat}/outputs", json={"content": "More"})
    problem(refused, 409, "SESSION_COMPLETED")
    problem(await alice.put(f"{chat}/approve"), 409, "SESSION_COMPLETED")
    problem(await alice.put(f"/api/sessions/{session['id']}/pause"), 409, "SESSION_COMPLETED")
    assert (await said(alice, session["id"], "Thanks!"))["seq"] == 18
    patched = await alice.patch(f"/api/sessions/{session['id']}", json={"title": "Done"})
    assert good(patched)["title"] == "Done"


async def test_rejecting_keeps_the_step(alice: httpx.AsyncClient) -> None:
    """The agent tries again under a new id; what was decided stays decided."""
    session = await created(alice)
    chat = f"/api/chat/{session['id']}"
    problem(await alice.put(f"{chat}/approve"), 409, "NOTHING_PENDING")
    first = {"content": "First try", "outputId": "try-1", "qualityScore": 0.5}
    good(await alice.post(f"{chat}/outputs", json=first), 201)
    pending = await alice.post(f"{chat}/outputs", json={"content": "Too early"})
    problem(pending, 409, "OUTPUT_PENDING")
    reject = {"decision": "rejected", "feedback": "Too vague.", "outputId": "try-1"}
    rejected = good(await alice.put(f"{chat}/approve", json=reject))
    assert rejected["currentStep"] == 0
    output = rejected["agentOutputs"]["try-1"]
    assert (output["status"], output["userFeedback"]) == ("rejected", "Too vague.")
    assert "approvedAt" not in output
    assert good(await alice.put(f"{chat}/approve", json=reject)) == rejected
    otherwise = await alice.put(f"{chat}/approve", json={"outputId": "try-1"})
    problem(otherwise, 409, "ALREADY_DECIDED")
    problem(await alice.put(f"{chat}/approve", json={"outputId": "x"}), 404, "OUTPUT_NOT_FOUND")
    problem(await alice.post(f"{chat}/outputs", json=first), 409, "ID_TAKEN")
    good(await alice.post(f"{chat}/outputs", json={"content": "Better", "outputId": "try-2"}), 201)
    moved = good(await alice.put(f"{chat}/approve"))
    assert (moved["currentStep"], moved["currentAgent"]) == (1, "persona-strategist")
    assert moved["conversationHistory"] == []


async def test_a_pending_output_can_be_edited(alice: httpx.AsyncClient) -> None:
    """What is absent stays; once decided, nothing changes any more."""
    session = await created(alice)
    chat = f"/api/chat/{session['id']}"
    draft = {"content": "Draft", "outputId": "draft", "metadata": {"version": 1}}
    good(await alice.post(f"{chat}/outputs", json=draft), 201)
    edited = good(await alice.put(f"{chat}/outputs/draft", json={"content": "Final"}))
    assert edited["outputId"] == "draft"
    assert (edited["output"]["content"], edited["output"]["metadata"]) == ("Final", {"version": 1})
    edited = good(await alice.put(f"{chat}/outputs/draft", json={"metadata": {"version": 2}}))
    assert (edited["output"]["content"], edited["output"]["metadata"]) == ("Final", {"version": 2})
    problem(await alice.put(f"{chat}/outputs/other", json={}), 404, "OUTPUT_NOT_FOUND")
    decided = good(await alice.put(f"{chat}/approve"))
    assert decided["agentOutputs"]["draft"]["content"] == "Final"
    late = await alice.put(f"{chat}/outputs/draft", json={"content": "Later"})
    problem(late, 409, "ALREADY_DECIDED")


async def test_a_paused_session_takes_messages_only(alice: httpx.AsyncClient) -> None:
    """Outputs and decisions wait for the resume; messages and patches do not."""
    session = await created(alice)
    path, chat = f"/api/sessions/{session['id']}", f"/api/chat/{session['id']}"
    good(await alice.post(f"{chat}/outputs", json={"content": "x"}), 201)
    assert good(await alice.put(f"{path}/pause"))["status"] == "paused"
    again = await alice.put(f"{path}/pause")
    assert (good(again)["revision"], again.headers["etag"]) == (3, '"3"')
    problem(await alice.post(f"{chat}/outputs", json={"content": "x"}), 409, "SESSION_PAUSED")
    problem(await alice.put(f"{chat}/approve"), 409, "SESSION_PAUSED")
    await said(alice, session["id"], "Still here.")
    good(await alice.patch(path, json={"title": "Paused"}))
    assert good(await alice.put(f"{path}/resume"))["status"] == "active"
    assert good(await alice.put(f"{chat}/approve"))["currentStep"] == 1


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


async def test_strangers_see_nothing(
    alice: httpx.AsyncClient, bob: httpx.AsyncClient, name: Callable[[str], str]
) -> None:
    """Another's session looks absent, and another's list is forbidden."""
    session = await created(alice)
    path, chat = f"/api/sessions/{session['id']}", f"/api/chat/{session['id']}"
    for answer in (
        await bob.get(path),
        await bob.get(f"{chat}/messages"),
        await bob.post(f"{chat}/messages", json={"content": "hello"}),
        await bob.post(f"{chat}/outputs", json={"content": "hello"}),
        await bob.put(f"{chat}/approve"),
        await bob.patch(path, json={"title": "mine"}),
        await bob.delete(path),
    ):
        shown = problem(answer, 404, "SESSION_NOT_FOUND")
        assert session["id"] not in shown["detail"]
    problem(await bob.get(f"/api/users/{name('alice')}/sessions"), 403, "PERMISSION_DENIED")
    absent = problem(await bob.get(f"/api/sessions/{name('never')}"), 404, "SESSION_NOT_FOUND")
    hidden = problem(await bob.get(path), 404, "SESSION_NOT_FOUND")
    del absent["requestId"], hidden["requestId"]
    assert absent == hidden
    assert good(await alice.get(path)) == session


async def test_an_agent_enters_by_its_name_or_by_the_session(
    system: System, alice: httpx.AsyncClient, name: Callable[[str], str]
) -> None:
    """`agents` opens sessions whose current agent it is, `sessions` the named ones, always."""
    session = await created(alice)
    path, chat = f"/api/sessions/{session['id']}", f"/api/chat/{session['id']}"
    worker = system.api("worker", role="agent", agents=["gtm-consultant"])
    other = system.api("other", role="agent", agents=["growth-hacker"])
    named = system.api("named", role="agent", sessions=[session["id"]])
    problem(await other.get(path), 404, "SESSION_NOT_FOUND")
    message = await said(worker, session["id"], "I begin.", type="approval_request")
    assert (message["sender"], message["agentId"]) == ("agent", "gtm-consultant")
    good(await worker.post(f"{chat}/outputs", json={"content": "Plan"}), 201)
    for client in (worker, named):
        problem(await client.put(f"{chat}/approve"), 403, "PERMISSION_DENIED")
        problem(await client.patch(path, json={"title": "x"}), 403, "PERMISSION_DENIED")
        problem(await client.delete(path), 403, "PERMISSION_DENIED")
        problem(await client.post("/api/sessions", json={}), 403, "PERMISSION_DENIED")
    as_user = await worker.post(f"{chat}/messages", json={"content": "x", "sender": "user"})
    problem(as_user, 403, "PERMISSION_DENIED")
    as_agent = await alice.post(f"{chat}/messages", json={"content": "x", "sender": "agent"})
    problem(as_agent, 403, "PERMISSION_DENIED")
    good(await alice.put(f"{chat}/approve"))
    problem(await worker.get(path), 404, "SESSION_NOT_FOUND")
    assert good(await named.get(path))["currentAgent"] == "persona-strategist"
    good(await named.post(f"{chat}/outputs", json={"content": "Personas"}), 201)


async def test_a_service_acts_for_the_user_it_names(
    system: System, name: Callable[[str], str]
) -> None:
    """`Sessiond-User` makes it that user, of any spelling; without it a service owns nothing."""
    user = name("zoë:1/2%3")
    service = system.api("backend", role="service", acting_for=user)
    session = await created(service)
    assert session["userId"] == user
    path = f"/api/sessions/{session['id']}"
    system_note = await said(service, session["id"], "Imported.", sender="system", type="system")
    assert system_note["sender"] == "system"
    assert await listed(service, user) == [session["id"]]
    owner = system.api(user)
    assert good(await owner.get(path))["revision"] == 2
    assert await listed(owner, user) == [session["id"]]
    alone = system.api("backend", role="service")
    problem(await alone.get(path), 404, "SESSION_NOT_FOUND")
    problem(await alone.post("/api/sessions", json={}), 403, "PERMISSION_DENIED")
    elsewhere = system.api("backend", role="service", acting_for=name("bob"))
    problem(await elsewhere.get(path), 404, "SESSION_NOT_FOUND")
    pretender = system.api(name("mallory"), acting_for=user)
    problem(await pretender.get(path), 403, "PERMISSION_DENIED")
    (first, second) = await system.records(session["id"])
    assert first.actor == second.actor
    assert (first.actor.subject, first.actor.acting_for) == ("backend", user)


async def test_an_administrator_does_everything(
    system: System, alice: httpx.AsyncClient, name: Callable[[str], str]
) -> None:
    """Any session, any list."""
    session = await created(alice)
    admin = system.api("root", role="admin")
    assert await listed(admin, name("alice")) == [session["id"]]
    assert good(await admin.get(f"/api/sessions/{session['id']}")) == session
    good(await admin.delete(f"/api/sessions/{session['id']}"), 204)
    assert await listed(alice, name("alice")) == []
