"""The load: so many callers, each of which calls again as soon as it was answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

Call = Callable[[], Awaitable[int]]
"""Does one thing and returns how many operations that was; a failure of any call fails the run."""

Usage = Callable[[], Mapping[str, float]]
"""Returns the seconds of CPU that each process has used so far."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One window of one scenario.

    Attributes:
        rate: operations a second that were answered within the window.
        latencies: seconds from call to answer, of the calls answered within it.
        cpu: seconds of CPU per operation, by process.
    """

    rate: float
    latencies: Sequence[float]
    cpu: Mapping[str, float]


async def drive(calls: Sequence[Call], *, warm_up: float, seconds: float, usage: Usage) -> Sample:
    """Keep every call going, one at a time each; count those answered after the warm-up.

    Returns when the last answer is there, so that nothing is under way afterwards.
    """
    begin = time.perf_counter() + warm_up
    end = begin + seconds
    latencies: list[float] = []
    operations = 0

    async def keep_calling(call: Call) -> None:
        nonlocal operations
        while (started := time.perf_counter()) < end:
            done = await call()
            answered = time.perf_counter()
            if begin <= answered <= end:
                operations += done
                latencies.append(answered - started)

    async with asyncio.TaskGroup() as tasks:
        metering = tasks.create_task(_used(begin, end, usage))
        for call in calls:
            tasks.create_task(keep_calling(call))
    if not operations:
        raise RuntimeError(f"nothing was answered in {seconds:g} s")
    cpu = {name: used / operations for name, used in metering.result().items()}
    return Sample(operations / seconds, latencies, cpu)


async def _used(begin: float, end: float, usage: Usage) -> dict[str, float]:
    await asyncio.sleep(begin - time.perf_counter())
    before = usage()
    await asyncio.sleep(end - time.perf_counter())
    return {name: used - before[name] for name, used in usage().items()}
