"""Reads of a session: current ones, and ones at a revision."""

from __future__ import annotations

import pytest

from services.store.answers import RevisionCompacted
from services.store.repository import Repository
from sessiond.errors import Unavailable
from tests.contracts.chats import creation, new_chat, now
from tests.contracts.places import Place


async def test_what_was_never_made_is_not_there(repository: Repository) -> None:
    """No head, no snapshot."""
    assert await repository.snapshot("abc") is None


async def test_a_read_sees_every_write_before_it(repository: Repository) -> None:
    """Each snapshot shows the commit that was answered last, at a revision that never falls."""
    chat = await new_chat(repository, "abc")
    last = 0
    for _ in range(20):
        commit = chat.commit(b"text")
        await chat.write(repository, commit)
        snapshot = await now(repository, "abc")
        assert snapshot.head == commit.head
        assert snapshot.revision > last
        last = snapshot.revision


async def test_records_come_in_order_and_without_neighbours(repository: Repository) -> None:
    """A range gives the seqs asked for that are there, in order, and of this session alone."""
    chat = await new_chat(repository, "abc")
    beside = await new_chat(repository, "abc-1", instance=chat.instance)
    await beside.write(repository, beside.commit(b"not ours"))
    texts = [f"{seq}".encode() for seq in range(2, 13)]
    await chat.write(repository, chat.commit(*texts, outputs=b"table"))
    revision = (await now(repository, "abc")).revision
    assert (await repository.records("abc", 1, 12, revision=revision))[1:] == texts
    assert await repository.records("abc", 9, 11, revision=revision) == [b"9", b"10", b"11"]
    assert await repository.records("abc", 12, 500, revision=revision) == [b"12"]
    assert await repository.records("abc", 13, 500, revision=revision) == []


async def test_single_records_come_in_the_order_asked(repository: Repository) -> None:
    """Each seq once for each time it was asked for; what is not there does not come."""
    chat = await new_chat(repository, "abc")
    for start in range(2, 242, 60):
        texts = (f"{seq}".encode() for seq in range(start, start + 60))
        await chat.write(repository, chat.commit(*texts))
    revision = (await now(repository, "abc")).revision
    assert await repository.records_at("abc", [7, 3, 900, 7], revision=revision) == [
        b"7",
        b"3",
        b"7",
    ]
    many = list(range(241, 1, -1))
    assert await repository.records_at("abc", many, revision=revision) == [
        f"{seq}".encode() for seq in many
    ]
    assert await repository.records_at("abc", [], revision=revision) == []


async def test_a_long_history_comes_whole(repository: Repository) -> None:
    """More records than one answer holds come in pages, unseen by the caller."""
    chat = await new_chat(repository, "abc")
    for _ in range(21):
        await chat.write(repository, chat.commit(*([b"text"] * 60)))
    revision = (await now(repository, "abc")).revision
    records = await repository.records("abc", 1, 20_000, revision=revision)
    assert len(records) == 1 + 21 * 60


async def test_a_read_at_a_revision_sees_the_past(repository: Repository) -> None:
    """Later writes, deletions too, do not change what stands at a revision."""
    chat = await new_chat(repository, "abc")
    await chat.write(repository, chat.commit(b"two"))
    revision = (await now(repository, "abc")).revision
    await chat.write(repository, chat.commit(b"three"))
    await repository.delete(chat.deletion())
    assert (await repository.records("abc", 2, 9, revision=revision)) == [b"two"]
    assert (await repository.records_at("abc", [3, 2], revision=revision)) == [b"two"]
    page = await repository.entries("alice", after=None, limit=9, revision=revision)
    assert [entry.value for entry in page.entries] == [b"entry of abc at 2"]


async def test_a_forgotten_revision_cannot_be_read(place: Place) -> None:
    """Every read at it says `RevisionCompacted`; the present can be read."""
    repository = place.repository
    await repository.create(creation("abc"))
    revision = (await now(repository, "abc")).revision
    await repository.create(creation("xyz"))
    await place.compact()
    with pytest.raises(RevisionCompacted):
        await repository.records("abc", 1, 9, revision=revision)
    with pytest.raises(RevisionCompacted):
        await repository.records_at("abc", [1], revision=revision)
    with pytest.raises(RevisionCompacted):
        await repository.entries("alice", after=None, limit=9, revision=revision)
    revision = (await now(repository, "abc")).revision
    assert len(await repository.records("abc", 1, 9, revision=revision)) == 1


async def test_the_future_cannot_be_read(repository: Repository) -> None:
    """A revision that has not happened has no answer, rather than a wrong one."""
    await repository.create(creation("abc"))
    future = (await now(repository, "abc")).revision + 1000
    with pytest.raises(Unavailable):
        await repository.records("abc", 1, 9, revision=future)
    with pytest.raises(Unavailable):
        await repository.records_at("abc", [1], revision=future)
