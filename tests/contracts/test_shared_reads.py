"""Consensus reads share transactions, and nothing else."""

from __future__ import annotations

import asyncio

import pytest

from services.store.etcd import errors
from services.store.etcd.client import EtcdClient
from services.store.etcd.etcd_pb2 import RangeRequest
from services.store.etcd.reads import ConsensusReads
from services.store.etcd.transactions import ConsensusRead, read
from sessiond.errors import Unavailable
from tests.contracts.places import EtcdPlace


class Slow(EtcdClient):
    """A client whose consensus reads wait at a gate, and are counted."""

    def __init__(self, address: str) -> None:
        super().__init__([address])
        self.sizes: list[int] = []
        self.gate = asyncio.Event()
        self.failing = False

    async def consensus_range(
        self, *requests: RangeRequest, within: float | None = None
    ) -> ConsensusRead:
        self.sizes.append(len(requests))
        await self.gate.wait()
        if self.failing:
            raise errors.Unavailable("nobody answers")
        return await super().consensus_range(*requests, within=within)


@pytest.fixture
async def slow(etcd_place: EtcdPlace) -> Slow:
    """Return a client beside 200 keys, each of which holds its own name."""
    for number in range(200):
        await etcd_place.etcd.put(key(etcd_place, number), b"%d" % number)
    return Slow(etcd_place.etcd.endpoint)


def key(place: EtcdPlace, number: int) -> bytes:
    return f"{place.namespace}{number}".encode()


async def started(reads: ConsensusReads, place: EtcdPlace, count: int) -> list[asyncio.Task[bytes]]:
    """Let that many readers wait, each for its own key."""

    async def one(number: int) -> bytes:
        found = (await reads.read(read(key(place, number)))).first()
        assert found is not None
        return found.value

    tasks = [asyncio.create_task(one(number)) for number in range(count)]
    await asyncio.sleep(0)
    return tasks


async def test_readers_share_the_next_transaction(etcd_place: EtcdPlace, slow: Slow) -> None:
    """What arrives while one is in flight goes together, 60 at most, and each gets its own."""
    async with slow, ConsensusReads(slow) as reads:
        tasks = await started(reads, etcd_place, 1)
        await asyncio.sleep(0)
        assert slow.sizes == [1]
        tasks += (await started(reads, etcd_place, 200))[1:]
        slow.gate.set()
        assert await asyncio.gather(*tasks) == [b"%d" % number for number in range(200)]
        assert slow.sizes == [1, 60, 60, 60, 20]


async def test_the_requests_of_one_reader_stay_together(etcd_place: EtcdPlace, slow: Slow) -> None:
    """All that one asked for is answered at one revision."""
    async with slow, ConsensusReads(slow) as reads:
        requests = [read(key(etcd_place, number)) for number in range(40)]
        waiting = [asyncio.create_task(reads.read(*requests)) for _ in range(3)]
        slow.gate.set()
        for found in await asyncio.gather(*waiting):
            values = [answer.kvs[0].value for answer in found.answers]
            assert values == [b"%d" % number for number in range(40)]
        assert slow.sizes == [40, 40, 40]


async def test_a_read_is_never_older_than_its_call(etcd_place: EtcdPlace, slow: Slow) -> None:
    """Who asks while a read is in flight waits for the next one, and sees what was written."""
    async with slow, ConsensusReads(slow) as reads:
        (early,) = await started(reads, etcd_place, 1)
        await asyncio.sleep(0)
        written = await etcd_place.etcd.put(key(etcd_place, 0), b"new")
        late = asyncio.create_task(reads.read(read(key(etcd_place, 0))))
        await asyncio.sleep(0)
        slow.gate.set()
        found = await late
        await early
        assert found.revision >= written.header.revision
        assert found.answers[0].kvs[0].value == b"new"
        assert slow.sizes == [1, 1]


async def test_a_reader_that_leaves_harms_nobody(etcd_place: EtcdPlace, slow: Slow) -> None:
    """Cancelled in line or in flight, the others get their answers."""
    async with slow, ConsensusReads(slow) as reads:
        in_flight = await started(reads, etcd_place, 1)
        await asyncio.sleep(0)
        in_line = await started(reads, etcd_place, 30)
        in_flight[0].cancel()
        for task in in_line[::3]:
            task.cancel()
        await asyncio.gather(in_flight[0], *in_line[::3], return_exceptions=True)
        slow.gate.set()
        for number, task in enumerate(in_line):
            if number % 3:
                assert await task == b"%d" % number
        assert slow.sizes == [1, 20]


async def test_a_failure_reaches_everyone_who_waits(etcd_place: EtcdPlace, slow: Slow) -> None:
    """All who share a read that failed hear so; who asks later is answered."""
    async with slow, ConsensusReads(slow) as reads:
        tasks = await started(reads, etcd_place, 5)
        slow.failing = True
        slow.gate.set()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [Unavailable] * 5
        assert len(set(map(id, outcomes))) == 5
        slow.failing = False
        assert await asyncio.gather(*await started(reads, etcd_place, 2)) == [b"0", b"1"]


async def test_closing_ends_every_wait(etcd_place: EtcdPlace, slow: Slow) -> None:
    """In line or in flight, a reader hears that there is no answer; so does who comes later."""
    async with slow:
        async with ConsensusReads(slow) as reads:
            tasks = await started(reads, etcd_place, 1)
            await asyncio.sleep(0)
            tasks += await started(reads, etcd_place, 3)
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [Unavailable] * 4
        with pytest.raises(Unavailable):
            await reads.read(read(b"key"))
