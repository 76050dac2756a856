"""One system of real processes for all tests that leave it whole; the others start their own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

import httpx
import pytest
import pytest_asyncio

from cluster.etcd_binary import EtcdBinary
from cluster.topology import Topology
from tests.e2e.answers import good
from tests.e2e.kept import Kept
from tests.e2e.system import System, running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def system(
    etcd_binary: EtcdBinary, ports: Iterator[int], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[System]:
    """One of each part; leave it as healthy as it was."""
    home = tmp_path_factory.mktemp("system")
    async with running(Topology.anywhere(ports), home, etcd_binary) as started:
        yield started


@pytest.fixture
def alice(system: System, name: Callable[[str], str]) -> httpx.AsyncClient:
    """A user whom nobody else is."""
    return system.api(name("alice"))


@pytest.fixture
def bob(system: System, name: Callable[[str], str]) -> httpx.AsyncClient:
    """Another one."""
    return system.api(name("bob"))


@pytest_asyncio.fixture
async def kept(alice: httpx.AsyncClient, name: Callable[[str], str]) -> AsyncIterator[Kept]:
    """A session with a message and a pending output; after the test it is as it was before."""
    body = {"id": name("kept"), "metadata": {"a": "b"}}
    session = good(await alice.post("/api/sessions", json=body), 201)
    found = Kept(alice, name("alice"), session["id"])
    good(await alice.post(f"{found.chat}/messages", json={"content": "x"}), 201)
    output = {"content": "x", "outputId": "plan"}
    good(await alice.post(f"{found.chat}/outputs", json=output), 201)
    before = await found.now()
    yield found
    assert await found.now() == before
