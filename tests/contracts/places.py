"""The places that keep the contract, each with the few handles that a test needs beside it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.store.etcd.client import EtcdClient
from services.store.etcd.repository import EtcdRepository
from services.store.etcd.transactions import read
from services.store.keys import Keys
from services.store.memory import MemoryRepository
from services.store.repository import Repository


class Place(ABC):
    """A repository, and what happens to one without being asked for."""

    repository: Repository

    @abstractmethod
    async def expire(self, instance: bytes) -> None:
        """End a registration as if no heartbeat had come in time."""

    @abstractmethod
    async def lapse(self, job: str) -> None:
        """End the hold of a job as if it had not been prolonged in time."""

    @abstractmethod
    async def compact(self) -> None:
        """Forget all history before the present revision."""


class MemoryPlace(Place):
    """The in-memory reference."""

    def __init__(self) -> None:
        self.memory = self.repository = MemoryRepository()

    async def expire(self, instance: bytes) -> None:
        self.memory.expire(instance)

    async def lapse(self, job: str) -> None:
        self.memory.expire_job(job)

    async def compact(self) -> None:
        self.memory.compact()


class EtcdPlace(Place):
    """A namespace of a real etcd, seen through a client of its own."""

    def __init__(self, etcd: EtcdClient, repository: EtcdRepository, namespace: str) -> None:
        self.etcd = etcd
        self.repository = repository
        self.namespace = namespace

    async def expire(self, instance: bytes) -> None:
        _, standing = await self.repository.instances()
        (lease,) = [one.lease for one in standing if one.instance == instance]
        await self.etcd.lease_revoke(lease)

    async def lapse(self, job: str) -> None:
        found = await self.etcd.range(read(Keys(self.namespace).job(job)))
        await self.etcd.lease_revoke(found.kvs[0].lease)

    async def compact(self) -> None:
        revision = (await self.etcd.put(f"{self.namespace}test".encode(), b"")).header.revision
        await self.etcd.compact(revision)


@asynccontextmanager
async def memory() -> AsyncIterator[Place]:
    """Give an empty in-memory repository."""
    yield MemoryPlace()


@asynccontextmanager
async def on_etcd(address: str, namespace: str) -> AsyncIterator[EtcdPlace]:
    """Give an empty namespace of the etcd at this address."""
    async with (
        EtcdClient([address]) as etcd,
        EtcdRepository(etcd, namespace=namespace) as repository,
    ):
        yield EtcdPlace(etcd, repository, namespace)
