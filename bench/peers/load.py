"""The load: so many callers, each of which calls again as soon as it was answered.

As in `bench/load.py`, but a window lasts until every caller was answered in it: some calls here
take longer than a window.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from bench.peers.plan import Case, Sample

Call = Callable[[], Awaitable[None]]
Usage = Callable[[], dict[str, float]]

_TICKS = os.sysconf("SC_CLK_TCK")


async def drive(
    case: Case, calls: Sequence[Call], *, warm_up: float, seconds: float, usage: Usage
) -> Sample:
    """Keep every call going, one at a time each; count those answered after the warm-up.

    Returns when the last answer is there, so that nothing is under way afterwards.
    """
    window = _Window(len(calls), warm_up, seconds, usage)

    async def keep_calling(caller: int, call: Call) -> None:
        while not window.over:
            started = time.perf_counter()
            await call()
            window.answered(caller, started)

    async with asyncio.TaskGroup() as tasks:
        for caller, call in enumerate(calls):
            tasks.create_task(keep_calling(caller, call))
    return Sample(case, window.seconds, window.latencies, window.cpu)


class _Window:
    """Warm-up, then the window, then over; each waits for its time and for every caller."""

    def __init__(self, callers: int, warm_up: float, seconds: float, usage: Usage) -> None:
        self.over = False
        self.latencies: list[float] = []
        self.seconds = 0.0
        self.cpu: dict[str, float] = {}
        self._callers = callers
        self._least_seconds = seconds
        self._usage = usage
        self._began: float | None = None
        self._until = time.perf_counter() + warm_up
        self._waited_for = set(range(callers))

    def answered(self, caller: int, started: float) -> None:
        if self.over:
            return
        now = time.perf_counter()
        if self._began is not None:
            self.latencies.append(now - started)
        self._waited_for.discard(caller)
        if self._waited_for or now < self._until:
            return
        if self._began is None:
            self._began, self._until = now, now + self._least_seconds
            self._waited_for = set(range(self._callers))
            self.cpu = self._usage()
        else:
            self.over = True
            self.seconds = now - self._began
            self.cpu = {name: used - self.cpu[name] for name, used in self._usage().items()}


def usage(postmaster: int | None) -> dict[str, float]:
    """Return the seconds of CPU that this process, all threads, and Postgres have used so far."""
    used = {"peer": time.process_time()}
    if postmaster is not None:
        used["postgres"] = postgres_seconds(postmaster)
    return used


def postgres_seconds(postmaster: int) -> float:
    """Return the CPU time of a server: its own, and that of its children, ended or alive."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            stat = path.read_text()
        except OSError:  # it has ended meanwhile
            continue
        # The program's name, the second field, may hold spaces; it ends with a parenthesis.
        fields = stat.rpartition(")")[2].split()
        if int(path.parent.name) == postmaster:
            ticks += sum(int(field) for field in fields[11:15])
        elif int(fields[1]) == postmaster:
            ticks += sum(int(field) for field in fields[11:13])
    return ticks / _TICKS
