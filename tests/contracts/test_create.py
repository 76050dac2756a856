"""A creation is stored together or not at all, and an id is taken once."""

from __future__ import annotations

import asyncio

import pytest

from services.store.answers import Existing
from services.store.repository import Repository
from services.store.writes import Committed
from sessiond.errors import SessionFull
from tests.contracts.chats import all_records, creation, listed, new_chat, now, some_bytes

LARGE = 1536 * 1024


async def test_a_new_session_is_there_in_all_its_places(repository: Repository) -> None:
    """Head, first record, entry and awaited place are there when `create` returns."""
    made = creation("abc", agent="planner")
    assert await repository.create(made) == Committed()
    snapshot = await now(repository, "abc")
    assert (snapshot.head, snapshot.outputs) == (made.head, b"")
    assert await all_records(repository, "abc") == [made.record]
    page = await repository.entries("alice", after=None, limit=10, revision=None)
    assert [(one.session_id, one.position_ms, one.value) for one in page.entries] == [
        ("abc", made.position_ms, made.entry)
    ]
    assert (await repository.awaited("planner")).entries == (("abc", made.entry),)


async def test_an_id_is_taken_while_a_session_stands(repository: Repository) -> None:
    """The second creation learns the head and the first record, and stores nothing."""
    first, second = creation("abc", "alice"), creation("abc", "bob", agent="planner")
    await repository.create(first)
    assert await repository.create(second) == Existing(first.head, first.record)
    assert (await now(repository, "abc")).head == first.head
    assert await repository.count("bob") == 0
    assert (await repository.awaited("planner")).entries == ()


async def test_an_id_stays_taken_beside_a_tombstone(repository: Repository) -> None:
    """A deleted session keeps its id: the tombstone is shown, and no record."""
    chat = await new_chat(repository, "abc")
    deletion = chat.deletion()
    await repository.delete(deletion)
    assert await repository.create(creation("abc")) == Existing(deletion.head, b"")
    assert await repository.count("alice") == 0


async def test_a_creation_is_recognised_by_its_first_record(repository: Repository) -> None:
    """A creation whose answer was lost is answered `Committed` again, and written once."""
    made = creation("abc")
    await repository.create(made)
    before = (await now(repository, "abc")).revision
    assert await repository.create(made) == Committed()
    assert (await now(repository, "abc")).revision == before


async def test_one_of_many_creations_of_an_id_wins(repository: Repository) -> None:
    """Of creations that meet, one is stored, and every other one is shown that one."""
    tries = [creation("abc", f"user{n}") for n in range(20)]
    outcomes = await asyncio.gather(*(repository.create(each) for each in tries))
    (winner,) = [
        made for made, outcome in zip(tries, outcomes, strict=True) if outcome == Committed()
    ]
    assert outcomes.count(Existing(winner.head, winner.record)) == 19
    counts = [await repository.count(made.user_id) for made in tries]
    assert sum(counts) == 1


async def test_what_is_too_large_is_not_half_stored(repository: Repository) -> None:
    """A creation over the limit of one write is `SessionFull`, and leaves nothing."""
    made = creation("abc", agent="planner")
    large = type(made)(
        **{name: getattr(made, name) for name in made.__slots__} | {"record": bytes(LARGE + 1)}
    )
    with pytest.raises(SessionFull):
        await repository.create(large)
    assert await repository.snapshot("abc") is None
    assert await listed(repository) == []
    assert (await repository.awaited("planner")).entries == ()


async def test_fifty_creations_and_deletions_leave_index_and_sessions_equal(
    repository: Repository,
) -> None:
    """Whatever meets whatever, the list holds exactly the sessions that are there."""

    async def one(number: int) -> None:
        chat = await new_chat(repository, f"s{number}", instance=instance)
        if number % 2:
            assert await repository.delete(chat.deletion()) == Committed()

    instance = some_bytes()
    await repository.register(instance, address="live:1", ttl_seconds=3600)
    await asyncio.gather(*(one(number) for number in range(50)))
    remaining = sorted(f"s{number}" for number in range(0, 50, 2))
    assert await listed(repository) == remaining
    assert await repository.count("alice") == len(remaining)
    for number in range(50):
        records = await all_records(repository, f"s{number}")
        assert len(records) == (0 if number % 2 else 1)
