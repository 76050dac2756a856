"""The limits of whole sessions and callers, lowered by settings so that they can be reached."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from cluster.etcd_binary import EtcdBinary
from cluster.topology import Topology
from tests.e2e.answers import bad_fields, good, problem
from tests.e2e.system import System, running

OUTPUTS, EVENTS, SIZE, SESSIONS, SHARED, BURST = 3, 12, 16 * 1024, 3, 2, 20
LOWERED = {
    "SESSIOND_LIMIT_OUTPUTS": str(OUTPUTS),
    "SESSIOND_LIMIT_EVENTS": str(EVENTS),
    "SESSIOND_LIMIT_SESSION": str(SIZE),
    "SESSIOND_LIMIT_SESSIONS_PER_USER": str(SESSIONS),
    "SESSIOND_LIMIT_SHARED_PER_USER": str(SHARED),
    "SESSIOND_LIMIT_TITLE_CHARACTERS": "10",
    "SESSIOND_LIMIT_CONTENT": "8000",
}
# One change earned in 50 s: no test lasts long enough to earn another.
RATES = {"SESSIOND_CHANGES_PER_SECOND": "0.02", "SESSIOND_CHANGES_BURST": str(BURST)}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lowered(
    etcd_binary: EtcdBinary, ports: Iterator[int], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[System]:
    """A system with little room."""
    settings = {"store": LOWERED, "live": {**LOWERED, **RATES}}
    topology = Topology.anywhere(ports, settings=settings)
    async with running(topology, tmp_path_factory.mktemp("lowered"), etcd_binary) as started:
        yield started


@pytest.fixture
def heidi(lowered: System, name: Callable[[str], str]) -> httpx.AsyncClient:
    """A user of that system."""
    return lowered.api(name("heidi"))


async def created(client: httpx.AsyncClient) -> Any:
    return good(await client.post("/api/sessions", json={}), 201)


async def test_a_session_has_room_for_so_many_outputs(heidi: httpx.AsyncClient) -> None:
    """One more is SESSION_FULL, whatever became of the others; all else goes on."""
    session = await created(heidi)
    chat = f"/api/chat/{session['id']}"
    for _ in range(OUTPUTS):
        good(await heidi.post(f"{chat}/outputs", json={"content": "x"}), 201)
        good(await heidi.put(f"{chat}/approve", json={"decision": "rejected"}))
    before = good(await heidi.get(f"/api/sessions/{session['id']}"))
    assert len(before["agentOutputs"]) == OUTPUTS
    full = await heidi.post(f"{chat}/outputs", json={"content": "x"})
    problem(full, 413, "SESSION_FULL")
    assert good(await heidi.get(f"/api/sessions/{session['id']}")) == before
    good(await heidi.post(f"{chat}/messages", json={"content": "x"}), 201)


async def test_a_session_has_room_for_so_many_events(
    lowered: System, heidi: httpx.AsyncClient
) -> None:
    """One more is SESSION_FULL; what changes nothing still passes, and so does the deletion."""
    session = await created(heidi)
    path, chat = f"/api/sessions/{session['id']}", f"/api/chat/{session['id']}"
    for seq in range(2, EVENTS + 1):
        message = good(await heidi.post(f"{chat}/messages", json={"content": "x"}), 201)
        assert message["seq"] == seq
    problem(await heidi.post(f"{chat}/messages", json={"content": "x"}), 413, "SESSION_FULL")
    problem(await heidi.put(f"{path}/pause"), 413, "SESSION_FULL")
    assert good(await heidi.put(f"{path}/resume"))["revision"] == EVENTS
    assert len(await lowered.records(session["id"])) == EVENTS
    good(await heidi.delete(path), 204)


async def test_nobody_is_kept_in_a_full_session(
    lowered: System, heidi: httpx.AsyncClient, name: Callable[[str], str]
) -> None:
    """Members and links go, a hold comes and goes; it is exported, imported and forked."""
    session = await created(heidi)
    path, chat = f"/api/sessions/{session['id']}", f"/api/chat/{session['id']}"
    bob, admin = lowered.api(name("bob")), lowered.api("root", role="admin")
    member = f"{path}/members/{name('bob')}"
    good(await heidi.put(member, json={"role": "editor"}))
    link = good(await heidi.post(f"{path}/links", json={"role": "viewer"}), 201)
    for _ in range(EVENTS - 3):
        good(await heidi.post(f"{chat}/messages", json={"content": "x"}), 201)
    for refused in (
        await bob.post(f"{chat}/messages", json={"content": "x"}),
        await heidi.put(f"{path}/members/{name('carol')}", json={"role": "viewer"}),
        await heidi.post(f"{path}/links", json={"role": "viewer"}),
    ):
        problem(refused, 413, "SESSION_FULL")
    good(await bob.delete(member), 204)
    problem(await bob.get(path), 404, "SESSION_NOT_FOUND")
    good(await heidi.delete(f"{path}/links/{link['link']['linkId']}"), 204)
    assert good(await admin.put(f"{path}/hold", json={"held": True}))["held"]
    problem(await heidi.delete(path), 409, "LEGAL_HOLD")
    good(await admin.put(f"{path}/hold", json={"held": False}))
    assert good(await heidi.get(path))["revision"] == EVENTS + 4
    exported = await heidi.get(f"{path}/export", params={"format": "json"})
    forked = good(await heidi.post(f"{path}/fork", json={"atSeq": EVENTS - 1}), 201)
    assert forked["revision"] == EVENTS
    content = exported.content.replace(session["id"].encode(), name("copy").encode())
    headers = {"Content-Type": "application/json"}
    imported = await heidi.post("/api/import", content=content, headers=headers)
    assert good(imported, 201)["session"]["revision"] == EVENTS + 4


async def test_a_session_has_room_for_so_many_bytes(
    lowered: System, heidi: httpx.AsyncClient
) -> None:
    """It may be filled to the last byte, and not one byte further."""
    session = await created(heidi)

    async def say(content: str, key: str) -> httpx.Response:
        return await heidi.post(
            f"/api/chat/{session['id']}/messages",
            json={"content": content},
            headers={"Idempotency-Key": key},
        )

    async def size() -> int:
        stored = await lowered.stored(session["id"])
        assert stored is not None
        return stored[0].meta.size

    good(await say("x" * 5000, "1"), 201)  # the first gives the title as well
    before = await size()
    good(await say("x" * 5000, "2"), 201)
    beside = await size() - before - 5000
    left = SIZE - await size() - beside
    assert 128 < left < 8000  # a length that is written like 5000
    problem(await say("x" * (left + 1), "3"), 413, "SESSION_FULL")
    assert good(await heidi.get(f"/api/sessions/{session['id']}"))["revision"] == 3
    good(await say("x" * left, "4"), 201)
    assert await size() == SIZE
    problem(await say("x", "5"), 413, "SESSION_FULL")


async def test_a_user_may_have_so_many_sessions(
    heidi: httpx.AsyncClient, name: Callable[[str], str]
) -> None:
    """One more is TOO_MANY_SESSIONS, until one is deleted; a retry is answered all the same."""
    keys = [{"Idempotency-Key": f"key {n}"} for n in range(SESSIONS)]
    made = [
        good(await heidi.post("/api/sessions", json={}, headers=key), 201)["id"] for key in keys
    ]
    refused = await heidi.post("/api/sessions", json={"id": name("more")})
    problem(refused, 429, "TOO_MANY_SESSIONS")
    again = await heidi.post("/api/sessions", json={}, headers=keys[0])
    assert good(again, 201)["id"] == made[0]
    page = good(await heidi.get(f"/api/users/{name('heidi')}/sessions"))
    assert sorted(each["id"] for each in page["sessions"]) == sorted(made)
    good(await heidi.delete(f"/api/sessions/{made[1]}"), 204)
    good(await heidi.post("/api/sessions", json={"id": name("more")}), 201)


async def test_so_many_sessions_may_be_shared_with_a_user(
    lowered: System, heidi: httpx.AsyncClient, name: Callable[[str], str]
) -> None:
    """One more is TOO_MANY_SHARED, by a grant or a link, until the user leaves one."""
    bob = lowered.api(name("bob"))
    paths = [f"/api/sessions/{(await created(heidi))['id']}" for _ in range(SHARED + 1)]
    member = f"members/{name('bob')}"
    for path in paths[:SHARED]:
        good(await heidi.put(f"{path}/{member}", json={"role": "viewer"}))
    refused = await heidi.put(f"{paths[-1]}/{member}", json={"role": "viewer"})
    assert problem(refused, 429, "TOO_MANY_SHARED")["retryable"] is False
    good(await heidi.put(f"{paths[0]}/{member}", json={"role": "editor"}))  # they have this one
    link = good(await heidi.post(f"{paths[-1]}/links", json={"role": "editor"}), 201)
    join = {"secret": link["secret"]}
    problem(await bob.post(f"{paths[-1]}/join", json=join), 429, "TOO_MANY_SHARED")
    problem(
        await bob.post(f"{paths[-1]}/join", json={"secret": "x" * 43}), 404, "SESSION_NOT_FOUND"
    )
    page = f"/api/users/{name('bob')}/sessions"
    assert len(good(await bob.get(page))["sessions"]) == SHARED
    good(await bob.delete(f"{paths[0]}/{member}"), 204)
    good(await bob.post(f"{paths[-1]}/join", json=join))
    assert len(good(await bob.get(page))["sessions"]) == SHARED


async def test_a_user_may_change_things_so_fast(
    lowered: System, heidi: httpx.AsyncClient, name: Callable[[str], str]
) -> None:
    """Beyond the burst: 429, with the time to come back, for this user alone; reads go on."""
    session = await created(heidi)
    path, chat = f"/api/sessions/{session['id']}", f"/api/chat/{session['id']}"
    for _ in range(BURST // 2):
        good(await heidi.put(f"{path}/resume"))
        good(await heidi.patch(path, json={}))
    before = good(await heidi.get(path))
    for answer in (
        await heidi.post(f"{chat}/messages", json={"content": "x"}),
        await heidi.put(f"{path}/pause"),
        await heidi.delete(path),
    ):
        assert problem(answer, 429, "RATE_LIMITED")["retryable"] is True
        assert 1 <= int(answer.headers["retry-after"]) <= 50
    assert good(await heidi.get(path)) == before
    service = lowered.api("backend", role="service", acting_for=name("heidi"))
    good(await service.post(f"{chat}/messages", json={"content": "x"}), 201)
    ivan = lowered.api(name("ivan"))
    other = await created(ivan)
    good(await ivan.post(f"/api/chat/{other['id']}/messages", json={"content": "x"}), 201)


async def test_limits_of_fields_are_settings_too(heidi: httpx.AsyncClient) -> None:
    """One value less than the default, at the border."""
    assert bad_fields(await heidi.post("/api/sessions", json={"title": "x" * 11})) == ["title"]
    session = good(await heidi.post("/api/sessions", json={"title": "x" * 10}), 201)
    chat = f"/api/chat/{session['id']}"
    answer = await heidi.post(f"{chat}/messages", json={"content": "x" * 8001})
    assert bad_fields(answer) == ["content"]
    good(await heidi.post(f"{chat}/messages", json={"content": "x" * 8000}), 201)
