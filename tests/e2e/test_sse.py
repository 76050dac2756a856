"""Server-sent events on real processes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

import httpx
import pytest
import pytest_asyncio

from cluster.etcd_binary import EtcdBinary
from cluster.topology import Topology
from services.serving.addresses import HostPort
from tests.e2e.answers import good, problem
from tests.e2e.places import placed_on, places
from tests.e2e.system import System, running
from tests.gateway.listeners import listening

LIVES = ("live-1", "live-2")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def replicas(
    etcd_binary: EtcdBinary, ports: Iterator[int], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[System]:
    """Two Lives, two Stores and a gateway; whoever stops one starts it again."""
    topology = Topology.anywhere(ports, stores=2, lives=2)
    async with running(topology, tmp_path_factory.mktemp("events"), etcd_binary) as started:
        yield started


def gateway(system: System) -> HostPort:
    return HostPort.parse(system.cluster.address("gateway-1"))


def authorized(api: httpx.AsyncClient) -> dict[str, str]:
    return {"Authorization": api.headers["Authorization"]}


async def test_a_session_is_followed_and_resumed(
    system: System, alice: httpx.AsyncClient, name: Callable[[str], str]
) -> None:
    """A snapshot, then events; and by Last-Event-ID what came since, without another snapshot."""
    session_id = name("sse")
    body = {"id": session_id, "workflowId": "chat"}
    good(await alice.post("/api/sessions", json=body), 201)
    path, say = f"/api/sessions/{session_id}/events", f"/api/chat/{session_id}/messages"
    headers = authorized(alice)
    async with listening(gateway(system), path, headers=headers) as listener:
        await listener.hears("caughtUp")
        good(await alice.post(say, json={"content": "one"}), 201)
        await listener.hears("event")
    good(await alice.post(say, json={"content": "two"}), 201)
    headers["Last-Event-ID"] = listener.last_id
    async with listening(gateway(system), path, headers=headers) as again:
        await again.hears("caughtUp")
        good(await alice.delete(f"/api/sessions/{session_id}"), 204)
        await again.ends()
    (event,) = again.of("event")
    assert event["event"]["messageAppended"]["message"]["content"] == "two"
    assert again.of("snapshot") == []
    goaway = again.events[-1].data["goaway"]
    assert (goaway["reason"], goaway["reconnect"]) == ("SESSION_NOT_FOUND", False)
    problem(await alice.get(path), 404, "SESSION_NOT_FOUND")


async def test_another_users_session_is_a_plain_404_and_list_a_403(
    system: System,
    alice: httpx.AsyncClient,
    bob: httpx.AsyncClient,
    name: Callable[[str], str],
) -> None:
    """As everywhere else in REST."""
    session_id = name("private")
    good(await alice.post("/api/sessions", json={"id": session_id}), 201)
    problem(await bob.get(f"/api/sessions/{session_id}/events"), 404, "SESSION_NOT_FOUND")
    problem(await bob.get(f"/api/users/{name('alice')}/events"), 403, "PERMISSION_DENIED")


async def test_a_list_is_followed_and_resumed(
    system: System, alice: httpx.AsyncClient, name: Callable[[str], str]
) -> None:
    """All there is, then each change; and by Last-Event-ID the changes since."""
    path, headers = f"/api/users/{name('alice')}/events", authorized(alice)
    first, second = name("first"), name("second")
    good(await alice.post("/api/sessions", json={"id": first}), 201)
    async with listening(gateway(system), path, headers=headers) as listener:
        await listener.hears("listed")
        assert [each["session"]["id"] for each in listener.of("session")] == [first]
        good(await alice.post("/api/sessions", json={"id": second, "title": "x"}), 201)
        assert (await listener.hears("session", 2))["session"]["title"] == "x"
    good(await alice.delete(f"/api/sessions/{first}"), 204)
    headers["Last-Event-ID"] = listener.last_id
    async with listening(gateway(system), path, headers=headers) as again:
        assert (await again.hears("removedId"))["removedId"] == first
    assert again.kinds == ["removedId"]


async def test_a_cursor_that_is_not_one_is_a_plain_400(
    system: System, alice: httpx.AsyncClient, name: Callable[[str], str]
) -> None:
    """Named as the client gave it."""
    answer = await alice.get(f"/api/users/{name('alice')}/events?cursor=nonsense")
    shown = problem(answer, 400, "INVALID_ARGUMENT")
    assert [each["field"] for each in shown["errors"]] == ["cursor"]


@pytest.mark.parametrize("how", ["kill", "stop"])
async def test_readers_outlive_lives_and_stores(
    replicas: System, name: Callable[[str], str], how: str
) -> None:
    """Neither stream breaks, misses anything, or tells it twice."""
    user = name("erin")
    api = replicas.api(user)
    (session_id,) = placed_on("live-1", await places(replicas, *LIVES), name(how))
    good(await api.post("/api/sessions", json={"id": session_id, "workflowId": "chat"}), 201)
    say, headers = f"/api/chat/{session_id}/messages", authorized(api)
    path = f"/api/sessions/{session_id}/events"
    async with (
        listening(gateway(replicas), path, headers=headers) as session,
        listening(gateway(replicas), f"/api/users/{user}/events", headers=headers) as sessions,
    ):
        await session.hears("caughtUp")
        await sessions.hears("listed")
        good(await api.post(say, json={"content": "before"}), 201)
        for part in ("live-1", "store-1"):
            await getattr(replicas.cluster, how)(part)
            good(await api.post(say, json={"content": part}), 201)
        await session.hears("event", 3)
        await sessions.until(
            lambda heard: heard.of("session")[-1]["session"]["lastMessage"] == "store-1"
        )
    assert [each["event"]["seq"] for each in session.of("event")] == [2, 3, 4]
    assert session.kinds.count("attached") == 1
    assert set(sessions.kinds) == {"session", "listed"}
    assert sessions.kinds.count("listed") == 1
    for part in ("store-1", "live-1"):
        await replicas.cluster.start(part)
        await replicas.cluster.ready(part)
