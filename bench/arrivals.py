"""Appends that arrive when they arrive, however busy those are who take them.

The time of each arrival is fixed beforehand, and its latency counts from then: what waits because
something else is slow is slow as well.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from bench.floors.outbox import Outbox
from bench.frames import Author, answered
from bench.measuring import Sample, Timing, Window
from bench.streams import Lane, Road, opened, read

_TICK_SECONDS = 0.001


async def arriving_over(
    road: Road, lanes: Sequence[Lane], per_second: float, timing: Timing
) -> Sample:
    """Let appends arrive at chance moments; whichever session is free takes the next."""
    async with opened(road, lanes) as calls, asyncio.TaskGroup() as tasks:
        window = timing.open()
        desk = Desk(calls, lanes, window)
        carrying = [
            tasks.create_task(work)
            for number in range(len(lanes))
            for work in (desk.write(number), desk.read(number))
        ]
        for due in _moments(per_second, window.begin - timing.warm_up, window.end):
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(max(wait, _TICK_SECONDS))
            desk.take(due)
        await desk.idle()
        for task in carrying:
            task.cancel()
    return await window.sample()


class Desk:
    """Gives each arrival to a free session, or lets it wait for one."""

    def __init__(self, calls: Sequence[Any], lanes: Sequence[Lane], window: Window) -> None:
        self._calls = calls
        self._window = window
        self._outboxes = [Outbox() for _ in lanes]
        self._waiting: deque[float] = deque()
        self._under_way = 0
        self._idle = asyncio.Event()
        self._authors = {
            author.session_id: (number, author)
            for number, lane in enumerate(lanes)
            for author in lane.authors
        }
        self._free = deque(self._authors.values())

    def take(self, due: float) -> None:
        """Take an arrival."""
        self._idle.clear()
        if self._free:
            self._under_way += 1
            self._send(*self._free.popleft(), due)
        else:
            self._waiting.append(due)

    async def idle(self) -> None:
        """Wait until everything is acknowledged."""
        if self._under_way:
            await self._idle.wait()

    async def write(self, number: int) -> None:
        """Write to a stream what waits for it."""
        while True:
            await self._calls[number].write(await self._outboxes[number].take())

    async def read(self, number: int) -> None:
        """Read a stream's acknowledgements."""
        while True:
            data = await read(self._calls[number])
            now = time.perf_counter()
            for session_id in answered(data):
                place = self._authors[session_id]
                place[1].acknowledged += 1
                self._window.served(place[1].sent, now)
                if self._waiting:
                    self._send(*place, self._waiting.popleft())
                else:
                    self._free.append(place)
                    self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    def _send(self, number: int, author: Author, due: float) -> None:
        self._outboxes[number].put(author.append(due))


def _moments(per_second: float, begin: float, end: float) -> Iterator[float]:
    chance = random.Random(0)
    due = begin
    while due < end:
        yield due
        due += chance.expovariate(per_second)
