"""What was acknowledged is there again, whatever ended and however."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from cluster.etcd_binary import EtcdBinary
from cluster.topology import Topology
from tests.e2e.answers import good
from tests.e2e.system import System, running
from tests.e2e.writing import Writer


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def restarted(
    etcd_binary: EtcdBinary, ports: Iterator[int], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[System]:
    """A system whose parts may be ended, if they are started again."""
    home = tmp_path_factory.mktemp("restarted")
    async with running(Topology.anywhere(ports), home, etcd_binary) as started:
        yield started


@pytest.fixture
def carol(restarted: System, name: Callable[[str], str]) -> httpx.AsyncClient:
    """A user of that system."""
    return restarted.api(name("carol"))


async def test_a_restart_of_everything_keeps_everything(
    restarted: System, carol: httpx.AsyncClient, name: Callable[[str], str]
) -> None:
    """Sessions, histories, outputs, lists and deletions come back as they were."""
    whole = good(await carol.post("/api/sessions", json={"userInputs": {"n": 1}}), 201)
    gone = good(await carol.post("/api/sessions", json={}), 201)
    chat = f"/api/chat/{whole['id']}"
    keyed: dict[str, Any] = {"json": {"content": "x"}, "headers": {"Idempotency-Key": "k"}}
    message = good(await carol.post(f"{chat}/messages", **keyed), 201)
    for _ in range(2):
        good(await carol.post(f"{chat}/outputs", json={"content": "Plan"}), 201)
        good(await carol.put(f"{chat}/approve"))
    good(await carol.post(f"{chat}/outputs", json={"content": "Next"}), 201)
    good(await carol.delete(f"/api/sessions/{gone['id']}"), 204)
    paths = [f"/api/sessions/{whole['id']}", f"/api/users/{name('carol')}/sessions"]
    before = [good(await carol.get(path)) for path in paths]
    for part in ("gateway-1", "live-1", "store-1"):
        assert await restarted.cluster.stop(part) == 0
    await restarted.cluster.stop("etcd-1")
    for part in ("etcd-1", "store-1", "live-1", "gateway-1"):
        await restarted.cluster.start(part)
    assert [good(await carol.get(path)) for path in paths] == before
    assert (await carol.get(f"/api/sessions/{gone['id']}")).status_code == 404
    assert good(await carol.post(f"{chat}/messages", **keyed), 201) == message
    assert good(await carol.put(f"{chat}/approve"))["currentStep"] == 3


@pytest.mark.parametrize("part", ["live-1", "store-1", "gateway-1", "etcd-1"])
async def test_a_killed_part_loses_no_acknowledged_message(
    restarted: System, carol: httpx.AsyncClient, part: str
) -> None:
    """SIGKILL under load: all acknowledged messages stand at their seqs, and nothing stands twice.

    What was told to be not stored is not, and what was left unknown is settled by its key.
    """
    session = good(await carol.post("/api/sessions", json={"workflowId": "chat"}), 201)
    async with Writer(carol, session["id"]) as writer:
        await writer.goes_on(messages=20)
        await restarted.cluster.kill(part)
        await restarted.cluster.start(part)
        await writer.goes_on(messages=20)
    await writer.check(restarted)
