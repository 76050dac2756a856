"""The change feed on real processes: by REST and by the client library."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import httpx
import pytest
import pytest_asyncio

from cluster.etcd_binary import EtcdBinary
from cluster.topology import Topology
from services.serving.addresses import HostPort
from services.store.etcd.client import EtcdClient
from sessiond import Client
from tests.e2e.answers import bad_fields, good, problem
from tests.e2e.system import System, running
from tests.gateway.listeners import Listener, listening

CHANGES = "/api/changes"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def replicas(
    etcd_binary: EtcdBinary, ports: Iterator[int], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[System]:
    """Two Stores, and one of all else."""
    topology = Topology.anywhere(ports, stores=2)
    async with running(topology, tmp_path_factory.mktemp("changes"), etcd_binary) as started:
        yield started


def gateway(system: System) -> HostPort:
    return HostPort.parse(system.cluster.address("gateway-1"))


def of(system: System, user: str, role: str | None = None) -> dict[str, str]:
    token = system.keys.user_token(user, role=role)
    return {"Authorization": f"Bearer {token}"}


def seqs(listener: Listener, session_id: str) -> list[int]:
    events = [each["changed"]["event"] for each in listener.of("changed")]
    return [event["seq"] for event in events if event["sessionId"] == session_id]


async def create(api: httpx.AsyncClient, session_id: str) -> None:
    good(await api.post("/api/sessions", json={"id": session_id, "workflowId": "chat"}), 201)


async def say(api: httpx.AsyncClient, session_id: str, count: int) -> None:
    for number in range(count):
        path = f"/api/chat/{session_id}/messages"
        good(await api.post(path, json={"content": str(number)}), 201)


async def test_a_service_follows_everybody_and_resumes(
    system: System, alice: httpx.AsyncClient, bob: httpx.AsyncClient, name: Callable[[str], str]
) -> None:
    """Each change of both, and after a break what came since; then the deletion."""
    one, other = name("one"), name("other")
    service = of(system, "indexer", "service")
    async with listening(gateway(system), CHANGES, headers=service) as listener:
        await listener.hears("moved")
        await create(alice, one)
        await create(bob, other)
        await say(alice, one, 2)
        await listener.until(lambda heard: 3 in seqs(heard, one) and seqs(heard, other))
    assert seqs(listener, one) == [1, 2, 3]
    assert seqs(listener, other) == [1]
    await say(bob, other, 1)
    good(await alice.delete(f"/api/sessions/{one}"), 204)
    resumed = service | {"Last-Event-ID": listener.last_id}
    async with listening(gateway(system), CHANGES, headers=resumed) as again:
        await again.until(
            lambda heard: any(each["deleted"]["sessionId"] == one for each in heard.of("deleted"))
        )
    assert seqs(again, other) == [2]
    assert seqs(again, one) == []


async def test_after_a_compaction_nothing_is_missing(
    system: System, alice: httpx.AsyncClient, name: Callable[[str], str]
) -> None:
    """The changes since, and the deletions."""
    kept, gone = name("kept"), name("gone")
    await create(alice, kept)
    await create(alice, gone)
    await say(alice, kept, 1)
    service = of(system, "indexer", "service")
    path = f"{CHANGES}?userId={name('alice')}"
    async with listening(gateway(system), path, headers=service) as listener:
        await listener.hears("moved")
    await say(alice, kept, 2)
    good(await alice.delete(f"/api/sessions/{gone}"), 204)
    async with EtcdClient([system.cluster.address("etcd-1")]) as etcd:
        revision = (await etcd.put(b"test", b"")).header.revision
        await etcd.compact(revision)
    resumed = service | {"Last-Event-ID": listener.last_id}
    async with listening(gateway(system), path, headers=resumed) as again:
        await again.until(lambda heard: 4 in seqs(heard, kept))
        assert seqs(again, kept) == [3, 4]
        assert gone in {each["deleted"]["sessionId"] for each in again.of("deleted")}
        await say(alice, kept, 1)
        await again.until(lambda heard: 5 in seqs(heard, kept))
    assert again.of("reset") == []


async def test_who_may_not_follow_is_refused(
    system: System, alice: httpx.AsyncClient, name: Callable[[str], str]
) -> None:
    """Users, agents, and services that act for somebody."""
    problem(await alice.get(CHANGES), 403, "PERMISSION_DENIED")
    acting = system.api("crm", role="service", acting_for=name("alice"))
    problem(await acting.get(CHANGES), 403, "PERMISSION_DENIED")
    agent = system.api("worker", role="agent", agents=["assistant"])
    problem(await agent.get(CHANGES), 403, "PERMISSION_DENIED")
    async with httpx.AsyncClient(trust_env=False) as nobody:
        answer = await nobody.get(f"http://{gateway(system)}{CHANGES}")
    problem(answer, 401, "UNAUTHENTICATED")


async def test_bad_filters_and_cursors_are_named(system: System) -> None:
    """As the query names them."""
    admin = system.api("root", role="admin")
    many = "&".join(f"userId=u{n}" for n in range(65))
    for query, field in (
        ("eventType=nothing_happened", "eventType"),
        ("userId=", "userId"),
        (many, "userId"),
        ("cursor=nonsense", "cursor"),
    ):
        assert bad_fields(await admin.get(f"{CHANGES}?{query}")) == [field]


async def test_a_client_outlives_a_store(replicas: System) -> None:
    """The feed goes on at the other Store; nothing is missing, and each session is in order."""
    api = replicas.api("alice")
    token = replicas.keys.user_token("root", role="admin")
    found: list[int] = []
    async with (
        Client(
            live=replicas.cluster.addresses("live"),
            store=replicas.cluster.addresses("store"),
            token=token,
        ) as client,
        asyncio.timeout(60),
    ):
        feed = client.changes(event_types=["message_appended"])
        assert (await anext(feed)).HasField("moved")
        await create(api, "followed")
        writing = asyncio.create_task(say(api, "followed", 40))
        try:
            async for response in feed:
                if response.HasField("changed"):
                    found.append(response.changed.event.seq)
                if len(found) == 5:
                    for store in ("store-1", "store-2"):
                        await replicas.cluster.restart(store)
                if 41 in found:
                    break
        finally:
            await feed.aclose()
            await writing
    assert sorted(set(found)) == list(range(2, 42))
    assert found == sorted(found)
