"""A turn: who holds the job works, and stops when it is another's or nobody answers in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from services.retention import turn
from services.retention.turn import Turn
from sessiond.errors import Unavailable
from tests.retention.parts import Parts


class Work:
    """What is done, and what became of it."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[tuple[str, int]] = asyncio.Queue()

    async def __call__(self, term: int) -> None:
        self.events.put_nowait(("begun", term))
        try:
            await asyncio.Event().wait()
        finally:
            self.events.put_nowait(("ended", term))


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "ASK_SECONDS", 0.001)


@asynccontextmanager
async def following(
    parts: Parts, work: Work, *, clock: Callable[[], float], answered: list[bool]
) -> AsyncIterator[None]:
    asking = Turn(parts, "work", b"h" * 16, clock=clock, answered=answered.append)
    task = asyncio.create_task(asking.follow(work))
    try:
        async with asyncio.timeout(30):
            yield
    finally:
        task.cancel()
        await asyncio.wait({task})
        assert parts.released == 1


async def test_the_holder_works_until_the_job_is_anothers() -> None:
    """Prolonged in the same term it goes on; in another one it begins anew."""
    parts, work, answered = Parts(), Work(), list[bool]()
    async with following(parts, work, clock=lambda: 0.0, answered=answered):
        for answer in (0, 0, 5, 5, 5, 0):
            parts.answers.put_nowait(answer)
        assert await work.events.get() == ("begun", 5)
        assert await work.events.get() == ("ended", 5)
        assert parts.answers.empty()
        for answer in (0, 9, 11, 11):
            parts.answers.put_nowait(answer)
        assert await work.events.get() == ("begun", 9)
        assert await work.events.get() == ("ended", 9)
        assert await work.events.get() == ("begun", 11)
    assert await work.events.get() == ("ended", 11)
    assert all(answered)


async def test_the_holder_that_gets_no_answer_stops_when_its_time_is_over() -> None:
    """Counted from when the last question that was answered was sent."""
    parts, work, answered = Parts(), Work(), list[bool]()
    now = 100.0
    async with following(parts, work, clock=lambda: now, answered=answered):
        parts.answers.put_nowait(5)
        assert await work.events.get() == ("begun", 5)
        now = 109.0
        parts.answers.put_nowait(Unavailable())
        parts.answers.put_nowait(5)
        await parts.answers.join()
        now = 118.9  # ten seconds after 109 it would be over
        parts.answers.put_nowait(Unavailable())
        await parts.answers.join()
        assert work.events.empty()
        now = 119.0
        parts.answers.put_nowait(Unavailable())
        assert await work.events.get() == ("ended", 5)
    assert answered[:4] == [True, False, True, False]


async def test_work_that_breaks_is_not_hidden() -> None:
    """What no work catches ends the part, loudly."""
    parts = Parts()
    parts.answers.put_nowait(5)

    async def broken(term: int) -> None:
        raise ValueError("broken")

    asking = Turn(parts, "work", b"h" * 16, clock=lambda: 0.0, answered=lambda _: None)
    with pytest.raises(ValueError, match="broken"):
        await asking.follow(broken)
    assert parts.released == 1
