"""Several endpoints: one dead, one silent, one killed, a quorum lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.store.etcd.client import EtcdClient
from services.store.etcd.errors import Ambiguous, Unavailable
from services.store.etcd.transactions import exists, put, read, transaction
from tests.etcd.relay import Relay
from tests.etcd.servers import Member, free_ports, members, until_ready


async def test_a_dead_endpoint_is_passed_over(member: Member, prefix: bytes) -> None:
    """A read goes on to the next endpoint; all later calls begin there."""
    (dead,) = free_ports(1)
    async with EtcdClient([f"127.0.0.1:{dead}", member.address]) as client:
        assert (await client.range(read(prefix))).count == 0
        assert client.endpoint == member.address
        await client.put(prefix, b"")
        assert (await client.consensus_range(read(prefix))).answers[0].count == 1


async def test_a_write_to_a_dead_endpoint_is_told_and_not_repeated(
    member: Member, prefix: bytes
) -> None:
    """The caller of the failed write decides; the next write goes to the next endpoint."""
    (dead,) = free_ports(1)
    async with EtcdClient([f"127.0.0.1:{dead}", member.address]) as client:
        with pytest.raises(Ambiguous):
            await client.put(prefix, b"1")
        assert (await client.range(read(prefix))).count == 0
        await client.put(prefix, b"2")


async def test_many_failures_at_once_move_on_once(member: Member, prefix: bytes) -> None:
    """Calls that fail together do not chase each other past the endpoint that works."""
    (dead,) = free_ports(1)
    async with EtcdClient([f"127.0.0.1:{dead}", member.address]) as client:
        await asyncio.gather(*(client.range(read(prefix)) for _ in range(51)))
        assert client.endpoint == member.address


async def test_a_silent_endpoint_uses_up_only_its_share(
    member: Member, relay: Relay, prefix: bytes
) -> None:
    """A read still has time for the next endpoint when the first one says nothing."""
    async with EtcdClient([relay.address, member.address]) as client:
        await client.range(read(prefix))
        relay.freeze()
        assert (await client.range(read(prefix), within=1)).count == 0
        assert client.endpoint == member.address


async def test_the_only_endpoint_is_used_again_when_it_is_back(relay: Relay, prefix: bytes) -> None:
    """A client with one endpoint recovers by itself."""
    async with EtcdClient([relay.address]) as client, asyncio.timeout(30):
        await client.put(prefix, b"")
        await relay.shut()
        with pytest.raises(Unavailable):
            await client.range(read(prefix))
        await relay.open()
        while True:
            try:
                assert (await client.range(read(prefix))).count == 1
                break
            except Unavailable:
                await asyncio.sleep(0.05)


async def test_status_asks_the_member_named(member: Member) -> None:
    """Status is about one member: no other one answers in its place."""
    (dead,) = free_ports(1)
    async with EtcdClient([member.address, f"127.0.0.1:{dead}"]) as client:
        assert (await client.status()).version.startswith("3.")
        assert (await client.status(client.endpoints[0])).leader > 0
        with pytest.raises(Unavailable):
            await client.status(client.endpoints[1])
        with pytest.raises(ValueError, match="not an endpoint"):
            await client.status("elsewhere:1")


async def test_a_client_needs_an_endpoint() -> None:
    """No endpoints is a mistake of the caller."""
    with pytest.raises(ValueError, match="at least one endpoint"):
        EtcdClient([])


@pytest.fixture
async def three() -> AsyncIterator[list[Member]]:
    """Return a cluster of three, patient enough for a busy machine."""
    calm = ("--heartbeat-interval", "50", "--election-timeout", "500", "--pre-vote=true")
    async with members(3, *calm) as cluster:
        await asyncio.gather(*(until_ready(member.address) for member in cluster))
        yield cluster


async def test_a_cluster_loses_members(three: list[Member], prefix: bytes) -> None:
    """One member less: calls and watches go on elsewhere. No quorum: only honest answers.

    The last member alone still answers a transaction of compares, and no consensus read.
    """
    addresses = [member.address for member in three]
    async with EtcdClient(addresses) as client, EtcdClient(addresses[2:]) as last:
        async with asyncio.timeout(30):
            while True:
                try:
                    start = (await client.put(prefix, b"1")).header.revision
                    break
                except Ambiguous:
                    await asyncio.sleep(0.05)
        async with client.watch(prefix, start_revision=start) as watch, asyncio.timeout(60):
            seen = [event.kv.value for event in (await anext(watch)).events]
            await three[0].kill()
            assert (await client.consensus_range(read(prefix), within=10)).answers[0].count == 1
            assert client.endpoint != addresses[0]
            await client.put(prefix, b"2", within=10)
            assert (await last.consensus_range(read(prefix), within=10)).answers[0].count == 1

            await three[1].kill()
            with pytest.raises(Unavailable):
                await last.consensus_range(read(prefix), within=1)
            with pytest.raises(Ambiguous):
                await last.txn(transaction(success=[put(prefix + b"x", b"")]), within=1)
            assert (await last.txn(transaction([exists(prefix)]), within=1)).succeeded

            await three[0].start()
            while len(seen) < 2:
                seen += [event.kv.value for event in (await anext(watch)).events]
            assert seen == [b"1", b"2"]
            while True:
                try:
                    await client.put(prefix, b"3", within=2)
                    break
                except Ambiguous:
                    continue
            while b"3" not in seen:
                seen += [event.kv.value for event in (await anext(watch)).events]
            assert seen[:3] == [b"1", b"2", b"3"]
