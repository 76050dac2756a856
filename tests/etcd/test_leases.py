"""Leases: granted, kept, revoked and run out."""

from __future__ import annotations

import asyncio

import pytest

from services.store.etcd.client import EtcdClient
from services.store.etcd.errors import LeaseNotFound
from services.store.etcd.etcd_pb2 import Event
from services.store.etcd.transactions import absent, nested, put, read, transaction


async def test_a_key_goes_with_its_lease(client: EtcdClient, prefix: bytes) -> None:
    """Revoking a lease deletes what hangs on it, and a second time says that it is gone."""
    lease = (await client.lease_grant(60)).ID
    await client.put(prefix + b"flat", b"", lease=lease)
    await client.txn(
        transaction(
            success=[nested(transaction([absent(prefix)], [put(prefix, b"", lease=lease)]))]
        )
    )
    assert (await client.range(read(prefix))).kvs[0].lease == lease
    found = await client.time_to_live(lease, keys=True)
    assert set(found.keys) == {prefix, prefix + b"flat"}
    assert 0 < found.TTL <= found.grantedTTL == 60
    await client.lease_revoke(lease)
    assert (await client.range(read(prefix))).count == 0
    assert (await client.time_to_live(lease)).TTL == -1
    with pytest.raises(LeaseNotFound):
        await client.lease_revoke(lease)


async def test_a_kept_lease_lives_and_a_forgotten_one_runs_out(
    client: EtcdClient, prefix: bytes
) -> None:
    """Keeping alive answers the seconds left; without it the keys go, and the answer is 0."""
    kept, forgotten = [(await client.lease_grant(1)).ID for _ in range(2)]
    written = await client.put(prefix + b"kept", b"", lease=kept)
    await client.put(prefix + b"forgotten", b"", lease=forgotten)
    start = written.header.revision + 2
    async with (
        client.watch(prefix + b"forgotten", start_revision=start) as watch,
        asyncio.timeout(20),
    ):
        waiting = asyncio.ensure_future(anext(watch))
        while not waiting.done():
            assert await client.keep_alive(kept) == 1
            await asyncio.wait([waiting], timeout=0.1)
        batch = await waiting
        while not batch.events:
            assert await client.keep_alive(kept) == 1
            batch = await anext(watch)
    assert [event.type for event in batch.events] == [Event.DELETE]
    assert await client.keep_alive(forgotten) == 0
    assert (await client.range(read(prefix + b"kept"))).count == 1


async def test_keeping_alive_leaves_nothing_behind(client: EtcdClient) -> None:
    """Each keepalive is over when it returns: no stream, no task."""
    lease = (await client.lease_grant(60)).ID
    before = asyncio.all_tasks()
    assert await asyncio.gather(*(client.keep_alive(lease) for _ in range(50))) == [60] * 50
    async with asyncio.timeout(20):
        while not asyncio.all_tasks() <= before:
            await client.status()
