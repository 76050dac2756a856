"""One system of real parts with an example agent, for all tests of the command."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import pytest_asyncio

from cluster.etcd_binary import EtcdBinary
from cluster.topology import Topology
from tests.cli.running import Command
from tests.e2e.system import System, running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def system(
    etcd_binary: EtcdBinary, ports: Iterator[int], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[System]:
    """One of each part, and an agent; leave it as healthy as it was."""
    home = tmp_path_factory.mktemp("commanded")
    topology = Topology.anywhere(ports, agents=1)
    async with running(topology, home, etcd_binary) as started:
        yield started


@pytest.fixture
def sessiond(system: System, name: Callable[[str], str]) -> Command:
    """The command, as a user whom nobody else is."""
    return Command(system, name("alice"))
