"""What every test may ask for: one real etcd for each worker, a key prefix, names of its own."""

from __future__ import annotations

import os
import random
import secrets
import signal
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import pytest_asyncio

from cluster.etcd import Place, etcd_parts
from cluster.etcd_binary import EtcdBinary, find_etcd, in_package
from cluster.ports import free_ports
from cluster.supervisor import Cluster

# A shell that starts this in its background ignores Ctrl-C for it, and so would every process that
# tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse tests of one id where workers divide them by that: all but one would not be run."""
    ids = [item.nodeid for item in session.items]
    if "PYTEST_XDIST_WORKER" in os.environ and len(set(ids)) < len(ids):
        twice = sorted({each for each in ids if ids.count(each) > 1})
        raise pytest.UsageError(f"several tests have one id; mark them `alone`: {twice}")


@pytest.fixture(scope="session")
def etcd_binary() -> EtcdBinary:
    """The etcd that `make run` would take."""
    return find_etcd(os.environ, in_package())


@pytest.fixture(scope="session")
def ports() -> Iterator[int]:
    """Free ports without end; each `next(ports)` gives another, which no other worker gives."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return (port for port in free_ports(random.SystemRandom()) if port % workers == worker)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def etcd(
    etcd_binary: EtcdBinary, ports: Iterator[int], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Cluster]:
    """One etcd for each worker, at `etcd.address("etcd-1")`; leave it as healthy as it was.

    Tests that stop, fill or break an etcd start one of their own.
    """
    home = tmp_path_factory.mktemp("etcd")
    place = Place(next(ports), next(ports))
    parts = etcd_parts(etcd_binary, [place], home, os.environ)
    async with Cluster([parts], logs=home) as cluster:
        yield cluster


@pytest.fixture
def namespace() -> str:
    """A key prefix that no other test uses."""
    return f"test-{secrets.token_hex(8)}/"


@pytest.fixture
def name() -> Callable[[str], str]:
    """Give names that no other test uses: `name("alice")`."""
    suffix = secrets.token_hex(4)
    return lambda word: f"{word}-{suffix}"
