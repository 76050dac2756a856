"""A deletion leaves a tombstone and nothing else."""

from __future__ import annotations

import dataclasses

from services.store.repository import Repository
from services.store.writes import Committed, DraftWrite, Refused
from tests.contracts.chats import (
    all_drafts,
    all_records,
    listed,
    new_chat,
    now,
    register,
    tombstone_bytes,
)
from tests.contracts.places import Place


async def test_all_of_a_session_goes_at_one_revision(repository: Repository) -> None:
    """Records, outputs, drafts, entry and awaited place are gone where the tombstone appears."""
    chat = await new_chat(repository, "abc", agent="planner")
    draft = DraftWrite("t", 1, b"text")
    await chat.write(repository, chat.commit(b"two", b"three", outputs=b"table", drafts=(draft,)))
    before = (await now(repository, "abc")).revision
    deletion = chat.deletion()
    assert await repository.delete(deletion) == Committed()
    snapshot = await now(repository, "abc")
    assert (snapshot.head, snapshot.outputs) == (deletion.head, b"")
    assert await all_records(repository, "abc") == []
    assert await all_drafts(repository, "abc", "t") == []
    assert await listed(repository) == []
    assert await repository.count("alice") == 0
    assert (await repository.awaited("planner")).entries == ()
    for earlier in range(before, snapshot.revision):
        assert len(await repository.records("abc", 1, 9, revision=earlier)) == 3
        assert await repository.drafts("abc", "t", revision=earlier) == [b"text"]
        page = await repository.entries("alice", after=None, limit=9, revision=earlier)
        assert len(page.entries) == 1


async def test_neighbours_of_a_deleted_session_stay(repository: Repository) -> None:
    """Ids that begin alike, or sort beside it, lose nothing."""
    names = ["abc", "abc-1", "abc.", "abc~", "ab", "abcd"]
    instance = await register(repository)
    chats = {name: await new_chat(repository, name, instance=instance) for name in names}
    for chat in chats.values():
        await chat.write(repository, chat.drafting(DraftWrite("t", 1, b"text")))
    assert await repository.delete(chats["abc"].deletion()) == Committed()
    for name in names[1:]:
        assert len(await all_records(repository, name)) == 1
        assert await all_drafts(repository, name, "t") == [b"text"]
    assert await listed(repository) == sorted(names[1:])


async def test_a_tombstone_refuses_late_writers(repository: Repository) -> None:
    """Nothing brings a deleted session back; the writer is shown the tombstone."""
    chat = await new_chat(repository, "abc")
    late = chat.commit(b"late")
    deletion = chat.deletion()
    await repository.delete(deletion)
    refused = Refused(deletion.head, registered=True)
    assert await repository.commit([late]) == [refused]
    assert await repository.delete(chat.deletion(tombstone_bytes("another"))) == refused
    assert await all_records(repository, "abc") == []
    assert await listed(repository) == []


async def test_a_stale_deletion_deletes_nothing(repository: Repository) -> None:
    """The head's bytes are compared, as for a commit."""
    chat = await new_chat(repository, "abc", agent="planner")
    deletion = chat.deletion()
    await chat.write(repository, chat.commit(b"two"))
    assert await repository.delete(deletion) == Refused(chat.head, registered=True)
    assert len(await all_records(repository, "abc")) == 2
    assert await listed(repository) == ["abc"]
    assert len((await repository.awaited("planner")).entries) == 1


async def test_who_is_not_registered_deletes_nothing(place: Place) -> None:
    """The registration is compared, as for a commit."""
    repository = place.repository
    chat = await new_chat(repository, "abc")
    await place.expire(chat.instance)
    assert await repository.delete(chat.deletion()) == Refused(chat.head, registered=False)
    assert len(await all_records(repository, "abc")) == 1


async def test_a_session_that_is_not_there_is_not_deleted(repository: Repository) -> None:
    """There is no tombstone of what never was."""
    chat = dataclasses.replace(await new_chat(repository, "abc"), session_id="xyz")
    assert await repository.delete(chat.deletion()) == Refused(b"", registered=True)
    assert await repository.snapshot("xyz") is None
