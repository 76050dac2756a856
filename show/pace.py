"""When things are done: at a steady beat whatever comes of it, some at once, or until they hold."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import TypeVar

_POLL_SECONDS = 0.05

T = TypeVar("T")
U = TypeVar("U")


def moments(
    actors: Sequence[T], *, per_second: float, seconds: float, chance: random.Random
) -> Iterator[tuple[float, T]]:
    """Yield when each actor is due, in order: seconds from the beginning, before `seconds`.

    Each keeps its own beat, the same for all, from a beginning of its own.
    """
    period = 1 / per_second
    starts = sorted((chance.random() * period, n) for n in range(len(actors)))
    beat = 0
    while True:
        for start, number in starts:
            due = start + beat * period
            if due >= seconds:
                return
            yield due, actors[number]
        beat += 1


async def keep_pace(
    plan: Iterator[tuple[float, T]], act: Callable[[T, float], None]
) -> list[float]:
    """Call `act` with each actor and the moment at which it was due; return how late each was.

    `act` must not wait. Times are seconds of the event loop's clock.
    """
    clock = asyncio.get_running_loop().time
    begin = clock()
    late = []
    for due, actor in plan:
        planned = begin + due
        if (left := planned - clock()) > 0:
            await asyncio.sleep(left)
        late.append(clock() - planned)
        act(actor, planned)
    return late


async def at_once(
    act: Callable[[T], Awaitable[U]], things: Iterable[T], *, places: int = 16
) -> list[U]:
    """Do something with each thing, so many at once; return the results in order."""
    free = asyncio.Semaphore(places)

    async def one(thing: T) -> U:
        async with free:
            return await act(thing)

    async with asyncio.TaskGroup() as tasks:
        doing = [tasks.create_task(one(thing)) for thing in things]
    return [each.result() for each in doing]


async def until(condition: Callable[[], bool], seconds: float) -> None:
    """Wait until something holds; give up after a while, what is missing is judged later."""
    clock = asyncio.get_running_loop().time
    end = clock() + seconds
    while not condition() and clock() < end:  # noqa: ASYNC110 - many things change it
        await asyncio.sleep(_POLL_SECONDS)
