"""A part that is asked to stop finishes what is under way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import pytest_asyncio

from cluster.etcd_binary import EtcdBinary
from cluster.topology import Topology
from sessiond.v1.live_pb2 import AppendMessageRequest
from sessiond.v1.store_pb2 import CreateSessionRequest, GetSessionRequest
from tests.e2e.answers import good
from tests.e2e.relayed import Relayed, relayed_system
from tests.e2e.system import until

OURS = ("store-1", "live-1", "gateway-1")


OURS = ("store-1", "live-1", "gateway-1")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def drained(
    etcd_binary: EtcdBinary, ports: Iterator[int], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Relayed]:
    """A system whose calls can be held back; leave every part up."""
    home = tmp_path_factory.mktemp("drained")
    async with relayed_system(Topology.anywhere(ports), home, etcd_binary) as started:
        yield started


@pytest.mark.parametrize(
    ("part", "hop"),
    [
        ("gateway-1", "gateway to live"),
        ("live-1", "live to store"),
        ("store-1", "store to etcd"),
    ],
)
async def test_a_stopping_part_finishes_what_is_under_way(
    drained: Relayed, name: Callable[[str], str], part: str, hop: str
) -> None:
    """After SIGTERM it is not ready, lets the held call end well, and leaves with exit code 0."""
    system, relay, user = drained.system, drained.hops[hop], name("kim")
    client, metadata = system.api(user), system.calling(user)
    session_id = name("drain")
    good(await client.post("/api/sessions", json={"id": session_id, "workflowId": "chat"}), 201)
    good(await client.post(f"/api/chat/{session_id}/messages", json={"content": "first"}), 201)

    async def held() -> int:
        if part == "gateway-1":
            body = {"content": "under way"}
            answer = await client.post(f"/api/chat/{session_id}/messages", json=body)
            return int(good(answer, 201)["seq"])
        if part == "live-1":
            said = AppendMessageRequest(session_id=session_id, content="under way")
            stored: Any = await system.live().AppendMessage(said, metadata=metadata, timeout=30)
            return int(stored.seq)
        asked = CreateSessionRequest(id=f"{session_id}-2", title="under way")
        created: Any = await system.store().CreateSession(asked, metadata=metadata, timeout=30)
        return int(created.seq)

    relay.hold(f"{session_id}-2" if part == "store-1" else "under way")
    call = asyncio.create_task(held())
    await asyncio.wait_for(relay.holding.wait(), 10)
    seen = len(system.log(part))
    stopping = asyncio.create_task(system.cluster.stop(part))

    async def drains() -> bool:
        return '"event":"draining"' in system.log(part)[seen:]

    await until(drains)
    assert not call.done()
    assert not stopping.done()
    relay.release()
    assert await asyncio.wait_for(call, 20) == (1 if part == "store-1" else 3)
    assert await asyncio.wait_for(stopping, 20) == 0
    assert '"level":"error"' not in system.log(part)[seen:]
    await system.cluster.start(part)
    for each in OURS:
        await system.cluster.ready(each)
    loaded = await system.store().GetSession(
        GetSessionRequest(session_id=session_id), metadata=metadata, timeout=10
    )
    assert loaded.session.revision == (2 if part == "store-1" else 3)
