"""Appends over streams: so many sessions on so many streams, one append of each under way.

What one message of the server acknowledges, one message of the client follows up.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc

from bench.frames import Author, Refused, answered, caught_up, greeting
from bench.measuring import Sample, Timing

Metadata = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Lane:
    """One stream: who opens it, and the sessions whose appends it carries."""

    metadata: Metadata
    authors: Sequence[Author]


@dataclass(frozen=True, slots=True)
class Road:
    """Where streams lead, and whether sessions are attached first, as they are at ours."""

    channel: grpc.aio.Channel
    method: str
    attached: bool

    async def open(self, lane: Lane) -> Any:
        """Return an open call, on which every session of the lane may append."""
        connect: Any = self.channel.stream_stream(self.method)
        call = connect(metadata=lane.metadata)
        if self.attached:
            waiting = len(lane.authors)
            await call.write(greeting([author.session_id for author in lane.authors]))
            while waiting:
                waiting -= caught_up(await read(call))
        return call


def spread(sessions: int, streams: int) -> list[int]:
    """Return how many of the sessions go over each stream."""
    each, more = divmod(sessions, streams)
    return [each + (number < more) for number in range(streams)]


async def read(call: Any) -> bytes:
    """Return the next message.

    Raises:
        Refused: the stream ended.
    """
    data = await call.read()
    if not isinstance(data, bytes):
        raise Refused(f"the stream ended: {await call.code()}, {await call.details()}")
    return data


async def append_over(road: Road, lanes: Sequence[Lane], timing: Timing) -> Sample:
    """Keep one append of every session under way; count those acknowledged after the warm-up.

    Returns when the last one is acknowledged, so that nothing is under way afterwards.
    """
    async with opened(road, lanes) as calls:
        window = timing.open()
        end = window.end
        async with asyncio.TaskGroup() as tasks:
            for call, lane in zip(calls, lanes, strict=True):
                going_on = carry(call, lane, lambda _, now: now < end, window.answered)
                tasks.create_task(going_on)
        return await window.sample()


@asynccontextmanager
async def opened(road: Road, lanes: Sequence[Lane]) -> AsyncIterator[list[Any]]:
    """Open a call for each lane while the block runs."""
    calls = await asyncio.gather(*map(road.open, lanes))
    try:
        yield calls
    finally:
        for call in calls:
            call.cancel()


async def carry(
    call: Any,
    lane: Lane,
    goes_on: Callable[[Author, float], bool],
    count: Callable[[float, float], None],
) -> None:
    """Keep an append of each session under way, while it goes on; count each with its times."""
    clock = time.perf_counter
    authors = {author.session_id: author for author in lane.authors}
    under_way = len(authors)
    now = clock()
    await call.write(b"".join([author.append(now) for author in lane.authors]))
    while under_way:
        data = await read(call)
        now = clock()
        following = []
        for session_id in answered(data):
            author = authors[session_id]
            author.acknowledged += 1
            count(author.sent, now)
            if goes_on(author, now):
                following.append(author.append(now))
            else:
                under_way -= 1
        if following:
            await call.write(b"".join(following))
