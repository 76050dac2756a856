"""Who may do what: strangers, agents, services, administrators."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from tests.e2e.answers import good, problem
from tests.e2e.system import System
from tests.e2e.talking import created, listed, said


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
