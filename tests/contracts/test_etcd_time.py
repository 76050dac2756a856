"""What time and broken connections do to registrations and watches on etcd."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from services.store.answers import UserScope
from services.store.etcd import registrations
from tests.contracts.chats import creation, now, some_bytes
from tests.contracts.places import EtcdPlace, on_etcd
from tests.etcd.relay import Relay
from tests.etcd.servers import members, until_ready

SECONDS = 30


async def test_a_registration_lives_by_its_heartbeats(etcd_place: EtcdPlace) -> None:
    """Without heartbeats it ends by itself; with them it outlives the one that has none."""
    repository = etcd_place.repository
    cared_for, left_alone = some_bytes(), some_bytes()
    lease = await repository.register(cared_for, address="live:1", ttl_seconds=1)
    await repository.register(left_alone, address="live:2", ttl_seconds=1)
    ended = False

    async def beat() -> bool:
        while not ended:
            if not await repository.heartbeat(cared_for, lease, draining=False):
                return False
        return True

    beating = asyncio.create_task(beat())
    async with asyncio.timeout(SECONDS), repository.watch_instances() as instances:
        async for standing in instances:
            if left_alone not in {one.instance for one in standing}:
                break
    ended = True
    assert await beating
    assert [one.instance for one in (await repository.instances())[1]] == [cared_for]
    await repository.deregister(cared_for, lease)  # not by itself, amid the next test


async def test_a_watch_says_how_far_it_is_when_nothing_happens(namespace: str) -> None:
    """A change without entries shows that the scope stayed as it was up to its revision."""
    interval = ("--experimental-watch-progress-notify-interval", "100ms")
    async with members(1, *interval) as (member,):
        await until_ready(member.address)
        async with on_etcd(member.address, namespace) as place, asyncio.timeout(SECONDS):
            repository = place.repository
            start, _ = await repository.instances()
            async with repository.watch(UserScope("alice"), after_revision=start) as changes:
                await repository.create(creation("of-bob", "bob"))
                revision = (await now(repository, "of-bob")).revision
                async for change in changes:
                    assert (change.entries, change.removed) == ((), ())
                    if change.revision >= revision:
                        break


async def test_a_watch_outlives_its_connection(etcd_place: EtcdPlace) -> None:
    """Whenever the connection is cut, each change still comes once, in order."""
    repository = etcd_place.repository
    start, _ = await repository.instances()
    names = [f"s{number}" for number in range(20)]
    seen: list[str] = []
    async with (
        Relay(etcd_place.etcd.endpoint) as relay,
        on_etcd(relay.address, etcd_place.namespace) as far,
        far.repository.watch(UserScope("alice"), after_revision=start) as changes,
        asyncio.timeout(SECONDS),
    ):
        for number, name in enumerate(names):
            await repository.create(creation(name))
            if number % 4 == 3:
                relay.cut()
            while number % 2 and seen[-1:] != [name]:
                seen += [session_id for session_id, _ in (await anext(changes)).entries]
    assert seen == names
    assert relay.connections > 1


async def test_instances_that_a_watch_leaves_out_are_listed_now_and_then(
    etcd_place: EtcdPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The watch that goes on in between is a hint, and each list is given once."""
    monkeypatch.setattr(registrations, "_LIST_ANEW_SECONDS", 0.01)
    silent = partial(etcd_place.etcd.watch, b"no such key")
    monkeypatch.setattr(etcd_place.etcd, "watch", lambda *keys, **asked: silent(**asked))
    repository = etcd_place.repository
    one, other = some_bytes(), some_bytes()
    await repository.register(one, address="live:1", ttl_seconds=3600)
    async with asyncio.timeout(SECONDS), repository.watch_instances() as instances:
        assert {each.instance for each in await anext(instances)} == {one}
        await repository.register(other, address="live:2", ttl_seconds=3600)
        assert {each.instance for each in await anext(instances)} == {one, other}
        await etcd_place.expire(one)
        assert {each.instance for each in await anext(instances)} == {other}
