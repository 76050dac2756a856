"""Sharing over REST and WebSocket, before real parts: members, links, transfer, revocation."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx

from services.serving.addresses import HostPort
from tests.e2e.answers import bad_fields, good, problem
from tests.e2e.system import System
from tests.e2e.talking import created, listed, said
from tests.gateway.listeners import listening

SECRET = "s" * 43


async def shared_as(api: httpx.AsyncClient, user: str) -> dict[str, str | None]:
    """Return the sessions in a user's list, with as what each is shared."""
    page = good(await api.get(f"/api/users/{user}/sessions"))
    return {each["id"]: each.get("sharedAs") for each in page["sessions"]}


async def test_a_member_does_what_their_role_says(
    alice: httpx.AsyncClient, bob: httpx.AsyncClient, name: Callable[[str], str]
) -> None:
    """From the grant on until the revocation; after that the session looks absent."""
    session = await created(alice)
    path, chat = f"/api/sessions/{session['id']}", f"/api/chat/{session['id']}"
    member = f"{path}/members/{name('bob')}"
    for role, message, decide in (
        ("viewer", 403, 403),
        ("editor", 201, 403),
        ("approver", 403, 409),
    ):
        answer = await alice.put(member, json={"role": role})
        assert good(answer)["role"] == role
        assert "etag" in answer.headers
        good(await bob.get(path))
        said_ = await bob.post(f"{chat}/messages", json={"content": "hello"})
        assert said_.status_code == message
        assert (await bob.put(f"{chat}/approve")).status_code == decide
        for forbidden in (
            await bob.delete(path),
            await bob.put(member, json={"role": "editor"}),
            await bob.post(f"{path}/links", json={"role": "editor"}),
            await bob.put(f"{path}/owner", json={"userId": name("bob")}),
        ):
            problem(forbidden, 403, "PERMISSION_DENIED")
        assert await shared_as(bob, name("bob")) == {session["id"]: role}
    told = good(await bob.get(f"{path}/members"))
    assert (told["owner"], [each["userId"] for each in told["members"]]) == (
        name("alice"),
        [name("bob")],
    )
    good(await alice.delete(member), 204)
    good(await alice.delete(member), 204)
    problem(await bob.get(path), 404, "SESSION_NOT_FOUND")
    problem(await bob.get(f"{path}/members"), 404, "SESSION_NOT_FOUND")
    assert await shared_as(bob, name("bob")) == {}


async def test_everybody_reads_who_wrote_a_message(
    system: System, alice: httpx.AsyncClient, bob: httpx.AsyncClient, name: Callable[[str], str]
) -> None:
    """In the answer, the session, its pages, its past, a fork and an export."""
    session = await created(alice, workflowId="chat")
    path, chat = f"/api/sessions/{session['id']}", f"/api/chat/{session['id']}"
    good(await alice.put(f"{path}/members/{name('bob')}", json={"role": "editor"}))
    service = system.api("crm", role="service", acting_for=name("bob"))
    told = [await said(api, session["id"], "Hello") for api in (alice, bob, service)]
    agent = await said(service, session["id"], "Good day", sender="agent")
    assert [each["userId"] for each in told] == [name("alice"), name("bob"), name("bob")]
    assert "userId" not in agent
    messages = [*told, agent]
    assert good(await bob.get(path))["conversationHistory"] == messages
    assert good(await bob.get(f"{chat}/messages"))["messages"] == messages
    past = good(await bob.get(path, params={"atSeq": messages[1]["seq"]}))
    assert past["conversationHistory"] == messages[:2]
    forked = good(await bob.post(f"{path}/fork", json={"atSeq": agent["seq"]}), 201)
    copied = good(await bob.get(f"/api/sessions/{forked['id']}"))["conversationHistory"]
    assert copied == [{**each, "sessionId": forked["id"]} for each in messages]
    export = good(await alice.get(f"{path}/export", params={"format": "json"}))
    appended = [each["messageAppended"] for each in export["events"] if "messageAppended" in each]
    kept = [each["message"] for each in appended]
    assert kept == messages


async def test_bad_grants_name_what_is_wrong(
    alice: httpx.AsyncClient, name: Callable[[str], str]
) -> None:
    """To oneself, of unknown roles, without one; and links that would have expired."""
    session = await created(alice)
    path = f"/api/sessions/{session['id']}"
    answer = await alice.put(f"{path}/members/{name('alice')}", json={"role": "viewer"})
    assert bad_fields(answer) == ["userId"]
    for body in ({"role": "owner"}, {"role": None}, {"role": 1}, {}):
        assert bad_fields(await alice.put(f"{path}/members/bob", json=body)) == ["role"]
    past = {"role": "viewer", "expiresAt": "2001-01-01T00:00:00Z"}
    assert bad_fields(await alice.post(f"{path}/links", json=past)) == ["expiresAt"]
    never = {"role": "viewer", "expiresAt": "yesterday"}
    assert bad_fields(await alice.post(f"{path}/links", json=never)) == ["expiresAt"]
    short = {"role": "viewer", "secret": "x"}
    assert bad_fields(await alice.post(f"{path}/links", json=short)) == ["secret"]
    answer = await alice.put(f"{path}/owner", json={"userId": "stranger"})
    assert bad_fields(answer) == ["userId"]
    assert good(await alice.get(path))["revision"] == 1


async def test_a_link_lets_in_whoever_has_its_secret(
    alice: httpx.AsyncClient, bob: httpx.AsyncClient, system: System, name: Callable[[str], str]
) -> None:
    """The secret is told once; a wrong one looks as an absent session, word for word."""
    session = await created(alice)
    path = f"/api/sessions/{session['id']}"
    until = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    key = {"Idempotency-Key": "link"}
    body = {"role": "editor", "expiresAt": until}
    made = good(await alice.post(f"{path}/links", json=body, headers=key), 201)
    again = good(await alice.post(f"{path}/links", json=body, headers=key), 201)
    assert (again["link"], again.get("secret")) == (made["link"], None)
    wrong = problem(
        await bob.post(f"{path}/join", json={"secret": SECRET}), 404, "SESSION_NOT_FOUND"
    )
    absent = await bob.post(f"/api/sessions/{name('absent')}/join", json={"secret": SECRET})
    shown = problem(absent, 404, "SESSION_NOT_FOUND")
    del wrong["requestId"], shown["requestId"]
    assert wrong == shown
    joined = good(await bob.post(f"{path}/join", json={"secret": made["secret"]}))
    assert joined["id"] == session["id"]
    await said(bob, session["id"], "I am here.")
    good(await alice.delete(f"{path}/links/{made['link']['linkId']}"), 204)
    late = system.api(name("late"))
    for _ in range(10):
        answer = await late.post(f"{path}/join", json={"secret": made["secret"]})
        problem(answer, 404, "SESSION_NOT_FOUND")
    answer = await late.post(f"{path}/join", json={"secret": made["secret"]})
    assert "retry-after" in answer.headers
    problem(answer, 429, "RATE_LIMITED")
    await said(bob, session["id"], "And stay.")
    told = good(await alice.get(f"{path}/members"))
    assert (told["links"], told["members"][0]["linkId"]) == ([], made["link"]["linkId"])


async def test_a_session_is_given_to_a_member(
    alice: httpx.AsyncClient, bob: httpx.AsyncClient, name: Callable[[str], str]
) -> None:
    """It moves from one list to the other, and the call may be repeated."""
    session = await created(alice)
    path = f"/api/sessions/{session['id']}"
    good(await alice.put(f"{path}/members/{name('bob')}", json={"role": "viewer"}))
    key = {"Idempotency-Key": "give"}
    for _ in range(2):
        given = good(await alice.put(f"{path}/owner", json={"userId": name("bob")}, headers=key))
        assert (given["userId"], given["revision"]) == (name("bob"), 3)
    assert await shared_as(bob, name("bob")) == {session["id"]: None}
    assert await shared_as(alice, name("alice")) == {session["id"]: "editor"}
    assert await listed(bob, name("bob")) == [session["id"]]
    query = f"/api/users/{name('alice')}/sessions?scope=own"
    assert good(await alice.get(query))["sessions"] == []
    problem(await alice.delete(path), 403, "PERMISSION_DENIED")
    good(await bob.delete(path), 204)
    assert await shared_as(alice, name("alice")) == {}


async def test_a_revoked_stream_closes(
    system: System, alice: httpx.AsyncClient, bob: httpx.AsyncClient, name: Callable[[str], str]
) -> None:
    """It sees the event that ends it, and nothing after that."""
    session = await created(alice)
    path = f"/api/sessions/{session['id']}"
    member = f"{path}/members/{name('bob')}"
    good(await alice.put(member, json={"role": "viewer"}))
    headers = {"Authorization": bob.headers["Authorization"]}
    async with listening(gateway(system), f"{path}/events", headers=headers) as listener:
        await listener.hears("caughtUp")
        good(await alice.delete(member), 204)
        await listener.ends()
    await said(alice, session["id"], "Not for bob.")
    (event,) = listener.of("event")
    assert event["event"]["memberRevoked"] == {"userId": name("bob")}
    assert listener.of("goaway")[0]["goaway"]["reason"] == "SESSION_NOT_FOUND"


async def test_a_list_is_followed_with_what_others_share(
    system: System, alice: httpx.AsyncClient, bob: httpx.AsyncClient, name: Callable[[str], str]
) -> None:
    """A session comes with its grant, is told when it changes, and goes with its revocation."""
    session = await created(alice)
    member = f"/api/sessions/{session['id']}/members/{name('bob')}"
    path = f"/api/users/{name('bob')}/events"
    headers = {"Authorization": bob.headers["Authorization"]}
    async with listening(gateway(system), path, headers=headers) as listener:
        await listener.hears("listed")
        good(await alice.put(member, json={"role": "viewer"}))
        assert (await listener.hears("session"))["session"]["sharedAs"] == "viewer"
        await said(alice, session["id"], "Look.")
        await listener.until(
            lambda heard: heard.of("session")[-1]["session"]["lastMessage"] == "Look."
        )
        good(await alice.delete(member), 204)
        assert (await listener.hears("removedId"))["removedId"] == session["id"]
    await said(alice, session["id"], "Missed.")
    good(await alice.put(member, json={"role": "editor"}))
    headers["Last-Event-ID"] = listener.last_id
    async with listening(gateway(system), path, headers=headers) as again:
        await again.until(
            lambda heard: (
                heard.of("session") and heard.of("session")[-1]["session"]["sharedAs"] == "editor"
            )
        )
    assert "reset" not in again.kinds


def gateway(system: System) -> HostPort:
    return HostPort.parse(system.cluster.address("gateway-1"))
