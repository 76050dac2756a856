"""One real etcd for these tests, a client of it, and a prefix of its own for each."""

from __future__ import annotations

import itertools
import random
from collections.abc import AsyncIterator, Callable

import pytest

from services.store.etcd.client import EtcdClient
from tests.etcd.relay import Relay
from tests.etcd.servers import Member, members, until_ready


@pytest.fixture(scope="session")
async def member() -> AsyncIterator[Member]:
    """One etcd for the whole run, to which no test does harm."""
    arguments = ("--experimental-watch-progress-notify-interval", "200ms")
    async with members(1, *arguments) as (only,):
        await until_ready(only.address)
        yield only


@pytest.fixture
async def client(member: Member) -> AsyncIterator[EtcdClient]:
    """Return a client of that etcd."""
    async with EtcdClient([member.address], rng=random.Random(7)) as made:
        yield made


@pytest.fixture(scope="session")
def _numbers() -> Callable[[], int]:
    return itertools.count().__next__


@pytest.fixture
def prefix(_numbers: Callable[[], int]) -> bytes:
    """Return a key prefix that no other test uses."""
    return b"test%d/" % _numbers()


@pytest.fixture
async def relay(member: Member) -> AsyncIterator[Relay]:
    """Return a way to that etcd that can be cut."""
    async with Relay(member.address) as made:
        yield made
