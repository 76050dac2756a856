"""What is told of failovers is how long sessions waited, and begins when something befell them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

from tests.faults.clients.notebook import Answer
from tests.faults.clients.prober import Prober


class Slow:
    """A caller whose changes are granted when the test says so."""

    def __init__(self) -> None:
        self.past: list[Collection[str]] = []
        self.asked: list[str] = []
        self.noted = asyncio.Event()
        self.granted = asyncio.Event()

    def __call__(self, victims: Collection[str]) -> Any:
        self.past.append(victims)
        return self

    async def touch(self, session: str) -> Answer | None:
        self.asked.append(session)
        self.noted.set()
        await self.granted.wait()
        return Answer(1)


async def test_each_session_is_measured_to_its_next_change() -> None:
    """Every session that is concerned gets one figure, from the moment of the fault on."""
    caller = Slow()
    prober = Prober(caller)
    prober.befell("kill owner", ["one", "two"], ["live-1"], ago=100.0)
    await caller.noted.wait()
    assert prober.times == {}
    caller.granted.set()
    await asyncio.wait(prober.asking)
    assert caller.past == [["live-1"], ["live-1"]]
    assert sorted(caller.asked) == ["one", "two"]
    assert len(prober.times["kill owner"]) == 2
    assert all(100.0 <= each < 110.0 for each in prober.times["kill owner"])


async def test_while_something_lasts_the_longest_wait_is_told() -> None:
    """One figure a session, however often it was asked for a change meanwhile."""
    caller = Slow()
    prober = Prober(caller)
    caller.granted.set()
    async with prober.during("hand-over owner", ["one"], []):
        while len(caller.asked) < 2:
            caller.noted.clear()
            await caller.noted.wait()
    await asyncio.wait(prober.asking)
    assert len(prober.times["hand-over owner"]) == 1
