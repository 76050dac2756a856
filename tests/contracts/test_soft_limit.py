"""A small etcd that fills up: Store stops first, and everything that has to go on goes on."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from cluster.etcd import Place as Ports
from cluster.etcd import etcd_parts
from cluster.etcd_binary import EtcdBinary
from cluster.supervisor import Cluster
from services.store.answers import RevisionCompacted, Snapshot, UserScope
from services.store.commit import Committer
from services.store.etcd.upkeep import Upkeep
from services.store.hand_over import hand_over
from services.store.metrics import CommitMetrics, SpaceMetrics
from services.store.space import Space
from services.store.writes import Commit, Committed, DraftWrite, Outcome, PutOff
from tests.contracts.chats import Chat, all_records, listed, new_chat, now, register, some_bytes
from tests.contracts.places import EtcdPlace, on_etcd

QUOTA = 64 * 2**20
# As shipped etcd counts what it wrote ten times a second, and so small a quota may fill meanwhile.
COUNTING = ("--backend-batch-limit=1",)
RECORD = bytes(256 * 1024)


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Guarded:
    """An etcd with little space, and what of a Store stands before it."""

    def __init__(self, place: EtcdPlace, committer: Committer, space: Space) -> None:
        self.place = place
        self.repository = place.repository
        self.committer = committer
        self.space = space
        self.clock = Clock()
        self.registry = CollectorRegistry()
        self.upkeep = self.another(self.registry)

    def another(self, registry: CollectorRegistry) -> Upkeep:
        """Return the upkeep of one more Store."""
        return Upkeep(
            self.place.etcd,
            self.space,
            SpaceMetrics(registry),
            namespace=self.place.namespace,
            quota_bytes=QUOTA,
            clock=self.clock,
        )

    async def append(self, chat: Chat) -> Outcome:
        """Write one record, as a Live does that knows what it may be told, and look at etcd."""
        commit = dataclasses.replace(chat.commit(RECORD), deferrable=True)
        outcome = await self.committer.commit(commit)
        if outcome == Committed():
            chat.took(commit)
        await self.upkeep.look()
        return outcome

    async def filled(self) -> tuple[Chat, Chat]:
        """Write into one of two chats until that is refused."""
        instance = await register(self.repository)
        growing, other = [
            await new_chat(self.repository, name, instance=instance) for name in ("abc", "xyz")
        ]
        outcome: Outcome = Committed()
        while outcome == Committed():
            outcome = await self.append(growing)
        # Not unknown: etcd itself never said that its space is out.
        assert outcome == PutOff()
        return growing, other

    async def commit(self, commit: Commit) -> Outcome:
        return await self.committer.commit(dataclasses.replace(commit, deferrable=True))


@pytest.fixture
async def guarded(
    etcd_binary: EtcdBinary, ports: Iterator[int], tmp_path: Path, namespace: str
) -> AsyncIterator[Guarded]:
    """Return an empty namespace of such an etcd."""
    space = Space()
    ground = Ports(next(ports), next(ports))
    parts = etcd_parts(
        etcd_binary, [ground], tmp_path, os.environ, quota_bytes=QUOTA, flags=COUNTING
    )
    async with AsyncExitStack() as stack:
        etcd = await stack.enter_async_context(Cluster([parts], logs=tmp_path))
        place = await stack.enter_async_context(on_etcd(etcd.address("etcd-1"), namespace))
        metrics = CommitMetrics(CollectorRegistry())
        committer = Committer(place.repository, metrics, space=space)
        yield Guarded(place, await stack.enter_async_context(committer), space)


async def test_the_soft_limit_trips_first(guarded: Guarded) -> None:
    """Appends are refused while etcd has room for 15 %, and what was refused is not stored."""
    growing, _ = await guarded.filled()
    assert 0.85 <= guarded.space.fill < 0.95
    assert (await now(guarded.repository, "abc")).head == growing.head
    status = await guarded.place.etcd.status()
    assert not status.errors
    assert guarded.registry.get_sample_value("sessiond_store_etcd_used_bytes") == status.dbSize
    assert guarded.registry.get_sample_value("sessiond_store_etcd_quota_bytes") == QUOTA


async def test_failover_works_beyond_the_limit(guarded: Guarded) -> None:
    """Leases are granted, so that a new instance registers and takes over; it hands over, too."""
    growing, _ = await guarded.filled()
    repository = guarded.repository
    _, (old,) = await repository.instances()
    assert await repository.heartbeat(old.instance, old.lease, draining=False)
    await repository.deregister(old.instance, old.lease)
    instance, third = await register(repository, "live:2"), await register(repository, "live:3")
    acquired = await repository.acquire("abc", instance, some_bytes())
    assert isinstance(acquired, Snapshot)
    assert len(await all_records(repository, "abc")) == growing.stored.seq
    given = await hand_over(
        guarded.committer, instance, "abc", acquired.head, target=third, commit_id=some_bytes()
    )
    assert given == (Committed(), third)


async def test_a_turn_runs_to_its_end_beyond_the_limit(guarded: Guarded) -> None:
    """Its drafts are stored, and its end, which removes them."""
    _, other = await guarded.filled()
    assert await guarded.commit(other.drafting(DraftWrite("t", 1, b"text"))) == Committed()
    assert await guarded.commit(other.commit(b"end", ended_turn="t")) == Committed()


async def test_the_service_recovers_by_itself(guarded: Guarded, etcd_binary: EtcdBinary) -> None:
    """Sessions are deleted, history is compacted, the file is defragmented: appends are taken."""
    growing, other = await guarded.filled()
    assert await guarded.repository.delete(growing.deletion()) == Committed()
    assert await listed(guarded.repository) == ["xyz"]
    assert await guarded.append(other) == PutOff()
    guarded.clock.now += 31
    await guarded.upkeep.look()  # above 60 %, what is older than 30 s is forgotten
    assert guarded.registry.get_sample_value("sessiond_store_compactions_total") == 1
    async with asyncio.timeout(30):
        while guarded.space.is_short:  # etcd frees what is compacted at its own pace
            await defragment(etcd_binary, guarded.place.etcd.endpoint)
            await guarded.upkeep.look()
    assert await guarded.append(other) == Committed()


async def test_one_store_compacts(guarded: Guarded) -> None:
    """Of two Stores one compacts in a minute, and when that one is gone the other one does."""
    registries = [CollectorRegistry(), CollectorRegistry()]
    one, other = map(guarded.another, registries)

    def compactions() -> list[float | None]:
        return [each.get_sample_value("sessiond_store_compactions_total") for each in registries]

    async def write_and_wait(*looking: Upkeep) -> None:
        await guarded.place.etcd.put(f"{guarded.place.namespace}test".encode(), b"")
        for upkeep in looking:
            await upkeep.look()
        guarded.clock.now += 301
        for upkeep in looking:
            await upkeep.look()

    await write_and_wait(one, other)
    assert compactions() == [1, 0]
    await write_and_wait(one, other)
    assert compactions() == [2, 0]
    await write_and_wait(other)
    await write_and_wait(other)
    assert compactions()[0] == 2
    assert compactions()[1]


async def test_reads_and_watches_survive_a_compaction(guarded: Guarded) -> None:
    """The present is read as before; a page of the past and a watch from it are told to restart."""
    repository = guarded.repository
    chat = await new_chat(repository, "abc")
    old = (await now(repository, "abc")).revision
    async with repository.watch(UserScope("alice"), after_revision=old) as changes:
        for record in (b"two", b"three"):
            await chat.write(repository, chat.commit(record))
            assert (await anext(changes)).entries
        await guarded.upkeep.look()
        guarded.clock.now += 301
        await guarded.upkeep.look()
        await chat.write(repository, chat.commit(b"four"))
        assert (await anext(changes)).entries  # a watch that keeps up does not even notice
    assert len(await all_records(repository, "abc")) == 4
    with pytest.raises(RevisionCompacted):
        await repository.entries("alice", after=None, limit=9, revision=old)
    async with repository.watch(UserScope("alice"), after_revision=old) as changes:
        with pytest.raises(RevisionCompacted):
            await anext(changes)


async def defragment(binary: EtcdBinary, endpoint: str) -> None:
    """Make the file as small as what it holds, as an operator does."""
    process = await asyncio.create_subprocess_exec(
        *(str(binary.path.with_name("etcdctl")), f"--endpoints={endpoint}", "defrag"),
        env={**os.environ, "ETCDCTL_API": "3"},
        stdout=asyncio.subprocess.DEVNULL,
    )
    assert await process.wait() == 0
