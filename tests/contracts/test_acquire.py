"""One owner at a time: epochs rise, and only who is alone becomes the owner."""

from __future__ import annotations

import asyncio

from services.store.answers import NotRegistered, Owned, Snapshot
from services.store.repository import Repository
from services.store.writes import Committed, Refused
from sessiond.store.codec import decode_head
from tests.contracts.chats import (
    all_records,
    creation,
    new_chat,
    now,
    own,
    register,
    some_bytes,
)
from tests.contracts.places import Place


async def test_a_session_without_owner_is_acquired(repository: Repository) -> None:
    """The head names the instance, the next epoch and the commit; what is given is what stands."""
    await repository.create(creation("abc"))
    instance, commit_id = await register(repository), some_bytes()
    acquired = await repository.acquire("abc", instance, commit_id)
    assert isinstance(acquired, Snapshot)
    meta = decode_head(acquired.head).meta
    assert (meta.owner, meta.epoch, meta.commit_id) == (instance, 1, commit_id)
    assert await now(repository, "abc") == acquired


async def test_an_acquisition_gives_the_outputs_of_its_revision(repository: Repository) -> None:
    """Head and outputs are read where the new head was written."""
    chat = await new_chat(repository, "abc")
    await chat.write(repository, chat.commit(b"two", outputs=b"table"))
    acquired = await repository.acquire("abc", chat.instance, some_bytes())
    assert isinstance(acquired, Snapshot)
    assert acquired.outputs == b"table"
    records = await repository.records("abc", 2, 2, revision=acquired.revision)
    assert records == [b"two"]


async def test_the_same_acquisition_again_is_the_same(repository: Repository) -> None:
    """A head that carries the commit id is this acquisition: the epoch does not rise again."""
    await repository.create(creation("abc"))
    instance, commit_id = await register(repository), some_bytes()
    first = await repository.acquire("abc", instance, commit_id)
    again = await repository.acquire("abc", instance, commit_id)
    assert isinstance(first, Snapshot)
    assert isinstance(again, Snapshot)
    assert again.head == first.head


async def test_the_owner_may_acquire_anew(repository: Repository) -> None:
    """Its own session is given to it in the next epoch, and its earlier writes are fenced."""
    chat = await new_chat(repository, "abc")
    late = chat.commit(b"late")
    anew = await own(repository, "abc", chat.instance)
    assert anew.stored.meta.epoch == chat.stored.meta.epoch + 1
    assert await repository.commit([late]) == [Refused(anew.head, registered=True)]


async def test_a_living_owner_keeps_its_session(repository: Repository) -> None:
    """Another instance is told who owns it and where, and nothing changes."""
    chat = await new_chat(repository, "abc")
    other = await register(repository, "live:2")
    assert await repository.acquire("abc", other, some_bytes()) == Owned(chat.instance, "live:1")
    await chat.write(repository, chat.commit(b"two"))


async def test_a_dead_owner_is_fenced(place: Place) -> None:
    """Once its registration ended another acquires the session, and it can store nothing."""
    repository = place.repository
    former = await new_chat(repository, "abc")
    other = await register(repository, "live:2")
    await place.expire(former.instance)
    present = await own(repository, "abc", other)
    assert present.stored.meta.epoch == former.stored.meta.epoch + 1
    assert await repository.commit([former.commit(b"late")]) == [
        Refused(present.head, registered=False)
    ]
    assert await repository.delete(former.deletion()) == Refused(present.head, registered=False)
    await present.write(repository, present.commit(b"two"))
    assert (await all_records(repository, "abc"))[1:] == [b"two"]


async def test_who_is_not_registered_acquires_nothing(place: Place) -> None:
    """An instance that is unknown or expired is told so, and nothing changes."""
    repository = place.repository
    made = creation("abc")
    await repository.create(made)
    gone = await register(repository)
    await place.expire(gone)
    for instance in (some_bytes(), gone):
        assert await repository.acquire("abc", instance, some_bytes()) == NotRegistered()
    assert (await now(repository, "abc")).head == made.head


async def test_its_own_session_is_lost_to_an_expired_instance(place: Place) -> None:
    """Not even the commit id that it once acquired with helps an instance that has expired."""
    repository = place.repository
    await repository.create(creation("abc"))
    instance, commit_id = await register(repository), some_bytes()
    await repository.acquire("abc", instance, commit_id)
    await place.expire(instance)
    assert await repository.acquire("abc", instance, commit_id) == NotRegistered()


async def test_nothing_is_acquired_where_nothing_stands(repository: Repository) -> None:
    """None, and no head appears."""
    assert await repository.acquire("abc", await register(repository), some_bytes()) is None
    assert await repository.snapshot("abc") is None


async def test_a_tombstone_is_shown_and_never_replaced(repository: Repository) -> None:
    """Nobody takes over a deleted session; the tombstone is given as it is."""
    chat = await new_chat(repository, "abc")
    deletion = chat.deletion()
    await repository.delete(deletion)
    shown = await repository.acquire("abc", chat.instance, some_bytes())
    assert isinstance(shown, Snapshot)
    assert (shown.head, shown.outputs) == (deletion.head, b"")
    assert (await now(repository, "abc")).head == deletion.head


async def test_of_instances_that_meet_one_acquires(repository: Repository) -> None:
    """One gets the session, the others learn its name; the epoch rises once."""
    await repository.create(creation("abc"))
    instances = [await register(repository, f"live:{n}") for n in range(12)]
    outcomes = await asyncio.gather(
        *(repository.acquire("abc", instance, some_bytes()) for instance in instances)
    )
    (winner,) = [n for n, outcome in enumerate(outcomes) if isinstance(outcome, Snapshot)]
    assert outcomes.count(Owned(instances[winner], f"live:{winner}")) == 11
    assert decode_head((await now(repository, "abc")).head).meta.epoch == 1


async def test_a_head_that_moves_meanwhile_is_acquired_as_it_then_stands(
    repository: Repository,
) -> None:
    """What is given holds every commit that was stored before, and fences all later ones."""
    chat = await new_chat(repository, "abc")

    async def write() -> int:
        stored = 0
        while True:
            commit = chat.commit(b"text")
            if await repository.commit([commit]) != [Committed()]:
                return stored
            chat.took(commit)
            stored += 1
            if stored == 5:
                under_way.set()
            await asyncio.sleep(0)

    under_way = asyncio.Event()
    writing = asyncio.create_task(write())
    await under_way.wait()
    acquired = await repository.acquire("abc", chat.instance, some_bytes())
    stored = await writing
    assert isinstance(acquired, Snapshot)
    assert decode_head(acquired.head).seq == 1 + stored
    assert len(await all_records(repository, "abc")) == 1 + stored
