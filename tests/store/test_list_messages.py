from __future__ import annotations

from typing import Any

import pytest

from services.store.memory import MemoryRepository
from services.store.messages import list_messages
from services.store.tokens import seal
from sessiond.errors import InvalidArgument, PageTokenExpired, SessionNotFound
from sessiond.session.access import Identity
from sessiond.session.changes import (
    AppendMessage,
    EndTurn,
    PauseSession,
    ResumeSession,
    RewindSession,
)
from sessiond.v1.session_pb2 import Message
from tests.store.author import CRM, Author
from tests.store.conftest import Begin

ALICE = Identity("alice")


async def page(
    repository: MemoryRepository, token: str = "", **changes: Any
) -> tuple[list[Message], str]:
    """Return a page of the messages of s-1."""
    asked = {"page_size": 50, "newest_first": False} | changes
    found = await list_messages(repository, ALICE, "s-1", page_token=token, **asked)
    return list(found.messages), found.next_page_token


async def everything(repository: MemoryRepository, **changes: Any) -> list[str]:
    """Return all messages, page after page."""
    found, token = await page(repository, **changes)
    contents = [message.content for message in found]
    while token:
        found, token = await page(repository, token, **changes)
        assert found
        contents += [message.content for message in found]
    return contents


@pytest.mark.parametrize("page_size", [1, 3, 12, 13, 1000])
@pytest.mark.parametrize("newest_first", [False, True])
async def test_pages_hold_every_message_once(
    repository: MemoryRepository,
    author: Author,
    begin: Begin,
    page_size: int,
    newest_first: bool,
) -> None:
    """In the order asked for, whatever else stands between the messages."""
    await begin("s-1")
    for number in range(4):
        await author.say("s-1", *(f"{number}.{n}" for n in range(3)))
        await author.change("s-1", PauseSession(), ResumeSession())
    expected = [f"{number}.{n}" for number in range(4) for n in range(3)]
    if newest_first:
        expected.reverse()
    assert await everything(repository, page_size=page_size, newest_first=newest_first) == expected


@pytest.mark.parametrize("newest_first", [False, True])
async def test_turns_are_paged_as_the_messages_they_became(
    repository: MemoryRepository, author: Author, begin: Begin, newest_first: bool
) -> None:
    """Those without text are no messages, the newest one of all included."""
    await begin("s-1")
    for text in ("1", "", "2", "3", ""):
        turn_id = await author.begin_turn("s-1")
        await author.change("s-1", EndTurn(turn_id, len(text)), identity=CRM, text=text)
    expected = ["3", "2", "1"] if newest_first else ["1", "2", "3"]
    for page_size in (1, 2, 50):
        found = await everything(repository, page_size=page_size, newest_first=newest_first)
        assert found == expected


@pytest.mark.parametrize("newest_first", [False, True])
async def test_later_messages_do_not_disturb_the_pages(
    repository: MemoryRepository, author: Author, begin: Begin, newest_first: bool
) -> None:
    """Later pages look no further than the first one did, and do not expire by compaction."""
    await begin("s-1")
    await author.say("s-1", "1", "2", "3", "4")
    first, token = await page(repository, page_size=2, newest_first=newest_first)
    await author.say("s-1", "5")
    repository.compact()
    second, token = await page(repository, token, page_size=3, newest_first=newest_first)
    assert token == ""
    contents = [message.content for message in first + second]
    assert contents == (["4", "3", "2", "1"] if newest_first else ["1", "2", "3", "4"])


async def test_a_page_ends_before_4_mib(
    repository: MemoryRepository, author: Author, begin: Begin
) -> None:
    """So that a client that was told nothing can receive it; nothing is left out."""
    await begin("s-1")
    for _ in range(10):
        await author.change("s-1", AppendMessage("x" * 512 * 1024))
    found = await list_messages(
        repository, ALICE, "s-1", page_size=1000, page_token=None, newest_first=False
    )
    assert len(found.messages) == 7
    assert found.ByteSize() < 4 * 1024 * 1024
    assert len(await everything(repository, page_size=1000)) == 10


async def test_a_session_without_messages_has_an_empty_page(
    repository: MemoryRepository, begin: Begin
) -> None:
    """No messages and no token."""
    await begin("s-1")
    assert await page(repository) == ([], "")
    assert await page(repository, newest_first=True) == ([], "")


async def test_a_token_belongs_to_its_session_and_order(
    repository: MemoryRepository, author: Author, begin: Begin
) -> None:
    """With another query it is refused, and so is one that points outside of the log."""
    await begin("s-1")
    await author.say("s-1", "1", "2", "3")
    _, token = await page(repository, page_size=1)
    with pytest.raises(InvalidArgument):
        await page(repository, token, newest_first=True)
    forged = seal(["messages", "s-1", "asc"], [0, 0, 2, 999])
    with pytest.raises((InvalidArgument, PageTokenExpired)):
        await page(repository, forged)


async def test_a_token_of_an_earlier_session_of_that_id_has_expired(
    repository: MemoryRepository, author: Author, begin: Begin
) -> None:
    """The log id tells two sessions of one id apart."""
    await begin("s-1")
    await author.say("s-1", "1", "2")
    with pytest.raises(PageTokenExpired):
        await page(repository, seal(["messages", "s-1", "asc"], [12345678, 0, 2, 3]))


async def test_strangers_find_no_messages(repository: MemoryRepository, begin: Begin) -> None:
    """Neither those of another user's session nor those of an absent one."""
    await begin("s-1")
    for session_id in ("s-1", "s-2"):
        with pytest.raises(SessionNotFound):
            await list_messages(
                repository,
                Identity("bob"),
                session_id,
                page_size=5,
                page_token=None,
                newest_first=False,
            )


@pytest.mark.parametrize("page_size", [1, 2, 50])
@pytest.mark.parametrize("newest_first", [False, True])
async def test_pages_hold_what_a_rewind_left(
    repository: MemoryRepository,
    author: Author,
    begin: Begin,
    page_size: int,
    newest_first: bool,
) -> None:
    """What was undone is not there, and what a second rewind brought back is."""
    await begin("s-1")
    await author.say("s-1", *(f"{n}" for n in range(6)))  # 2 to 7
    await author.change("s-1", RewindSession(3))
    await author.say("s-1", "another", "way")  # 9, 10
    for expected in (["0", "1", "another", "way"], ["0", "1", "2", "3", "4", "5"]):
        found = await everything(repository, page_size=page_size, newest_first=newest_first)
        assert found == (expected[::-1] if newest_first else expected)
        await author.change("s-1", RewindSession(7))


async def test_a_token_of_before_a_rewind_has_expired(
    repository: MemoryRepository, author: Author, begin: Begin
) -> None:
    """The rest of its pages belongs to another conversation."""
    await begin("s-1")
    await author.say("s-1", "1", "2", "3")
    _, token = await page(repository, page_size=1)
    await author.change("s-1", RewindSession(3))
    with pytest.raises(PageTokenExpired):
        await page(repository, token)
