"""A watch gives every change of its scope once, in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from services.store.answers import AgentScope, RevisionCompacted, ScopeChange, UserScope
from services.store.repository import Repository
from tests.contracts.chats import START_MS, creation, new_chat, now, register
from tests.contracts.places import Place

SECONDS = 20


async def until(
    changes: AsyncIterator[ScopeChange], enough: Callable[[list[ScopeChange]], object]
) -> list[ScopeChange]:
    """Gather changes that change something until there are enough."""
    seen: list[ScopeChange] = []
    async with asyncio.timeout(SECONDS):
        while not enough(seen):
            change = await anext(changes)
            if change.entries or change.removed:
                seen.append(change)
    return seen


def removed(session_id: str) -> Callable[[list[ScopeChange]], bool]:
    return lambda seen: bool(seen) and session_id in seen[-1].removed


async def revision_of(repository: Repository) -> int:
    return (await repository.instances())[0]


async def test_each_change_comes_once_in_order(repository: Repository) -> None:
    """Creation, commits, moves and deletion come as they happened, each at its own revision."""
    start = await revision_of(repository)
    chat = await new_chat(repository, "abc")
    for seq in range(2, 12):
        moved = START_MS + 300 * (seq // 2)
        await chat.write(repository, chat.commit(b"text", position_ms=moved))
    await repository.delete(chat.deletion())
    async with repository.watch(UserScope("alice"), after_revision=start) as changes:
        seen = await until(changes, removed("abc"))
    assert [change.entries for change in seen] == [
        *((("abc", f"entry of abc at {seq}".encode()),) for seq in range(1, 12)),
        (),
    ]
    assert [change.removed for change in seen] == [()] * 11 + [("abc",)]
    revisions = [change.revision for change in seen]
    assert revisions == sorted(set(revisions))
    assert revisions[-1] == (await now(repository, "abc")).revision


async def test_changes_come_while_the_watch_is_open(repository: Repository) -> None:
    """What happens after the watch began is given as well."""
    start = await revision_of(repository)
    async with repository.watch(UserScope("alice"), after_revision=start) as changes:
        for number in range(5):
            waiting = asyncio.create_task(until(changes, len))
            await asyncio.sleep(0)
            made = creation(f"s{number}")
            await repository.create(made)
            (change,) = await waiting
            assert change.entries == ((f"s{number}", made.entry),)


async def test_a_watch_starts_after_its_revision(repository: Repository) -> None:
    """Changes up to the revision are not given again."""
    await repository.create(creation("before"))
    start = (await now(repository, "before")).revision
    await repository.create(creation("after"))
    async with repository.watch(UserScope("alice"), after_revision=start) as changes:
        (change,) = await until(changes, len)
    assert [session_id for session_id, _ in change.entries] == ["after"]


async def test_a_batch_is_one_change(repository: Repository) -> None:
    """What one revision did to many sessions of a user comes together."""
    instance = await register(repository)
    chats = [await new_chat(repository, f"s{n}", instance=instance) for n in range(5)]
    start = (await now(repository, "s0")).revision
    batch = [chat.commit(b"two", position_ms=START_MS + 250 * n) for n, chat in enumerate(chats)]
    await repository.commit(batch)
    async with repository.watch(UserScope("alice"), after_revision=start) as changes:
        (change,) = await until(changes, len)
    assert sorted(session_id for session_id, _ in change.entries) == [f"s{n}" for n in range(5)]
    assert change.removed == ()


async def test_a_watch_sees_its_own_scope_alone(repository: Repository) -> None:
    """Other users' sessions never come, however alike the ids are."""
    start = await revision_of(repository)
    for user_id in ("a:b", "ab", "A", "a:sessions", "a%"):
        await repository.create(creation(f"of-{len(user_id)}-{ord(user_id[-1])}", user_id))
    await repository.create(creation("ours", "a"))
    async with repository.watch(UserScope("a"), after_revision=start) as changes:
        (change,) = await until(changes, len)
    assert [session_id for session_id, _ in change.entries] == ["ours"]


async def test_an_agent_sees_sessions_come_and_go(repository: Repository) -> None:
    """A session enters with its entry when it comes to await the agent, and leaves when not."""
    start = await revision_of(repository)
    chat = await new_chat(repository, "abc", agent="planner")
    await chat.write(repository, chat.commit(b"two"))
    await chat.write(repository, chat.commit(b"three", agent="writer"))
    await chat.write(repository, chat.commit(b"four", agent="planner"))
    await repository.delete(chat.deletion())
    async with repository.watch(AgentScope("planner"), after_revision=start) as changes:
        seen = await until(changes, lambda seen: len(seen) == 4)
    assert [change.entries for change in seen] == [
        (("abc", b"entry of abc at 1"),),
        (),
        (("abc", b"entry of abc at 4"),),
        (),
    ]
    assert [change.removed for change in seen] == [(), ("abc",), (), ("abc",)]


async def test_list_then_watch_follows_the_truth(repository: Repository) -> None:
    """A list at a revision, and every change after it, is at each later moment the list then."""
    instance = await register(repository)
    chats = [await new_chat(repository, f"s{n}", instance=instance) for n in range(8)]
    page = await repository.entries("alice", after=None, limit=100, revision=None)
    copy = {entry.session_id: entry.value for entry in page.entries}

    async def work() -> None:
        for turn in range(6):
            for chat in chats[: 8 - turn]:
                moved = chat.position_ms + 100 * turn
                await chat.write(repository, chat.commit(b"text", position_ms=moved))
            await repository.delete(chats[7 - turn].deletion())
            await asyncio.sleep(0)
        await repository.create(creation("last"))

    async with (
        repository.watch(UserScope("alice"), after_revision=page.revision) as changes,
        asyncio.TaskGroup() as working,
    ):
        working.create_task(work())
        async with asyncio.timeout(SECONDS):
            while "last" not in copy:
                change = await anext(changes)
                copy.update(change.entries)
                for session_id in change.removed:
                    del copy[session_id]
                then = await repository.entries(
                    "alice", after=None, limit=100, revision=change.revision
                )
                assert copy == {entry.session_id: entry.value for entry in then.entries}


async def test_a_wait_that_is_given_up_loses_nothing(repository: Repository) -> None:
    """Cancelling a wait for the next change leaves the watch as it was."""
    start = await revision_of(repository)
    async with repository.watch(UserScope("alice"), after_revision=start) as changes:
        for _ in range(3):
            waiting = asyncio.create_task(until(changes, len))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        await repository.create(creation("abc"))
        (change,) = await until(changes, len)
    assert [session_id for session_id, _ in change.entries] == ["abc"]


async def test_a_watch_over_forgotten_changes_says_so(place: Place) -> None:
    """Where changes after the revision are gone, the watch raises instead of skipping them."""
    repository = place.repository
    await repository.create(creation("abc"))
    start = (await now(repository, "abc")).revision
    await repository.create(creation("xyz"))
    await repository.create(creation("last"))
    await place.compact()
    async with repository.watch(UserScope("alice"), after_revision=start) as changes:
        with pytest.raises(RevisionCompacted):
            async with asyncio.timeout(SECONDS):
                await anext(changes)
