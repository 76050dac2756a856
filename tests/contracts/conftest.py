"""Every test of the contract runs on the in-memory reference, and on a real etcd."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from cluster.supervisor import Cluster
from services.store.repository import Repository
from tests.contracts.places import EtcdPlace, Place, memory, on_etcd


@pytest.fixture(params=["memory", "etcd"])
def kept_at(request: pytest.FixtureRequest) -> str | None:
    """Return the address of etcd, or None for the in-memory reference."""
    if request.param == "memory":
        return None
    cluster: Cluster = request.getfixturevalue("etcd")
    return cluster.address("etcd-1")


@pytest.fixture
async def place(kept_at: str | None, namespace: str) -> AsyncIterator[Place]:
    """Return an empty place that keeps sessions."""
    async with memory() if kept_at is None else on_etcd(kept_at, namespace) as place:
        yield place


@pytest.fixture
def repository(place: Place) -> Repository:
    """Return the repository of that place."""
    return place.repository


@pytest.fixture
async def etcd_place(etcd: Cluster, namespace: str) -> AsyncIterator[EtcdPlace]:
    """Return an empty namespace of a real etcd."""
    async with on_etcd(etcd.address("etcd-1"), namespace) as place:
        yield place
