"""Gives sessions a history, through our parts, as fast as they take it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from bench.frames import Author, answered
from bench.streams import Lane, Road, read

_AT_ONCE = 48
"""Appends of one session that travel together, and make one commit."""

_LANE_SESSIONS = 16
"""Sessions that one stream fills at once: what comes back stays below its queue of 1 MiB."""


async def fill(road: Road, lanes: Sequence[Lane], messages: int) -> None:
    """Append so many messages to every session; they count as acknowledged by their authors."""

    async def one(lane: Lane) -> None:
        for first in range(0, len(lane.authors), _LANE_SESSIONS):
            part = Lane(lane.metadata, lane.authors[first : first + _LANE_SESSIONS])
            await _fill(road, part, messages)

    async with asyncio.TaskGroup() as tasks:
        for lane in lanes:
            tasks.create_task(one(lane))


async def _fill(road: Road, lane: Lane, messages: int) -> None:
    call = await road.open(lane)
    authors = {author.session_id: author for author in lane.authors}
    under_way = dict.fromkeys(authors, 0)
    left = dict.fromkeys(authors, messages)

    def following(author: Author) -> bytes:
        number = min(_AT_ONCE, left[author.session_id])
        left[author.session_id] -= number
        under_way[author.session_id] = number
        return b"".join(author.append(time.perf_counter()) for _ in range(number))

    for author in lane.authors:
        await call.write(following(author))
    while any(under_way.values()):
        for session_id in answered(await read(call)):
            author = authors[session_id]
            author.acknowledged += 1
            under_way[session_id] -= 1
            if not under_way[session_id] and left[session_id]:
                await call.write(following(author))
    call.cancel()
    await asyncio.sleep(0)
