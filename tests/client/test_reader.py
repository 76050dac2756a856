"""What waits for a reader: records in order, tokens merged, the newest presence, and a bound."""

from __future__ import annotations

from typing import Any

import pytest

from sessiond import Presence, Reset, Token
from sessiond.client import reader as readers
from sessiond.client.reader import CAPACITY, Reader
from sessiond.client.updates import Update
from sessiond.errors import SessionNotFound
from sessiond.session.access import Actor, Role
from sessiond.session.events import Record, SessionPaused


def record(seq: int) -> Record:
    return Record(seq, 0, Actor("alice", Role.USER), SessionPaused())


def reader(seq: int = 0, *, durable: bool = False, room: Any = None) -> Reader[Update]:
    return Reader(seq, durable=durable, on_room=room or (lambda: None))


async def rest(of: Reader[Update]) -> list[Update]:
    of.end()
    return [update async for update in of]


async def test_records_come_once_and_in_order() -> None:
    made = reader(1)
    for seq in (1, 2, 3, 2, 3, 4):
        made.offer(record(seq))
    assert await rest(made) == [record(2), record(3), record(4)]


async def test_tokens_that_follow_one_another_are_merged() -> None:
    made = reader()
    made.offer(Token("t", 0, "a"))
    made.offer(Token("t", 1, "b"))
    made.offer(record(1))
    made.offer(Token("t", 2, "c"))
    made.offer(Token("u", 0, "d"))
    assert await rest(made) == [
        Token("t", 0, "ab"), record(1), Token("t", 2, "c"), Token("u", 0, "d")
    ]  # fmt: skip


async def test_only_the_newest_presence_waits() -> None:
    made = reader()
    for count in (1, 2, 3):
        made.offer(Presence(count=count))
    assert await anext(made) == Presence(count=3)
    made.offer(Presence(count=4))
    assert await rest(made) == [Presence(count=4)]


async def test_a_reader_of_events_sees_nothing_else() -> None:
    made = reader(durable=True)
    for update in (Token("t", 0, "a"), Presence(), record(1), Reset("LOG_CHANGED", 7)):
        made.offer(update)
    assert await rest(made) == [record(1), Reset("LOG_CHANGED", 7)]


async def test_a_reader_that_fell_behind_asks_again_from_where_it_stands() -> None:
    asked: list[bool] = []
    made = reader(room=lambda: asked.append(True))
    for seq in range(1, CAPACITY + 10):
        made.offer(record(seq))
    assert (made.behind, made.seq, made.waiting) == (True, CAPACITY, CAPACITY)
    made.offer(Token("t", 0, "passes by"))
    for _ in range(CAPACITY // 2 - 1):
        await anext(made)
    assert asked == []
    await anext(made)
    assert asked == [True]


async def test_large_events_count_by_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "BYTES", 100)
    made = reader()
    made.offer(record(1), 500)
    assert not made.behind, "one always fits"
    made.offer(record(2), 1)
    assert made.behind


async def test_a_reset_takes_a_reader_that_fell_behind_to_the_present() -> None:
    made = reader()
    for seq in range(1, CAPACITY + 10):
        made.offer(record(seq))
    made.offer(Reset("CURSOR_TOO_OLD", 5000))
    for _ in range(CAPACITY):
        await anext(made)
    made.offer(record(5001))
    assert await rest(made) == [Reset("CURSOR_TOO_OLD", 5000), record(5001)]


async def test_what_ended_the_session_is_raised_after_what_waits() -> None:
    made = reader()
    made.offer(record(1))
    made.end(SessionNotFound())
    made.end()
    assert await anext(made) == record(1)
    for _ in range(2):
        with pytest.raises(SessionNotFound):
            await anext(made)
