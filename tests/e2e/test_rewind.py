"""A session goes back, and is seen as it was, through the front door."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from services.serving.addresses import HostPort
from tests.e2e.answers import bad_fields, good, problem
from tests.e2e.system import System
from tests.e2e.talking import created, said
from tests.gateway.listeners import listening

OF_EACH_CHANGE = ("revision", "lastActive")


def lasting(session: dict[str, Any]) -> dict[str, Any]:
    """What of a session a rewind brings back."""
    return {name: value for name, value in session.items() if name not in OF_EACH_CHANGE}


async def lived(api: httpx.AsyncClient) -> tuple[str, list[dict[str, Any]]]:
    """Make a session with a bit of everything; return its path, and it after each event."""
    session = await created(api, userInputs={"a": 1}, title="Mine")
    path, chat = f"/api/sessions/{session['id']}", f"/api/chat/{session['id']}"
    states = [{}, session]

    async def after(answer: httpx.Response, status: int = 200) -> None:
        good(answer, status)
        states.append(good(await api.get(path)))
        assert states[-1]["revision"] == len(states) - 1

    await after(await api.post(f"{chat}/messages", json={"content": "first"}), 201)
    output = {"content": "A plan", "outputId": "o-1", "qualityScore": 0.5}
    await after(await api.post(f"{chat}/outputs", json=output), 201)
    await after(await api.put(f"{chat}/outputs/o-1", json={"content": "A better plan"}))
    await after(await api.put(f"{chat}/approve", json={"feedback": "good"}))
    await after(await api.patch(path, json={"title": "Ours", "userInputs": {"a": None, "b": 2}}))
    await after(await api.post(f"{chat}/messages", json={"content": "second"}), 201)
    await after(await api.put(f"{path}/pause"))
    return path, states


async def test_a_session_goes_back_and_forth(
    alice: httpx.AsyncClient, name: Callable[[str], str]
) -> None:
    """Everything is as it was, the rest of its history is kept, and work goes on from there."""
    path, states = await lived(alice)
    chat = path.replace("sessions", "chat")
    answer = await alice.put(f"{path}/rewind", json={"toSeq": 3})
    back = good(answer)
    assert (answer.headers["etag"], back["revision"]) == ('"9"', 9)
    assert lasting(back) == lasting(states[3])
    assert back == good(await alice.get(path))
    (summary,) = good(await alice.get(f"/api/users/{name('alice')}/sessions"))["sessions"]
    assert (summary["messageCount"], summary["lastMessage"]) == (1, "first")
    assert (summary["title"], summary["status"]) == ("Mine", "active")
    page = good(await alice.get(f"{chat}/messages"))
    assert page["messages"] == states[3]["conversationHistory"]
    moved = good(await alice.put(f"{chat}/approve"))
    assert moved["progress"]["completedSteps"] == 1
    assert moved["agentOutputs"]["o-1"]["content"] == "A plan"
    await said(alice, back["id"], "another way")
    forth = good(await alice.put(f"{path}/rewind", json={"toSeq": 8}))
    assert lasting(forth) == lasting(states[8])
    assert forth["revision"] == 12
    assert good(await alice.put(f"{path}/resume"))["status"] == "active"


async def test_every_moment_is_as_it_was_loaded_then(alice: httpx.AsyncClient) -> None:
    """By its revision and by its time, before rewinds and after them."""
    path, states = await lived(alice)
    for to_seq in (4, 8, 2):
        states.append(good(await alice.put(f"{path}/rewind", json={"toSeq": to_seq})))
    for revision, expected in enumerate(states[1:], 1):
        answer = await alice.get(path, params={"atSeq": revision})
        assert good(answer) == expected
        assert answer.headers["etag"] == f'"{revision}"'
        time = expected["lastActive"]
        latest = [each for each in states[1:] if each["lastActive"] <= time][-1]
        assert good(await alice.get(path, params={"atTime": time})) == latest
    tail = good(await alice.get(path, params={"atSeq": 8, "tail": 1}))
    assert [message["content"] for message in tail["conversationHistory"]] == ["second"]


async def test_who_follows_sees_it_happen_and_then_the_session_anew(
    system: System, alice: httpx.AsyncClient
) -> None:
    """And who comes back from before gets the session as it is, with the reason."""
    path, _ = await lived(alice)
    where = HostPort.parse(system.cluster.address("gateway-1"))
    headers = {"Authorization": alice.headers["Authorization"]}
    async with listening(where, f"{path}/events", headers=headers) as listener:
        await listener.hears("caughtUp")
        before = listener.last_id
        good(await alice.put(f"{path}/rewind", json={"toSeq": 2}))
        await listener.hears("caughtUp", 2)
        await said(alice, path.rpartition("/")[2], "another way")
        await listener.hears("event", 2)
    rewound, appended = listener.of("event")
    assert rewound["event"]["rewound"]["toSeq"] == 2
    assert appended["event"]["seq"] == 10
    assert [each["reset"]["reason"] for each in listener.of("reset")] == ["REWOUND"]
    said_then = [
        message["content"]
        for each in listener.of("snapshot")[-2:]
        for message in each["snapshot"].get("messages", {}).get("messages", ())
    ]
    assert said_then == ["first"]
    headers["Last-Event-ID"] = before
    async with listening(where, f"{path}/events", headers=headers) as again:
        await again.hears("caughtUp")
    assert [each["reset"]["reason"] for each in again.of("reset")] == ["REWOUND"]
    assert again.of("event") == []
    headers["Last-Event-ID"] = listener.last_id
    async with listening(where, f"{path}/events", headers=headers) as again:
        await again.hears("caughtUp")
    assert (again.of("reset"), again.of("snapshot")) == ([], [])


async def test_a_rewind_is_made_once_and_only_where_it_was_meant(
    alice: httpx.AsyncClient,
) -> None:
    """A key names it, and If-Match binds it to what its maker saw."""
    path, _ = await lived(alice)
    headers = {"Idempotency-Key": "back", "If-Match": '"8"'}
    first = await alice.put(f"{path}/rewind", json={"toSeq": 2}, headers=headers)
    again = await alice.put(f"{path}/rewind", json={"toSeq": 2}, headers=headers)
    assert good(again) == good(first)
    assert again.headers["etag"] == first.headers["etag"] == '"9"'
    other = await alice.put(f"{path}/rewind", json={"toSeq": 3}, headers=headers)
    problem(other, 422, "IDEMPOTENCY_MISMATCH")
    stale = await alice.put(f"{path}/rewind", json={"toSeq": 3}, headers={"If-Match": '"8"'})
    problem(stale, 412, "STALE_REVISION")
    for to_seq in (2, 9):
        there = await alice.put(f"{path}/rewind", json={"toSeq": to_seq})
        assert (good(there)["revision"], there.headers["etag"]) == (9, '"9"')


@pytest.mark.parametrize(
    "to_seq", [0, -1, 9, 2**62, 2**63, 1.5, "3", None, True, [3]], ids=json.dumps
)
async def test_only_its_own_events_can_be_gone_back_to(
    alice: httpx.AsyncClient, to_seq: Any
) -> None:
    """Anything else is a bad field, and changes nothing."""
    path, states = await lived(alice)
    answer = await alice.put(f"{path}/rewind", json={"toSeq": to_seq})
    assert bad_fields(answer) == ["toSeq"]
    assert bad_fields(await alice.put(f"{path}/rewind", json={})) == ["toSeq"]
    assert good(await alice.get(path)) == states[8]


async def test_what_is_no_moment_of_it_is_named(alice: httpx.AsyncClient) -> None:
    """A seq that it does not have, a time before it was, and both at once."""
    path, states = await lived(alice)
    for at_seq in (0, -1, 9, 2**62):
        assert bad_fields(await alice.get(path, params={"atSeq": at_seq})) == ["atSeq"]
    long_ago = {"atTime": "2001-01-01T00:00:00Z"}
    assert bad_fields(await alice.get(path, params=long_ago)) == ["atTime"]
    assert bad_fields(await alice.get(path, params={"atSeq": 1, **long_ago})) == ["atTime"]
    future = {"atTime": "2199-01-01T00:00:00Z"}
    assert good(await alice.get(path, params=future)) == states[8]


async def test_it_is_the_owners_to_go_back(
    system: System, alice: httpx.AsyncClient, bob: httpx.AsyncClient, name: Callable[[str], str]
) -> None:
    """Others find nothing, an agent may not; and nobody may while an agent speaks."""
    path, _ = await lived(alice)
    session_id = path.rpartition("/")[2]
    problem(await bob.put(f"{path}/rewind", json={"toSeq": 2}), 404, "SESSION_NOT_FOUND")
    problem(await bob.get(path, params={"atSeq": 2}), 404, "SESSION_NOT_FOUND")
    agent = system.api(name("worker"), role="agent", sessions=[session_id])
    problem(await agent.put(f"{path}/rewind", json={"toSeq": 2}), 403, "PERMISSION_DENIED")
    assert good(await agent.get(path, params={"atSeq": 2}))["revision"] == 2


async def test_what_was_undone_was_made_all_the_same(alice: httpx.AsyncClient) -> None:
    """A change that is said again after a rewind gets the answer that it got."""
    session = await created(alice)
    path, chat = f"/api/sessions/{session['id']}", f"/api/chat/{session['id']}"
    asked = [
        ("POST", f"{chat}/messages", {"content": "first"}, 201),
        ("POST", f"{chat}/outputs", {"content": "A plan", "outputId": "o-1"}, 201),
        ("PUT", f"{chat}/outputs/o-1", {"content": "A better plan"}, 200),
    ]

    async def answers() -> list[Any]:
        return [
            good(
                await alice.request(
                    verb, where, json=body, headers={"Idempotency-Key": f"key-{number}"}
                ),
                status,
            )
            for number, (verb, where, body, status) in enumerate(asked)
        ]

    first = await answers()
    good(await alice.put(f"{path}/rewind", json={"toSeq": 1}))
    message, submitted, edited = await answers()
    assert [message, edited] == [first[0], first[2]]
    assert submitted == first[1]
    assert good(await alice.get(path))["conversationHistory"] == []
