"""What is shared with a user: pointers, what they point to, and how that changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from services.store.answers import RevisionCompacted, SharedChange, SharedSession
from services.store.repository import Repository
from services.store.writes import Committed, SharedWrite, Unstorable
from tests.contracts.chats import (
    START_MS,
    Chat,
    listed,
    new_chat,
    now,
    register,
    revision_of,
    tombstone_bytes,
)
from tests.contracts.places import Place

SECONDS = 20


async def shared_with(repository: Repository, user_id: str) -> tuple[str, ...]:
    return (await repository.shared(user_id, revision=None)).session_ids


async def until(
    changes: AsyncIterator[SharedChange], enough: Callable[[set[str]], object]
) -> list[SharedChange]:
    """Gather changes until enough sessions were touched."""
    seen: list[SharedChange] = []
    touched: set[str] = set()
    async with asyncio.timeout(SECONDS):
        while not enough(touched):
            change = await anext(changes)
            if change.session_ids:
                seen.append(change)
                touched.update(change.session_ids)
    return seen


async def test_members_and_pointers_are_written_with_the_commit(repository: Repository) -> None:
    """One revision shows nothing of them, the next one both; None leaves the table."""
    chat = await new_chat(repository, "abc")
    before = (await now(repository, "abc")).revision
    await chat.write(repository, chat.commit(b"two", members=b"table", shared={"bob": True}))
    snapshot = await now(repository, "abc")
    assert (snapshot.members, snapshot.outputs) == (b"table", b"")
    assert await shared_with(repository, "bob") == ("abc",)
    for revision in range(before, snapshot.revision):
        assert (await repository.shared("bob", revision=revision)).session_ids == ()
    await chat.write(repository, chat.commit(b"three"))
    assert (await now(repository, "abc")).members == b"table"
    await chat.write(repository, chat.commit(b"four", members=b"", shared={"bob": False}))
    assert (await now(repository, "abc")).members == b""
    assert await shared_with(repository, "bob") == ()


async def test_what_is_shared_with_a_user_is_counted(repository: Repository) -> None:
    """Nothing else is: neither what they own, nor what is shared with one of a longer name."""
    instance = await register(repository)
    for number in range(3):
        chat = await new_chat(repository, f"s{number}", instance=instance)
        await chat.write(repository, chat.commit(b"two", shared={"bob": True, "bobby": True}))
        assert await repository.count_shared("bob") == number + 1
    await chat.write(repository, chat.commit(b"three", shared={"bob": False}))
    assert await repository.count_shared("bob") == 2
    assert await repository.count_shared("bobby") == 3
    assert await repository.count_shared("alice") == 0


async def test_a_new_owner_reads_the_members(repository: Repository) -> None:
    """Acquiring gives them with the head and the outputs."""
    chat = await new_chat(repository, "abc")
    await chat.write(repository, chat.commit(b"two", members=b"members", outputs=b"outputs"))
    acquired = await repository.acquire("abc", chat.instance, b"c" * 16)
    again = await repository.acquire("abc", chat.instance, b"c" * 16)
    for found in (acquired, again):
        assert (getattr(found, "members", b""), getattr(found, "outputs", b"")) == (
            b"members",
            b"outputs",
        )


async def test_a_session_that_is_given_away_moves_to_the_other_list(repository: Repository) -> None:
    """In one revision, also where its position stays."""
    for position_ms in (START_MS, START_MS + 250):
        chat = await new_chat(repository, f"s{position_ms}")
        given = chat.commit(
            b"two", position_ms=position_ms, given_to="bob", shared={"bob": False, "alice": True}
        )
        await chat.write(repository, given)
        assert await listed(repository, "alice") == []
        assert chat.session_id in await listed(repository, "bob")
        await chat.write(repository, chat.commit(b"three", position_ms=position_ms + 250))
        assert chat.session_id in await listed(repository, "bob")
    assert len(await shared_with(repository, "alice")) == 2


async def test_a_user_is_named_once(repository: Repository) -> None:
    """A commit that names one twice can never be stored, nor one of drafts that shares."""
    chat = await new_chat(repository, "abc")
    commit = chat.commit(b"two")
    commit.shared = (SharedWrite("bob", True), SharedWrite("bob", False))
    assert await repository.commit([commit]) == [Unstorable()]
    nobody = chat.commit(b"two", shared={"": True})
    assert await repository.commit([nobody]) == [Unstorable()]
    assert await shared_with(repository, "bob") == ()


async def test_pointers_are_of_one_user_and_in_order(repository: Repository) -> None:
    """Ids that need escaping share nothing with others."""
    instance = await register(repository)
    for name in ("b", "a", "c"):
        chat = await new_chat(repository, name, instance=instance)
        shared = {"u:v": True, "u": name == "a", "w": False}
        await chat.write(repository, chat.commit(b"two", shared=shared))
    assert await shared_with(repository, "u:v") == ("a", "b", "c")
    assert await shared_with(repository, "u") == ("a",)
    assert await shared_with(repository, "w") == ()


async def test_many_pointers_come_all(repository: Repository) -> None:
    """More than one read brings along."""
    instance = await register(repository)
    names = [f"s{number:03}" for number in range(230)]
    chats = [await new_chat(repository, name, instance=instance) for name in names]
    for start in range(0, len(chats), 50):
        batch = [chat.commit(b"two", shared={"bob": True}) for chat in chats[start : start + 50]]
        assert await repository.commit(batch) == [Committed()] * len(batch)
    assert await shared_with(repository, "bob") == tuple(names)
    revision = await revision_of(repository)
    found = await repository.shared_sessions([*names, "absent"], revision=revision)
    assert [each.session_id for each in found] == names
    places = [("alice", START_MS, name) for name in names]
    entries = await repository.entries_of(places, revision=revision)
    assert entries == [f"entry of {name} at 2".encode() for name in names]


async def test_heads_and_entries_are_read_at_their_revision(repository: Repository) -> None:
    """As they stood, a tombstone included; what is absent is passed over, or empty."""
    chat = await new_chat(repository, "abc")
    await chat.write(repository, chat.commit(b"two", members=b"table"))
    then, head = (await now(repository, "abc")).revision, chat.head
    await repository.delete(chat.deletion())
    later = (await now(repository, "abc")).revision
    assert await repository.shared_sessions(["xyz", "abc"], revision=then) == [
        SharedSession("abc", head, b"table")
    ]
    assert await repository.shared_sessions(["abc"], revision=later) == [
        SharedSession("abc", tombstone_bytes(), b"")
    ]
    here, elsewhere = ("alice", START_MS, "abc"), ("alice", START_MS + 1, "abc")
    assert await repository.entries_of([elsewhere, here], revision=then) == [
        b"",
        b"entry of abc at 2",
    ]
    assert await repository.entries_of([here], revision=later) == [b""]
    assert await repository.entries_of([], revision=then) == []


async def test_a_deletion_takes_the_pointers_along(repository: Repository) -> None:
    """Those that it names, and the table of members."""
    chat = await new_chat(repository, "abc")
    await chat.write(
        repository, chat.commit(b"two", members=b"table", shared={"bob": True, "carol": True})
    )
    await repository.delete(chat.deletion(shared_with=("bob", "carol")))
    assert (await now(repository, "abc")).members == b""
    for user_id in ("bob", "carol"):
        assert await shared_with(repository, user_id) == ()


async def test_a_watch_tells_of_pointers_and_of_heads(repository: Repository) -> None:
    """A session is touched when it comes, at each change while it is shared, and when it goes."""
    instance = await register(repository)
    mine = await new_chat(repository, "abc", instance=instance)
    other = await new_chat(repository, "xyz", instance=instance)
    await mine.write(repository, mine.commit(b"two", shared={"bob": True}))
    start = await revision_of(repository)
    async with repository.watch_shared("bob", after_revision=start) as changes:

        async def happens(chat: Chat, **shared: bool) -> None:
            await chat.write(repository, chat.commit(b"text", shared=shared))
            at = (await now(repository, chat.session_id)).revision
            seen = await until(changes, lambda touched: touched)
            assert seen == [SharedChange(at, (chat.session_id,))]

        await happens(mine)
        await happens(other, bob=True)
        await happens(other)
        await happens(mine)


async def test_what_is_shared_no_longer_is_told_and_never_again(repository: Repository) -> None:
    """Its head is of no concern from then on."""
    instance = await register(repository)
    gone, here, next_one = [
        await new_chat(repository, name, instance=instance) for name in ("abc", "xyz", "next")
    ]
    for chat in (gone, here):
        await chat.write(repository, chat.commit(b"two", shared={"bob": True}))
    start = await revision_of(repository)
    async with repository.watch_shared("bob", after_revision=start) as changes:
        await gone.write(repository, gone.commit(b"three", shared={"bob": False}))
        await next_one.write(repository, next_one.commit(b"two", shared={"bob": True}))
        # Pointers come in their own order: with the second, the first has come.
        seen = await until(changes, lambda touched: "next" in touched)
        assert {session_id for change in seen for session_id in change.session_ids} == {
            "abc",
            "next",
        }
        for _ in range(3):
            await gone.write(repository, gone.commit(b"text"))
        await here.write(repository, here.commit(b"three"))
        seen = await until(changes, lambda touched: "xyz" in touched)
    assert all("abc" not in change.session_ids for change in seen)


async def test_a_deleted_session_is_told(repository: Repository) -> None:
    """By its pointer and its head, at one revision."""
    chat = await new_chat(repository, "abc")
    await chat.write(repository, chat.commit(b"two", shared={"bob": True}))
    start = await revision_of(repository)
    await repository.delete(chat.deletion(shared_with=("bob",)))
    async with repository.watch_shared("bob", after_revision=start) as changes:
        seen = await until(changes, len)
    assert seen[0] == SharedChange((await now(repository, "abc")).revision, ("abc",))


async def test_a_wait_that_is_given_up_loses_nothing(repository: Repository) -> None:
    """Cancelling a wait for the next change leaves the watch as it was."""
    chat = await new_chat(repository, "abc")
    start = await revision_of(repository)
    async with repository.watch_shared("bob", after_revision=start) as changes:
        for _ in range(3):
            waiting = asyncio.create_task(until(changes, len))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        await chat.write(repository, chat.commit(b"two", shared={"bob": True}))
        assert (await until(changes, len))[0].session_ids == ("abc",)


async def test_a_watch_over_forgotten_changes_says_so(place: Place) -> None:
    """Where changes after the revision are gone, it raises: on entering, or when asked."""
    repository = place.repository
    chat = await new_chat(repository, "abc")
    start = await revision_of(repository)
    await chat.write(repository, chat.commit(b"two", shared={"bob": True}))
    await chat.write(repository, chat.commit(b"three"))
    await place.compact()
    with pytest.raises(RevisionCompacted):
        async with (
            asyncio.timeout(SECONDS),
            repository.watch_shared("bob", after_revision=start) as changes,
        ):
            await anext(changes)
