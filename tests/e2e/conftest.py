"""Systems of real processes: one for all tests that leave it whole, and a factory for the rest."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol

import httpx
import pytest
import pytest_asyncio

from cluster.etcd_binary import EtcdBinary
from cluster.topology import Topology
from tests.e2e.system import System, running


class Start(Protocol):
    """Starts a system of the test's own."""

    async def __call__(
        self,
        *,
        stores: int = 1,
        lives: int = 1,
        gateways: int = 1,
        settings: Mapping[str, Mapping[str, str]] | None = None,
    ) -> System: ...


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def system(
    etcd_binary: EtcdBinary, ports: Iterator[int], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[System]:
    """One of each part; leave it as healthy as it was."""
    home = tmp_path_factory.mktemp("system")
    async with running(Topology.anywhere(ports), home, etcd_binary) as started:
        yield started


@pytest_asyncio.fixture
async def start(
    etcd_binary: EtcdBinary, ports: Iterator[int], tmp_path: Path
) -> AsyncIterator[Start]:
    """Start systems that end with the test; what is done to them harms nobody else."""
    async with AsyncExitStack() as stack:

        async def started(
            *,
            stores: int = 1,
            lives: int = 1,
            gateways: int = 1,
            settings: Mapping[str, Mapping[str, str]] | None = None,
        ) -> System:
            topology = Topology.anywhere(
                ports, stores=stores, lives=lives, gateways=gateways, settings=settings
            )
            home = tmp_path / secrets.token_hex(4)
            return await stack.enter_async_context(running(topology, home, etcd_binary))

        yield started


@pytest.fixture
def name() -> Callable[[str], str]:
    """Give names that no other test uses: `name("alice")`."""
    suffix = secrets.token_hex(4)
    return lambda word: f"{word}-{suffix}"


@pytest.fixture
def alice(system: System, name: Callable[[str], str]) -> httpx.AsyncClient:
    """A user whom nobody else is."""
    return system.api(name("alice"))


@pytest.fixture
def bob(system: System, name: Callable[[str], str]) -> httpx.AsyncClient:
    """Another one."""
    return system.api(name("bob"))
