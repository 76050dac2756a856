"""etcd with no space left: what still passes, and what must not."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from cluster.supervisor import Cluster
from services.store.answers import Snapshot
from services.store.etcd.errors import NoSpace
from services.store.writes import Committed, DraftWrite, Unknown
from tests.contracts.chats import Chat, all_records, listed, new_chat, now, own, register
from tests.contracts.places import EtcdPlace, on_etcd


@pytest.fixture
async def place(own_etcd: Cluster, namespace: str) -> AsyncIterator[EtcdPlace]:
    """Return an empty namespace of an etcd with little space."""
    async with on_etcd(own_etcd.address("etcd-1"), namespace) as place:
        yield place


async def fill(place: EtcdPlace) -> None:
    """Put until etcd takes no more."""
    with pytest.raises(NoSpace):
        for number in range(64):
            await place.etcd.put(f"{place.namespace}fill{number}".encode(), bytes(512 * 1024))


async def filled(place: EtcdPlace) -> list[Chat]:
    """Make two sessions, and then use up the space."""
    instance = await register(place.repository)
    chats = [
        await new_chat(place.repository, name, instance=instance, agent="planner")
        for name in ("abc", "xyz")
    ]
    await fill(place)
    return chats


async def test_a_batch_does_not_escape_the_quota(place: EtcdPlace) -> None:
    """Nested puts alone would be taken; a batch is refused like any write, and stores nothing."""
    chats = await filled(place)
    batch = [chat.commit(b"two") for chat in chats]
    assert await place.repository.commit(batch) == [Unknown()] * 2
    assert await place.repository.commit(batch[:1]) == [Unknown()]
    drafts = [chat.drafting(DraftWrite("t", 1, b"text")) for chat in chats]
    assert await place.repository.commit(drafts) == [Unknown()] * 2
    assert await place.repository.commit(drafts[:1]) == [Unknown()]
    for chat in chats:
        assert (await now(place.repository, chat.session_id)).head == chat.head


async def test_a_session_still_finds_an_owner(place: EtcdPlace) -> None:
    """An acquisition and a heartbeat pass when space is out."""
    repository = place.repository
    chat, _ = await filled(place)
    other_lease = (await repository.instances())[1][0].lease
    assert await repository.heartbeat(chat.instance, other_lease, draining=False)
    acquired = await repository.acquire("abc", chat.instance, b"c" * 16)
    assert isinstance(acquired, Snapshot)
    assert (await now(repository, "abc")).head == acquired.head


async def test_a_deletion_makes_room_without_a_tombstone(place: EtcdPlace) -> None:
    """Refused for space, it is repeated as deletes alone, with or without a lease at hand."""
    repository = place.repository
    chat, _ = await filled(place)
    assert await repository.delete(chat.deletion()) == Committed()
    assert await repository.snapshot("abc") is None
    assert await all_records(repository, "xyz") != []
    assert await listed(repository) == ["xyz"]
    assert [name for name, _ in (await repository.awaited("planner")).entries] == ["xyz"]


async def test_a_deletion_makes_room_when_its_lease_is_there(place: EtcdPlace) -> None:
    """The tombstone's put is refused, and the deletes pass."""
    repository = place.repository
    before = await new_chat(repository, "before")
    assert await repository.delete(before.deletion()) == Committed()
    chat, _ = await filled(place)
    chat = await own(repository, "abc", chat.instance)
    chat.agent = "planner"
    assert await repository.delete(chat.deletion()) == Committed()
    assert await repository.snapshot("abc") is None
    assert await listed(repository) == ["xyz"]
