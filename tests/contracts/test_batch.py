"""Commits of one batch share a write, and nothing else."""

from __future__ import annotations

import asyncio

import pytest

from services.store.repository import Repository
from services.store.writes import BatchRefused, Commit, Committed, DraftWrite, Refused
from tests.contracts.chats import (
    Chat,
    all_drafts,
    all_records,
    creation,
    listed,
    now,
    own,
    register,
)

LARGE = 1536 * 1024


async def chats(repository: Repository, count: int) -> list[Chat]:
    instance = await register(repository)
    names = [f"s{number}" for number in range(count)]
    await asyncio.gather(*(repository.create(creation(name)) for name in names))
    return list(await asyncio.gather(*(own(repository, name, instance) for name in names)))


async def texts(repository: Repository, session_id: str) -> list[bytes]:
    return (await all_records(repository, session_id))[1:]


async def test_a_full_batch_is_stored(repository: Repository) -> None:
    """63 commits go together, each with all that it writes, outcomes in the order given."""
    owned = await chats(repository, 63)
    batch = [
        chat.commit(b"two", outputs=b"t", position_ms=chat.position_ms + 300, agent="planner")
        for chat in owned
    ]
    assert await repository.commit(batch) == [Committed()] * 63
    for chat, commit in zip(owned, batch, strict=True):
        snapshot = await now(repository, chat.session_id)
        assert (snapshot.head, snapshot.outputs) == (commit.head, b"t")
        assert await texts(repository, chat.session_id) == [b"two"]
    assert len((await repository.awaited("planner")).entries) == 63
    assert await repository.count("alice") == 63


async def test_a_commit_of_sixty_operations_fits_into_a_full_batch(repository: Repository) -> None:
    """A batch of 63 has room for the largest commit that packing allows."""
    owned = await chats(repository, 63)
    batch = [chat.commit(b"two") for chat in owned[1:]]
    largest = owned[0].commit(*(b"r%d" % n for n in range(56)), outputs=b"t")
    assert 59 <= largest.operations <= 60
    assert await repository.commit([largest, *batch]) == [Committed()] * 63
    assert len(await texts(repository, "s0")) == 56


async def test_a_commit_of_many_drafts_fits_into_a_full_batch(repository: Repository) -> None:
    """Each draft counts as an operation, and so does the removal of those of an ended turn."""
    owned = await chats(repository, 63)
    batch = [chat.drafting(DraftWrite("t", 1, b"text")) for chat in owned[1:]]
    drafts = tuple(DraftWrite("t", n, b"text") for n in range(1, 57))
    largest = owned[0].commit(b"two", drafts=drafts, ended_turn="before")
    assert largest.operations == 1 + 1 + 2 + 56 + 1
    assert owned[0].drafting(*drafts).operations == 56
    assert await repository.commit([largest, *batch]) == [Committed()] * 63
    assert len(await all_drafts(repository, "s0", "t")) == 56
    for chat in owned[1:]:
        assert (await now(repository, chat.session_id)).head == chat.head
        assert await all_drafts(repository, chat.session_id, "t") == [b"text"]


async def test_stale_drafts_fail_alone(repository: Repository) -> None:
    """Of a batch of drafts, those over an older head are refused, and the others are stored."""
    owned = await chats(repository, 3)
    batch = [chat.drafting(DraftWrite("t", 1, b"text")) for chat in owned]
    await owned[1].write(repository, owned[1].commit(b"newer"))
    assert await repository.commit(batch) == [
        Committed(),
        Refused(owned[1].head, registered=True),
        Committed(),
    ]
    stored = [await all_drafts(repository, chat.session_id, "t") for chat in owned]
    assert stored == [[b"text"], [], [b"text"]]


async def test_a_stale_commit_fails_alone(repository: Repository) -> None:
    """The others of its batch are stored, and it is shown what stood there."""
    owned = await chats(repository, 3)
    stale = owned[1].commit(b"stale")
    await owned[1].write(repository, owned[1].commit(b"newer"))
    batch = [owned[0].commit(b"two"), stale, owned[2].commit(b"two")]
    assert await repository.commit(batch) == [
        Committed(),
        Refused(owned[1].head, registered=True),
        Committed(),
    ]
    assert await texts(repository, "s1") == [b"newer"]
    assert await texts(repository, "s2") == [b"two"]


async def test_a_batch_of_stale_commits_stores_nothing(repository: Repository) -> None:
    """Each is refused with its own session's head."""
    owned = await chats(repository, 3)
    stale = [chat.commit(b"stale") for chat in owned]
    for chat in owned:
        await chat.write(repository, chat.commit(b"newer"))
    assert await repository.commit(stale) == [Refused(chat.head, registered=True) for chat in owned]


async def one_by_one(repository: Repository, batch: list[Commit]) -> list[str]:
    outcomes = [(await repository.commit([commit]))[0] for commit in batch]
    return [type(outcome).__name__ for outcome in outcomes]


async def test_a_batch_that_is_refused_whole_stores_nothing(repository: Repository) -> None:
    """One commit too large, or one session twice, refuses the batch; nothing of it is stored."""
    owned = await chats(repository, 3)
    good = [owned[0].commit(b"two"), owned[2].commit(b"two")]
    before = (await now(repository, "s0")).revision
    for bad in (owned[1].commit(bytes(LARGE)), owned[0].commit(b"doubled")):
        with pytest.raises(BatchRefused):
            await repository.commit([good[0], bad, good[1]])
    assert (await now(repository, "s0")).revision == before


async def test_a_refused_batch_sent_in_parts_loses_none_of_the_others(
    repository: Repository,
) -> None:
    """One stale, one too large, one doubled: all else is stored when the parts go alone."""
    owned = await chats(repository, 6)
    stale = owned[1].commit(b"stale")
    await owned[1].write(repository, owned[1].commit(b"newer"))
    batch = [
        owned[0].commit(b"two"),
        stale,
        owned[2].commit(bytes(LARGE)),
        owned[3].commit(b"two"),
        owned[3].commit(b"doubled"),
        owned[4].commit(b"two"),
        owned[5].commit(b"two"),
    ]
    with pytest.raises(BatchRefused):
        await repository.commit(batch)
    assert await one_by_one(repository, batch) == [
        "Committed",
        "Refused",
        "Unstorable",
        "Committed",
        "Refused",
        "Committed",
        "Committed",
    ]
    stored = {chat.session_id: await texts(repository, chat.session_id) for chat in owned}
    assert stored == {
        "s0": [b"two"],
        "s1": [b"newer"],
        "s2": [],
        "s3": [b"two"],
        "s4": [b"two"],
        "s5": [b"two"],
    }
    assert await listed(repository) == [chat.session_id for chat in owned]


async def test_a_batch_of_nothing_is_nothing(repository: Repository) -> None:
    """No commits, no outcomes."""
    assert await repository.commit([]) == []
