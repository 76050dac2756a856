"""The open loop keeps its beat, whatever comes of what it begins."""

from __future__ import annotations

import asyncio
import random
from itertools import pairwise

import pytest

from show.pace import at_once, keep_pace, moments, until


def test_each_actor_keeps_its_own_beat() -> None:
    """As often as planned, in order of time, and the same for the same seed."""
    plan = list(moments(["a", "b", "c"], per_second=4, seconds=2, chance=random.Random(1)))
    assert plan == list(moments(["a", "b", "c"], per_second=4, seconds=2, chance=random.Random(1)))
    assert plan == sorted(plan)
    assert all(0 <= due < 2 for due, _ in plan)
    for actor in "abc":
        due = [moment for moment, who in plan if who == actor]
        assert len(due) == 8
        assert all(after - before == pytest.approx(0.25) for before, after in pairwise(due))


async def test_what_is_due_is_begun_though_nothing_is_answered() -> None:
    """The load is open: a system that hangs gets as much to do as one that answers."""
    begun: list[float] = []
    plan = [(0.0, "a"), (0.01, "a"), (0.02, "b")]
    late = await keep_pace(iter(plan), lambda _, planned: begun.append(planned))
    assert [moment - begun[0] for moment in begun] == pytest.approx([0.0, 0.01, 0.02])
    assert all(each >= 0 for each in late)


async def test_a_generator_that_does_not_keep_up_says_so() -> None:
    """What is begun too late is counted from its planned moment, and the lateness is told."""
    clock = asyncio.get_running_loop().time

    def act(_: str, __: float) -> None:
        busy_until = clock() + 0.05
        while clock() < busy_until:
            pass

    late = await keep_pace(iter([(0.0, "a"), (0.0, "b"), (0.0, "c")]), act)
    assert late[2] >= 0.1


async def test_some_things_are_done_at_once_and_no_more() -> None:
    """Results come in order."""
    under_way, most = 0, 0

    async def act(number: int) -> int:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        return number * number

    assert await at_once(act, range(10), places=3) == [n * n for n in range(10)]
    assert most == 3


async def test_waiting_ends_when_it_holds_or_when_it_took_too_long() -> None:
    """What is missing then is judged by others."""
    held = asyncio.Event()
    asyncio.get_running_loop().call_later(0.01, held.set)
    await until(held.is_set, 20.0)
    assert held.is_set()
    await until(lambda: False, 0.01)
