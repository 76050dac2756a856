"""Every test of the contract runs on the in-memory reference, and on a real etcd."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from cluster.etcd import Place as Ports
from cluster.etcd import etcd_parts
from cluster.etcd_binary import EtcdBinary
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


@pytest.fixture
async def own_etcd(
    etcd_binary: EtcdBinary, ports: Iterator[int], tmp_path: Path
) -> AsyncIterator[Cluster]:
    """Run an etcd of its own, for a test that stops or fills it; its database holds 8 MiB."""
    place = Ports(next(ports), next(ports))
    parts = etcd_parts(etcd_binary, [place], tmp_path, os.environ, quota_bytes=8 * 2**20)
    async with Cluster([parts], logs=tmp_path) as cluster:
        yield cluster
