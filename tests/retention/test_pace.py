"""A pace: so many in a second, evenly."""

from __future__ import annotations

from services.retention.pace import Pace


class Time:
    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


async def test_turns_come_evenly_and_none_is_saved_up() -> None:
    """Four in a second; after a long pause the first comes at once, and the others as before."""
    time = Time()
    pace = Pace(4, clock=time, sleep=time.sleep)
    for _ in range(5):
        await pace.turn()
    assert (time.now, time.slept) == (101.0, [0.25] * 4)
    time.now += 60
    for _ in range(3):
        await pace.turn()
    assert time.now == 161.5


async def test_turns_that_are_waited_for_together_are_still_apart() -> None:
    """A place is taken when it is asked for, not when it has come."""
    time = Time()
    waits: list[float] = []

    async def note(seconds: float) -> None:
        waits.append(seconds)

    pace = Pace(2, clock=time, sleep=note)
    for _ in range(4):
        await pace.turn()
    assert waits == [0.5, 1.0, 1.5]
