"""Registrations: made once, seen by all, gone for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.store.answers import Instance
from services.store.repository import Repository
from sessiond.errors import InvalidArgument
from tests.contracts.chats import creation, register, some_bytes
from tests.contracts.places import Place

SECONDS = 20


async def standing(repository: Repository) -> set[Instance]:
    return set((await repository.instances())[1])


async def following(
    instances: AsyncIterator[tuple[Instance, ...]], expected: set[Instance]
) -> None:
    """Wait until a watch gives exactly these."""
    async with asyncio.timeout(SECONDS):
        while set(await anext(instances)) != expected:
            pass


async def test_a_registered_instance_is_seen(repository: Repository) -> None:
    """With its lease, its address, and not draining; and it lives."""
    instance = some_bytes()
    lease = await repository.register(instance, address="live:1", ttl_seconds=3600)
    assert await standing(repository) == {Instance(instance, lease, "live:1", draining=False)}
    assert await repository.heartbeat(instance, lease, draining=False)


async def test_an_instance_is_registered_once(repository: Repository) -> None:
    """A second registration of the same instance is refused, and the first one stands."""
    instance = some_bytes()
    lease = await repository.register(instance, address="live:1", ttl_seconds=3600)
    for address in ("live:1", "live:2"):
        with pytest.raises(InvalidArgument):
            await repository.register(instance, address=address, ttl_seconds=3600)
    assert await standing(repository) == {Instance(instance, lease, "live:1", draining=False)}


async def test_whoever_holds_the_address_is_the_one_that_lives(repository: Repository) -> None:
    """Registering ends the registrations of other instances with the same address, and no other."""
    former, other = some_bytes(), some_bytes()
    former_lease = await repository.register(former, address="live:1", ttl_seconds=3600)
    other_lease = await repository.register(other, address="live:10", ttl_seconds=3600)
    present = await register(repository, "live:1")
    assert {one.instance for one in await standing(repository)} == {other, present}
    assert not await repository.heartbeat(former, former_lease, draining=False)
    assert await repository.heartbeat(other, other_lease, draining=False)


async def test_a_heartbeat_of_a_registration_that_ended_is_false_for_ever(place: Place) -> None:
    """However a registration ended, no heartbeat brings it back."""
    repository = place.repository
    expired, left, never = some_bytes(), some_bytes(), some_bytes()
    expired_lease = await repository.register(expired, address="live:1", ttl_seconds=3600)
    left_lease = await repository.register(left, address="live:2", ttl_seconds=3600)
    await place.expire(expired)
    await repository.deregister(left, left_lease)
    for _ in range(2):
        for draining in (False, True):
            assert not await repository.heartbeat(expired, expired_lease, draining=draining)
            assert not await repository.heartbeat(left, left_lease, draining=draining)
            assert not await repository.heartbeat(never, 12345, draining=draining)
    assert await standing(repository) == set()


async def test_a_heartbeat_needs_the_lease_of_its_instance(repository: Repository) -> None:
    """Another instance's lease keeps nobody alive."""
    one, other = some_bytes(), some_bytes()
    await repository.register(one, address="live:1", ttl_seconds=3600)
    lease = await repository.register(other, address="live:2", ttl_seconds=3600)
    assert not await repository.heartbeat(one, lease, draining=False)


async def test_deregistering_twice_does_no_harm(repository: Repository) -> None:
    """What is gone is gone."""
    instance = some_bytes()
    lease = await repository.register(instance, address="live:1", ttl_seconds=3600)
    await repository.deregister(instance, lease)
    await repository.deregister(instance, lease)
    assert await standing(repository) == set()


async def test_draining_is_stored_with_a_heartbeat_when_it_changes(
    repository: Repository,
) -> None:
    """Everyone sees it from then on; a heartbeat that changes nothing writes nothing."""
    instance = some_bytes()
    lease = await repository.register(instance, address="live:1", ttl_seconds=3600)
    for draining in (False, True, True, False):
        assert await repository.heartbeat(instance, lease, draining=draining)
        assert await standing(repository) == {Instance(instance, lease, "live:1", draining)}
    before, _ = await repository.instances()
    await repository.heartbeat(instance, lease, draining=False)
    assert (await repository.instances())[0] == before


async def test_a_watch_of_instances_gives_all_and_all_again(place: Place) -> None:
    """First who is there, then the same anew at each coming, change and going."""
    repository = place.repository
    one, other = some_bytes(), some_bytes()
    lease = await repository.register(one, address="live:1", ttl_seconds=3600)
    seen_one = Instance(one, lease, "live:1", draining=False)
    async with repository.watch_instances() as instances:
        assert set(await anext(instances)) == {seen_one}
        other_lease = await repository.register(other, address="live:2", ttl_seconds=3600)
        seen_other = Instance(other, other_lease, "live:2", draining=False)
        await following(instances, {seen_one, seen_other})
        await repository.heartbeat(one, lease, draining=True)
        await following(instances, {Instance(one, lease, "live:1", True), seen_other})
        await place.expire(one)
        await following(instances, {seen_other})


async def test_a_watch_of_nobody_gives_nobody(repository: Repository) -> None:
    """The first that is given may be empty; it is given all the same."""
    async with repository.watch_instances() as instances:
        assert await anext(instances) == ()


async def test_a_watch_of_instances_survives_compaction(place: Place) -> None:
    """Where changes are forgotten it lists anew, and shows who is there now."""
    repository = place.repository
    async with repository.watch_instances() as instances:
        assert await anext(instances) == ()
        former = await register(repository, "live:1")
        present = some_bytes()
        lease = await repository.register(present, address="live:2", ttl_seconds=3600)
        await place.expire(former)
        await repository.create(creation("abc"))
        await place.compact()
        await following(instances, {Instance(present, lease, "live:2", draining=False)})
