"""Lists at one revision: exact order, every session once."""

from __future__ import annotations

import asyncio

from services.store.answers import AwaitedPage
from services.store.repository import Repository
from tests.contracts.chats import (
    START_MS,
    Chat,
    creation,
    listed,
    new_chat,
    now,
    own,
    register,
)


async def pages(repository: Repository, limit: int, user_id: str = "alice") -> list[str]:
    """Read a whole list, page by page at the first page's revision."""
    found: list[str] = []
    revision, after = None, None
    while True:
        page = await repository.entries(user_id, after=after, limit=limit, revision=revision)
        assert revision in (None, page.revision)
        assert len(page.entries) <= limit
        found += [entry.session_id for entry in page.entries]
        if not page.more:
            return found
        assert len(page.entries) == limit
        revision = page.revision
        after = page.entries[-1].position_ms, page.entries[-1].session_id
        await asyncio.sleep(0)  # lets writers in


async def test_newest_positions_come_first_and_ties_by_id(repository: Repository) -> None:
    """The order of a list is position falling, then id rising."""
    places = {"b": 5, "a": 5, "c": 7, "A": 5, "b-1": 5, "x": 0, "y": 1_000_000}
    for name, offset in places.items():
        await repository.create(creation(name, position_ms=START_MS + offset))
    assert await listed(repository) == ["y", "c", "A", "a", "b", "b-1", "x"]


async def test_pages_join_without_gap_or_repeat(repository: Repository) -> None:
    """However long a page is, pages together are the list; `more` is true to the end."""
    names = [f"s{number:02}" for number in range(20)]
    for number, name in enumerate(names):
        await repository.create(creation(name, position_ms=START_MS - number // 3))
    for limit in (1, 3, 7, 19, 20, 21):
        assert await pages(repository, limit) == names


async def test_a_page_may_start_where_nothing_stands(repository: Repository) -> None:
    """A position between entries gives what comes after it."""
    for number in range(3):
        await repository.create(creation(f"s{number}", position_ms=START_MS - 10 * number))
    page = await repository.entries("alice", after=(START_MS - 5, "x"), limit=9, revision=None)
    assert [entry.session_id for entry in page.entries] == ["s1", "s2"]
    assert not page.more


async def test_a_long_list_comes_whole(repository: Repository) -> None:
    """A page of a thousand is one page, and so is a whole awaited list."""
    names = [f"s{number:04}" for number in range(1100)]
    for start in range(0, 1100, 100):
        made = [creation(name, agent="planner") for name in names[start : start + 100]]
        await asyncio.gather(*(repository.create(each) for each in made))
    page = await repository.entries("alice", after=None, limit=1000, revision=None)
    assert [entry.session_id for entry in page.entries] == names[:1000]
    assert page.more
    awaited = await repository.awaited("planner")
    assert [session_id for session_id, _ in awaited.entries] == names
    assert await repository.count("alice") == 1100


async def test_a_user_sees_nobody_elses_sessions(repository: Repository) -> None:
    """Ids that begin alike or hold separators never mix."""
    users = ["a", "a:b", "a:sessions", "a%3Ab", "a/b", "a:b:sessions", "A", "ä", "a;"]
    for number, user_id in enumerate(users):
        await repository.create(creation(f"s{number}", user_id, agent=user_id))
    for number, user_id in enumerate(users):
        assert await listed(repository, user_id) == [f"s{number}"]
        assert await repository.count(user_id) == 1
        awaited = await repository.awaited(user_id)
        assert [session_id for session_id, _ in awaited.entries] == [f"s{number}"]


async def test_lists_of_nobody_are_empty(repository: Repository) -> None:
    """No entries, no more, count 0; the revision is the present one."""
    page = await repository.entries("nobody", after=None, limit=9, revision=None)
    assert (page.entries, page.more) == ((), False)
    assert await repository.count("nobody") == 0
    assert await repository.awaited("nobody") == AwaitedPage(page.revision, ())


async def test_moving_entries_are_seen_once_at_one_revision(repository: Repository) -> None:
    """While writers move entries about, a paged listing holds every session exactly once."""
    instance = await register(repository)
    names = [f"s{number:02}" for number in range(30)]
    chats = [await new_chat(repository, name, instance=instance) for name in names]
    ended = False
    moves = 0

    async def move(chat: Chat, step: int) -> None:
        nonlocal moves
        while not ended:
            commit = chat.commit(b"text", position_ms=chat.position_ms + step)
            await chat.write(repository, commit)
            moves += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as writing:
        for number, chat in enumerate(chats):
            writing.create_task(move(chat, 250 + 100 * number))
        for _ in range(15):
            assert sorted(await pages(repository, 7)) == names
            assert await repository.count("alice") == 30
        ended = True
    assert moves > 15


async def test_an_entry_is_always_with_its_session(repository: Repository) -> None:
    """At every revision of a busy time the entry is the one that the newest record came with."""
    chat = await new_chat(repository, "abc")
    first = (await now(repository, "abc")).revision
    for _ in range(10):
        position_ms = chat.position_ms + 300
        await chat.write(repository, chat.commit(b"text", position_ms=position_ms))
    chat = await own(repository, "abc", chat.instance)
    last = (await now(repository, "abc")).revision
    for revision in range(first, last + 1):
        count = len(await repository.records("abc", 1, 99, revision=revision))
        page = await repository.entries("alice", after=None, limit=9, revision=revision)
        assert [entry.value for entry in page.entries] == [f"entry of abc at {count}".encode()]
