"""What is told while a part is gone, and that all goes on by itself when it is back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from cluster.etcd_binary import EtcdBinary
from cluster.topology import Topology
from tests.e2e.answers import good, problem
from tests.e2e.system import NOBODY, System, prepared, running, until
from tests.e2e.writing import Writer

PARTS = ("etcd-1", "store-1", "store-2", "live-1", "gateway-1")
# An outage shall be told soon, and outlast a registration.
IMPATIENT = {
    "store": {"SESSIOND_LEASE_TTL_SECONDS": "2"},
    "live": {"SESSIOND_ANSWER_SECONDS": "2"},
    "gateway": {"SESSIOND_UPSTREAM_SECONDS": "3"},
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def two_stores(
    etcd_binary: EtcdBinary, ports: Iterator[int], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[System]:
    """Two Stores on one etcd."""
    home = tmp_path_factory.mktemp("outages")
    topology = Topology.anywhere(ports, stores=2, settings=IMPATIENT)
    async with running(topology, home, etcd_binary) as started:
        yield started


@pytest_asyncio.fixture
async def grace(two_stores: System, name: Callable[[str], str]) -> AsyncIterator[httpx.AsyncClient]:
    """A user of that system; every part of it is up again when the test ends, however it did."""
    cluster = two_stores.cluster
    yield two_stores.api(name("grace"))
    for part in PARTS:
        if cluster.running(part):
            cluster.resume(part)
            await cluster.ready(part)
        else:
            await cluster.start(part)


async def status_of(system: System, part: str, page: str) -> int:
    """Return the status of a part's /healthz or /readyz; 0 where nobody answers."""
    url = system.cluster.part(part).ready_url.replace("/readyz", page)
    async with httpx.AsyncClient(trust_env=False, verify=NOBODY) as client:
        try:
            return (await client.get(url)).status_code
        except httpx.TransportError:
            return 0


async def test_store_waits_for_an_etcd_that_is_not_there_yet(
    etcd_binary: EtcdBinary, ports: Iterator[int], tmp_path: Path
) -> None:
    """It says so, lives without being ready, and is ready when etcd comes; so are the others."""
    system = prepared(Topology.anywhere(ports), tmp_path, etcd_binary)
    cluster = system.cluster
    others = ("store-1", "live-1", "gateway-1")
    starting: list[asyncio.Task[None]] = []
    try:
        starting = [asyncio.create_task(cluster.start(part)) for part in others]

        async def says_so() -> bool:
            return any(
                "etcd does not answer; trying again" in line
                and system.cluster.address("etcd-1") in line
                for line in system.log("store-1").splitlines()
            )

        await until(says_so)
        for part in others:

            async def lives(part: str = part) -> bool:
                return await status_of(system, part, "/healthz") == 200

            await until(lives)
            assert await status_of(system, part, "/readyz") == 503
        client = system.api("alice")
        answer = await client.get("/api/sessions/x")
        problem(answer, 503, "UNAVAILABLE")
        assert int(answer.headers["retry-after"]) >= 1
        problem(await client.post("/api/sessions", json={"id": "x"}), 503, "UNAVAILABLE")
        assert not any(task.done() for task in starting)
        await cluster.start("etcd-1")
        await asyncio.gather(*starting)
        assert '"event":"etcd answers"' in system.log("store-1")
        session = good(await client.post("/api/sessions", json={"id": "x"}), 201)
        good(await client.post("/api/chat/x/messages", json={"content": "At last"}), 201)
        assert session["revision"] == 1
    finally:
        for task in starting:
            task.cancel()
        await asyncio.gather(*starting, return_exceptions=True)
        await cluster.__aexit__(None, None, None)
        await system.close()


@pytest.mark.parametrize("how", ["killed", "stopped"])
async def test_an_etcd_that_is_gone_is_told_and_comes_back(
    two_stores: System, grace: httpx.AsyncClient, how: str
) -> None:
    """Reads say UNAVAILABLE; changes say whether they are unknown, and keep to it afterwards."""
    system, cluster = two_stores, two_stores.cluster
    held = good(await grace.post("/api/sessions", json={"workflowId": "chat"}), 201)
    cold = good(await grace.post("/api/sessions", json={"workflowId": "chat"}), 201)
    others = [part for part in PARTS if part != "etcd-1"]
    pids = [cluster.pid(part) for part in others]
    async with Writer(grace, held["id"]) as writer:
        await writer.goes_on()
        if how == "killed":
            await cluster.kill("etcd-1")
        else:
            cluster.suspend("etcd-1")
        await writer.is_told("OUTCOME_UNKNOWN")
        *reads, untouched, creating = await asyncio.gather(
            grace.get(f"/api/sessions/{held['id']}"),
            grace.get(f"/api/chat/{held['id']}/messages"),
            grace.get(f"/api/users/{held['userId']}/sessions"),
            grace.post(f"/api/chat/{cold['id']}/messages", json={"content": "x"}),
            grace.post("/api/sessions", json={"title": how}, headers={"Idempotency-Key": how}),
        )
        for answer in reads:
            problem(answer, 503, "UNAVAILABLE")
            assert int(answer.headers["retry-after"]) >= 1
        for answer in (untouched, creating):
            problem(answer, 503, answer.json()["code"])
            assert answer.json()["code"] in ("UNAVAILABLE", "OUTCOME_UNKNOWN")
        if how == "killed":
            await cluster.start("etcd-1")
        else:
            cluster.resume("etcd-1")
        await writer.goes_on()
    await asyncio.gather(*map(cluster.ready, others))
    await writer.check(system)
    assert [cluster.pid(part) for part in others] == pids
    repeated = await grace.post(
        "/api/sessions", json={"title": how}, headers={"Idempotency-Key": how}
    )
    assert good(repeated, 201)["title"] == how
    stored = good(await grace.get(f"/api/sessions/{cold['id']}"))
    if untouched.json()["code"] == "UNAVAILABLE":
        assert stored["revision"] == 1


async def test_a_store_that_is_gone_is_replaced_by_the_other(
    two_stores: System, grace: httpx.AsyncClient
) -> None:
    """Changes and reads go on, and none of them fails."""
    cluster = two_stores.cluster
    session = good(await grace.post("/api/sessions", json={"workflowId": "chat"}), 201)
    async with Writer(grace, session["id"]) as writer:
        for part in ("store-1", "store-2"):
            await writer.goes_on()
            await cluster.kill(part)
            await writer.goes_on(messages=20)
            good(await grace.get(f"/api/sessions/{session['id']}?tail=0"))
            await cluster.start(part)
    assert (writer.unknown, writer.refused) == (set(), set())
    await writer.check(two_stores)


async def test_live_and_gateway_recover_from_the_loss_of_every_store(
    two_stores: System, grace: httpx.AsyncClient
) -> None:
    """They are not ready meanwhile, neither is started anew, and both stop in peace afterwards."""
    cluster = two_stores.cluster
    session = good(await grace.post("/api/sessions", json={"workflowId": "chat"}), 201)
    pids = [cluster.pid(part) for part in ("live-1", "gateway-1")]
    async with Writer(grace, session["id"]) as writer:
        await writer.goes_on()
        await asyncio.gather(cluster.kill("store-1"), cluster.kill("store-2"))
        await writer.is_told("OUTCOME_UNKNOWN")
        problem(await grace.get(f"/api/sessions/{session['id']}"), 503, "UNAVAILABLE")
        for part in ("live-1", "gateway-1"):

            async def is_not_ready(part: str = part) -> bool:
                return await status_of(two_stores, part, "/readyz") == 503

            await until(is_not_ready)
            assert await status_of(two_stores, part, "/healthz") == 200
        await asyncio.gather(cluster.start("store-1"), cluster.start("store-2"))
        await writer.goes_on()
    await asyncio.gather(*map(cluster.ready, PARTS))
    assert [cluster.pid(part) for part in ("live-1", "gateway-1")] == pids
    await writer.check(two_stores)
    assert [await cluster.stop(part) for part in ("gateway-1", "live-1")] == [0, 0]
