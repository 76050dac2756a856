"""Changes of all sessions: each once, in order; and which there were since a revision."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from services.store.answers import AllChanges, RevisionCompacted
from services.store.etcd.repository import EtcdRepository
from services.store.writes import Committed, DraftWrite
from tests.contracts.chats import creation, new_chat, now, register
from tests.contracts.places import EtcdPlace, Place
from tests.contracts.test_tombstones import Clock, deleted, timed
from tests.contracts.test_watch import SECONDS, revision_of

Enough = Callable[[list[AllChanges]], object]


async def until(changes: AsyncIterator[AllChanges], enough: Enough) -> list[AllChanges]:
    """Gather changes that change something until there are enough."""
    seen: list[AllChanges] = []
    async with asyncio.timeout(SECONDS):
        while not enough(seen):
            change = await anext(changes)
            if change.heads or change.records or change.erased:
                seen.append(change)
    return seen


def so_many(count: int) -> Enough:
    return lambda seen: len(seen) == count


async def test_revisions_are_of_the_first_history_until_a_backup_is_restored(place: Place) -> None:
    """The doctor says that then; nothing else does."""
    await place.repository.create(creation("s-1"))
    assert await place.repository.history_id() == ""


async def test_each_revision_comes_once_with_its_heads_and_records(place: Place) -> None:
    """Of all users: creations, takeovers, commits and tombstones, as they were written."""
    repository = place.repository
    start = await revision_of(repository)
    made = creation("s-1", "bob")
    await repository.create(made)
    chat = await new_chat(repository, "s")
    commit = chat.commit(b"two", b"three", outputs=b"table")
    await chat.write(repository, commit)
    await chat.write(repository, chat.drafting(DraftWrite("t", 1, b"draft")))
    deletion = chat.deletion()
    await repository.delete(deletion)
    async with repository.watch_all(after_revision=start) as changes:
        created, another, taken, written, gone = await until(changes, so_many(5))
    assert (created.heads, created.records) == ({"s-1": made.head}, (("s-1", made.record),))
    assert list(another.heads) == ["s"]
    assert (list(taken.heads), taken.records) == (["s"], ())
    assert written.heads == {"s": commit.head}
    assert written.records == (("s", b"two"), ("s", b"three"))
    assert (gone.heads, gone.records, gone.erased) == ({"s": deletion.head}, (), ())
    revisions = [each.revision for each in (created, another, taken, written, gone)]
    assert revisions == sorted(set(revisions))


async def test_a_batch_is_one_change(place: Place) -> None:
    """What one revision did to many sessions comes together, each in order of seq."""
    repository = place.repository
    instance = await register(repository)
    chats = [await new_chat(repository, f"s{n}", instance=instance) for n in range(5)]
    start = await revision_of(repository)
    await repository.commit([chat.commit(b"two", b"three") for chat in chats])
    async with repository.watch_all(after_revision=start) as changes:
        (change,) = await until(changes, len)
    assert sorted(change.heads) == [f"s{n}" for n in range(5)]
    assert [value for session_id, value in change.records if session_id == "s3"] == [
        b"two",
        b"three",
    ]


async def test_changes_come_while_the_watch_is_open(place: Place) -> None:
    """What happens after the watch began is given as well, and what was before is not."""
    repository = place.repository
    await repository.create(creation("before"))
    start = await revision_of(repository)
    async with repository.watch_all(after_revision=start) as changes:
        for name in ("a", "b"):
            waiting = asyncio.create_task(until(changes, len))
            await asyncio.sleep(0)
            await repository.create(creation(name))
            (change,) = await waiting
            assert list(change.heads) == [name]


async def test_a_watch_over_forgotten_changes_says_so(place: Place) -> None:
    """It raises instead of skipping them."""
    repository = place.repository
    start = await revision_of(repository)
    await repository.create(creation("abc"))
    await repository.create(creation("xyz"))
    await place.compact()
    async with repository.watch_all(after_revision=start) as changes:
        with pytest.raises(RevisionCompacted):
            async with asyncio.timeout(SECONDS):
                await anext(changes)


async def test_what_is_forgotten_is_not_kept(place: Place) -> None:
    """And what is not forgotten is."""
    repository = place.repository
    start = await revision_of(repository)
    await repository.create(creation("abc"))
    await repository.check_kept(start)
    await repository.create(creation("xyz"))
    await place.compact()
    await repository.check_kept(await revision_of(repository))
    with pytest.raises(RevisionCompacted):
        await repository.check_kept(start)


async def test_what_changed_since_a_forgotten_revision_is_found(place: Place) -> None:
    """The sessions that were written, also where they moved in their list, and the deleted ones."""
    repository = place.repository
    instance = await register(repository)
    quiet, moved, gone, was_gone = [
        await new_chat(repository, name, instance=instance)
        for name in ("quiet", "moved", "gone", "was-gone")
    ]
    await repository.delete(was_gone.deletion())
    start = await revision_of(repository)
    await moved.write(repository, moved.commit(b"two", position_ms=moved.position_ms + 1000))
    await repository.create(creation("new", "b:ob"))
    deletion = gone.deletion()
    await repository.delete(deletion)
    await place.compact()
    found = await repository.changed_since(start)
    assert sorted(found.session_ids) == ["moved", "new"]
    assert found.tombstones == (("gone", deletion.head),)
    assert found.revision >= (await now(repository, "gone")).revision
    nothing = await repository.changed_since(found.revision)
    assert (nothing.session_ids, nothing.tombstones) == ((), ())
    assert quiet.session_id not in found.session_ids


async def test_the_first_record_after_a_revision_is_found(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it stands among pages of keys."""
    monkeypatch.setattr("services.store.etcd.feed._KEYS", 3)
    repository = place.repository
    before = await revision_of(repository)
    chat = await new_chat(repository, "abc")
    revisions = [await revision_of(repository)]
    for _ in range(4):
        await chat.write(repository, chat.commit(b"a", b"b"))
        revisions.append(await revision_of(repository))
    await place.compact()
    assert await repository.first_after("abc", before, last_seq=9) == 1
    found = [await repository.first_after("abc", each, last_seq=9) for each in revisions]
    assert found == [2, 4, 6, 8, 10]


async def test_a_page_of_keys_is_no_end(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """More sessions than one answer holds."""
    monkeypatch.setattr("services.store.etcd.feed._KEYS", 2)
    repository = place.repository
    start = await revision_of(repository)
    names = [f"s{n}" for n in range(5)]
    for name in names:
        assert await repository.create(creation(name)) == Committed()
    assert sorted((await repository.changed_since(start)).session_ids) == names


async def test_a_tombstone_that_expires_is_no_change(etcd_place: EtcdPlace) -> None:
    """It was told when it was put."""
    async with timed(etcd_place, Clock()) as repository:
        lease = await deleted(repository, etcd_place, "abc")
        start = await revision_of(repository)
        await etcd_place.etcd.lease_revoke(lease)
        await repository.create(creation("next"))
        async with repository.watch_all(after_revision=start) as changes:
            (change,) = await until(changes, len)
        assert list(change.heads) == ["next"]
        assert (await repository.changed_since(start)).tombstones == ()


async def test_a_session_that_leaves_no_tombstone_is_erased(etcd_place: EtcdPlace) -> None:
    """As where there was no space for one."""
    repository = etcd_place.repository
    assert isinstance(repository, EtcdRepository)
    await repository.create(creation("abc"))
    start = await revision_of(repository)
    stem = f"{etcd_place.namespace}session:abc".encode()
    await etcd_place.etcd.delete(stem, stem + b";")
    async with repository.watch_all(after_revision=start) as changes:
        (change,) = await until(changes, len)
    assert change.erased == ("abc",)
