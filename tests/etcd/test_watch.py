"""Watches across cuts, compactions and slow readers: each change once, in order."""

from __future__ import annotations

import asyncio
import itertools
import random
import urllib.request

import pytest

from services.store.etcd.client import EtcdClient
from services.store.etcd.errors import Compacted
from services.store.etcd.etcd_pb2 import Event, WatchCreateRequest
from services.store.etcd.transactions import prefix_end, put, read, transaction
from services.store.etcd.watch import Watch
from tests.etcd.relay import Relay
from tests.etcd.servers import Member


async def now(client: EtcdClient) -> int:
    """Return the revision of the moment."""
    return (await client.range(read(b"\0"))).header.revision


async def collect(watch: Watch, count: int) -> list[Event]:
    """Return the next `count` events, or more if the last batch holds more."""
    events: list[Event] = []
    async with asyncio.timeout(60):
        async for batch in watch:
            events += batch.events
            if batch.events:
                assert batch.revision == batch.events[-1].kv.mod_revision
            assert watch.next_revision == batch.revision + 1
            if len(events) >= count:
                return events
    raise AssertionError("the watch ended")


async def test_a_watch_gives_each_change_of_its_keys_in_order(
    client: EtcdClient, prefix: bytes
) -> None:
    """Puts and deletions come in the order of their revisions, and no other key's."""
    start = await now(client) + 1
    await client.put(prefix + b"a", b"1")
    await client.put(b"another", b"")
    await client.put(prefix + b"a", b"2")
    await client.delete(prefix + b"a")
    async with client.watch(
        prefix, prefix_end(prefix), start_revision=start, prev_kv=True
    ) as watch:
        events = await collect(watch, 3)
    assert [(e.type, e.kv.value, e.prev_kv.value) for e in events] == [
        (Event.PUT, b"1", b""),
        (Event.PUT, b"2", b"1"),
        (Event.DELETE, b"", b"2"),
    ]


async def test_filters_leave_kinds_of_events_out(client: EtcdClient, prefix: bytes) -> None:
    """A watch without puts sees deletions alone."""
    start = await now(client) + 1
    await client.put(prefix, b"")
    await client.delete(prefix)
    no_puts = [WatchCreateRequest.NOPUT]
    async with client.watch(prefix, start_revision=start, filters=no_puts) as watch:
        assert [event.type for event in await collect(watch, 1)] == [Event.DELETE]


async def test_a_quiet_watch_learns_how_far_it_is(
    client: EtcdClient, relay: Relay, prefix: bytes
) -> None:
    """Progress comes as a batch without events, and lets the watch survive a compaction."""
    start = await now(client) + 1
    written = (await client.put(b"another", b"")).header.revision
    async with (
        EtcdClient([relay.address]) as cut,
        cut.watch(prefix, start_revision=start) as watch,
        asyncio.timeout(30),
    ):
        async for batch in watch:
            assert list(batch.events) == []
            assert watch.next_revision == batch.revision + 1
            if batch.revision >= written:
                break
        await client.compact(written)
        relay.cut()
        await client.put(prefix, b"mine")
        assert [event.kv.value for event in await collect(watch, 1)] == [b"mine"]


async def test_every_event_comes_once_across_cut_connections(
    client: EtcdClient, relay: Relay, prefix: bytes
) -> None:
    """4,001 events over connections that break again and again: each one once, in order."""
    start = await now(client) + 1
    rng = random.Random(4001)
    # Less than the whole (some 640 KB), more than the largest answer (1,000 events).
    relay.budget = lambda: rng.randrange(180_000, 220_000)

    async def write() -> None:
        for first in range(0, 4001, 50):
            await asyncio.gather(
                *(
                    client.put(prefix + b"%d" % n, bytes(100))
                    for n in range(first, min(first + 50, 4001))
                )
            )

    async with (
        EtcdClient([relay.address], rng=rng) as cut,
        cut.watch(prefix, prefix_end(prefix), start_revision=start) as watch,
    ):
        writing = asyncio.ensure_future(write())
        live = await collect(watch, 4001)
        await writing
    assert relay.connections > 2
    met = relay.connections
    async with (
        EtcdClient([relay.address], rng=rng) as cut,
        cut.watch(prefix, prefix_end(prefix), start_revision=start) as watch,
    ):
        late = await collect(watch, 4001)
    assert relay.connections > met + 1
    for events in (live, late):
        assert len(events) == 4001
        assert {event.kv.key for event in events} == {prefix + b"%d" % n for n in range(4001)}
        revisions = [event.kv.mod_revision for event in events]
        assert all(a < b for a, b in itertools.pairwise(revisions))


async def test_a_batch_in_fragments_is_given_whole(
    client: EtcdClient, relay: Relay, prefix: bytes
) -> None:
    """A cut between fragments of a batch gives nothing of it; the next stream gives all."""
    start = await now(client) + 1
    for n in range(8):
        await client.put(prefix + b"%d" % n, bytes(2**20))
    budgets = iter((5 * 2**20, 2**40))
    relay.budget = lambda: next(budgets)
    async with (
        EtcdClient([relay.address]) as cut,
        cut.watch(prefix, prefix_end(prefix), start_revision=start) as watch,
    ):
        batch = await anext(watch)
    assert relay.connections == 2
    assert [event.kv.key for event in batch.events] == [prefix + b"%d" % n for n in range(8)]


async def test_a_revision_is_never_given_in_parts(client: EtcdClient, prefix: bytes) -> None:
    """All changes of one transaction come in one batch."""
    start = await now(client) + 1
    for n in range(3):
        await client.txn(
            transaction(success=[put(prefix + b"%d" % k, b"%d" % n) for k in range(100)])
        )
    async with client.watch(prefix, prefix_end(prefix), start_revision=start) as watch:
        batch = await anext(watch)
    assert len(batch.events) % 100 == 0


async def test_a_watch_behind_a_compaction_says_so(
    client: EtcdClient, relay: Relay, prefix: bytes
) -> None:
    """Changes that were compacted while nobody was connected are never skipped in silence."""
    start = await now(client) + 1
    async with (
        EtcdClient([relay.address]) as cut,
        cut.watch(prefix, start_revision=start) as watch,
    ):
        await client.put(prefix, b"seen")
        await collect(watch, 1)
        await relay.shut()
        await client.put(prefix, b"missed")
        last = (await client.put(prefix, b"left")).header.revision
        await client.compact(last)
        await relay.open()
        with pytest.raises(Compacted) as raised:
            await collect(watch, 1)
        assert raised.value.compact_revision == last
        with pytest.raises(StopAsyncIteration):
            await anext(watch)


async def test_closing_a_watch_ends_it_in_etcd_and_leaves_no_task(
    client: EtcdClient, member: Member, prefix: bytes
) -> None:
    """After the block neither etcd nor this process knows of the watch."""

    async def streams() -> float:
        url = f"http://{member.address}/metrics"
        text = await asyncio.to_thread(lambda: urllib.request.urlopen(url).read().decode())
        name = "etcd_debugging_mvcc_watch_stream_total "
        return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(name))

    start = await now(client) + 1
    streams_before, tasks_before = await streams(), asyncio.all_tasks()
    watch = client.watch(prefix, start_revision=start)
    async with watch:
        await client.put(prefix, b"")
        await collect(watch, 1)
        assert await streams() == streams_before + 1
        # What other tests have left running for the whole run may begin tasks of its own later.
        begun = asyncio.all_tasks() - tasks_before
        assert begun
    await watch.close()
    async with asyncio.timeout(20):
        # Each round asks etcd once: it and gRPC need a moment for the last frame.
        while await streams() != streams_before or begun & asyncio.all_tasks():
            pass


async def test_a_cancelled_wait_loses_nothing(client: EtcdClient, prefix: bytes) -> None:
    """Who gives up waiting and asks again later gets every change all the same."""
    start = await now(client) + 1
    seen: list[Event] = []
    async with client.watch(prefix, prefix_end(prefix), start_revision=start) as watch:
        for n in range(20):
            await client.put(prefix + b"%d" % n, b"")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.002 * (n % 4)):
                    while True:
                        seen += (await anext(watch)).events
        if len(seen) < 20:
            seen += await collect(watch, 20 - len(seen))
    assert [event.kv.key for event in seen] == [prefix + b"%d" % n for n in range(20)]


async def test_a_watch_that_nobody_reads_holds_up_nobody(client: EtcdClient, prefix: bytes) -> None:
    """48 MiB wait for a slow reader; calls on the same connection go on, and it misses nothing."""
    start = await now(client) + 1
    async with client.watch(prefix, start_revision=start) as watch:
        await client.put(prefix, b"first")
        await collect(watch, 1)
        for n in range(48):
            await client.put(prefix, b"%02d" % n * 2**19, within=5)
        events = await collect(watch, 48)
    assert [event.kv.value[:2] for event in events] == [b"%02d" % n for n in range(48)]


async def test_a_server_that_falls_silent_is_left(
    client: EtcdClient, member: Member, relay: Relay, prefix: bytes
) -> None:
    """A peer that vanishes without closing is found by pings; the watch goes on elsewhere."""
    start = await now(client) + 1
    async with (
        EtcdClient([relay.address, member.address]) as both,
        both.watch(prefix, start_revision=start) as watch,
    ):
        await client.put(prefix, b"1")
        await collect(watch, 1)
        relay.freeze()
        await client.put(prefix, b"2")
        assert [event.kv.value for event in await collect(watch, 1)] == [b"2"]
        assert both.endpoint == member.address


async def test_a_watch_names_where_it_starts(client: EtcdClient) -> None:
    """Starting "now" would leave open what was missed, so a revision is asked for."""
    with pytest.raises(ValueError, match="starts at a revision"):
        client.watch(b"a", start_revision=0)
