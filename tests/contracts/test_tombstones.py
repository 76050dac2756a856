"""Tombstones in etcd: on a lease of a day, which half an hour's deletions share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from services.store.etcd.repository import EtcdRepository
from services.store.etcd.transactions import read
from services.store.writes import Committed
from tests.contracts.chats import creation, listed, new_chat, register
from tests.contracts.places import EtcdPlace

HOUR = 3600


@dataclass
class Clock:
    seconds: float = 1000.0

    def __call__(self) -> float:
        return self.seconds


@asynccontextmanager
async def timed(place: EtcdPlace, clock: Clock) -> AsyncIterator[EtcdRepository]:
    """Give a repository on the same data, with a clock of the test."""
    async with EtcdRepository(place.etcd, namespace=place.namespace, clock=clock) as repository:
        yield repository


async def deleted(repository: EtcdRepository, place: EtcdPlace, session_id: str) -> int:
    """Make and delete a session, and return the lease of its tombstone."""
    chat = await new_chat(repository, session_id)
    assert await repository.delete(chat.deletion()) == Committed()
    found = await place.etcd.range(read(f"{place.namespace}session:{session_id}".encode()))
    return found.kvs[0].lease


async def test_half_an_hours_deletions_share_a_lease(etcd_place: EtcdPlace) -> None:
    """Then another: each tombstone stands half an hour longer than a cursor is good for."""
    clock = Clock()
    async with timed(etcd_place, clock) as repository:
        first = await deleted(repository, etcd_place, "s1")
        clock.seconds += HOUR / 2 - 1
        assert await deleted(repository, etcd_place, "s2") == first
        clock.seconds += 1
        second = await deleted(repository, etcd_place, "s3")
    assert second != first
    for lease in (first, second):
        assert (await etcd_place.etcd.time_to_live(lease)).grantedTTL == 25 * HOUR


async def test_an_id_is_free_when_its_tombstone_has_gone(etcd_place: EtcdPlace) -> None:
    """After its time nothing is left of a deleted session, and the id may be used again."""
    async with timed(etcd_place, Clock()) as repository:
        lease = await deleted(repository, etcd_place, "abc")
        await etcd_place.etcd.lease_revoke(lease)
        assert await repository.snapshot("abc") is None
        assert await repository.create(creation("abc")) == Committed()
        assert await listed(repository) == ["abc"]


async def test_a_lost_lease_does_not_stop_deletions(etcd_place: EtcdPlace) -> None:
    """When somebody revoked the shared lease, the next deletion makes another."""
    async with timed(etcd_place, Clock()) as repository:
        first = await deleted(repository, etcd_place, "s1")
        await etcd_place.etcd.lease_revoke(first)
        assert await deleted(repository, etcd_place, "s2") != first


async def test_what_says_where_a_tombstone_stands_goes_with_it(etcd_place: EtcdPlace) -> None:
    """It hangs on the same lease."""
    async with timed(etcd_place, Clock()) as repository:
        lease = await deleted(repository, etcd_place, "abc")
        mark = read(f"{etcd_place.namespace}deleted:abc".encode())
        assert [kv.lease for kv in (await etcd_place.etcd.range(mark)).kvs] == [lease]
        await etcd_place.etcd.lease_revoke(lease)
        assert not (await etcd_place.etcd.range(mark)).kvs


async def test_a_new_session_hangs_on_no_lease(etcd_place: EtcdPlace) -> None:
    """Only tombstones and registrations end by themselves."""
    repository = etcd_place.repository
    chat = await new_chat(repository, "abc", agent="planner", instance=await register(repository))
    await chat.write(repository, chat.commit(b"two", outputs=b"table"))
    span = f"{etcd_place.namespace}session:".encode(), f"{etcd_place.namespace}session;".encode()
    found = await etcd_place.etcd.range(read(*span))
    assert {kv.lease for kv in found.kvs} == {0}
