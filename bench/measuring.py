"""A window of time in which answers count, and callers that call again once they were answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

Call = Callable[[], Awaitable[int]]
"""Does one thing and returns how many operations that was; a failure of any call fails the run."""

Usage = Callable[[], Mapping[str, float]]
"""Returns the seconds of CPU that each process has used so far."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What one window showed.

    Attributes:
        rate: operations a second; None where nothing was counted by time.
        latencies: seconds from call to answer, of the calls answered within the window.
        cpu: seconds of CPU per operation, by process.
        also: whatever else was counted, by its name and unit.
    """

    rate: float | None
    latencies: Sequence[float]
    cpu: Mapping[str, float] = field(default_factory=dict)
    also: Mapping[str, float] = field(default_factory=dict)


class Window:
    """Counts what is answered between two moments, and the CPU that was used meanwhile."""

    def __init__(self, begin: float, end: float, usage: Usage) -> None:
        self.begin = begin
        self.end = end
        self.latencies: list[float] = []
        self.operations = 0
        self._metering = asyncio.create_task(_used(begin, end, usage))

    def counts(self, now: float) -> bool:
        """Return whether what comes now counts; where nothing came, the window waits for it."""
        if now > self.end and not self.operations:
            self.end = now
        return self.begin <= now <= self.end

    def answered(self, began: float, now: float, operations: int = 1) -> None:
        """Count an answer that came now to what began then."""
        if self.counts(now):
            self.operations += operations
            self.latencies.append(now - began)

    def served(self, due: float, now: float) -> None:
        """Count what was due within the window, whenever it was answered."""
        if self.begin <= due < self.end:
            self.operations += 1
            self.latencies.append(now - due)

    async def sample(self, also: Mapping[str, float] | None = None) -> Sample:
        """Wait for the end, and return what was counted."""
        used = await self._metering
        if not self.operations:
            raise RuntimeError(f"nothing was answered in {self.end - self.begin:g} s")
        cpu = {name: seconds / self.operations for name, seconds in used.items()}
        rate = self.operations / (self.end - self.begin)
        return Sample(rate, self.latencies, cpu, also or {})


@dataclass(frozen=True, slots=True)
class Timing:
    """How long windows are: `warm_up` seconds of load that do not count, then `seconds`."""

    warm_up: float
    seconds: float
    usage: Usage

    def open(self) -> Window:
        """Begin a window now."""
        begin = time.perf_counter() + self.warm_up
        return Window(begin, begin + self.seconds, self.usage)


async def drive(calls: Sequence[Call], timing: Timing) -> Sample:
    """Keep every call going, one at a time each; count those answered after the warm-up.

    Returns when the last answer is there, so that nothing is under way afterwards.
    """
    window = timing.open()

    async def keep_calling(call: Call) -> None:
        while (began := time.perf_counter()) < window.end:
            done = await call()
            window.answered(began, time.perf_counter(), done)

    async with asyncio.TaskGroup() as tasks:
        for call in calls:
            tasks.create_task(keep_calling(call))
    return await window.sample()


async def _used(begin: float, end: float, usage: Usage) -> dict[str, float]:
    await asyncio.sleep(begin - time.perf_counter())
    before = usage()
    await asyncio.sleep(end - time.perf_counter())
    return {name: used - before[name] for name, used in usage().items()}
