"""What is done to Lives while clients speak: one after the other, always to one that owns sessions.

Each kind is a coroutine that does it once and undoes it: afterwards as many Lives run as before.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from show.stage import Stage
from show.takeovers import Fault

TTL_SECONDS = 5.0
"""How long an instance outlives its last heartbeat; Store's default."""

FIRST_SECONDS = 5.0

Strike = Callable[[Stage, str], Awaitable[Fault]]
"""Does something to a Live of this name; returns once it serves again."""


class BadEnding(Exception):
    """A Live that was asked to end did not end well."""


async def kill(stage: Stage, name: str) -> Fault:
    """SIGKILL it and start it again."""
    fault = await stage.fault_of(name)
    await stage.cluster.kill(name)
    await stage.cluster.start(name)
    return fault


async def term(stage: Stage, name: str) -> Fault:
    """SIGTERM it, let it leave, and start it again.

    Raises:
        BadEnding: it had to be killed, or failed.
    """
    fault = await stage.fault_of(name)
    code = await stage.cluster.stop(name)
    if code != 0:
        raise BadEnding(f"{name} ended with {code} when it was asked to leave")
    await stage.cluster.start(name)
    return fault


async def stop(stage: Stage, name: str) -> Fault:
    """SIGSTOP it for twice as long as its registration lasts, then let it go on."""
    fault = await stage.fault_of(name)
    stage.cluster.suspend(name)
    await asyncio.sleep(2 * TTL_SECONDS)
    stage.cluster.resume(name)
    await stage.cluster.ready(name)
    return fault


class Faults:
    """Strikes that follow one another, and what they were.

    Attributes:
        done: the faults so far.
    """

    def __init__(
        self,
        stage: Stage,
        strike: Strike,
        session_ids: Sequence[str],
        *,
        every: float,
        lasts: float,
        chance: random.Random,
    ) -> None:
        """Strike every so many seconds; a strike and its consequences last so many at most."""
        self.done: list[Fault] = []
        self._stage = stage
        self._strike = partial(strike, stage)
        self._session_ids = session_ids
        self._every = every
        self._lasts = lasts
        self._chance = chance

    async def run(self, seconds: float) -> None:
        """Strike as often as can be struck and mended within so many seconds, once at least."""
        clock = asyncio.get_running_loop().time
        begin = clock()
        due = min(FIRST_SECONDS, max(1.0, seconds - self._lasts))
        while due + self._lasts <= seconds or not self.done:
            await asyncio.sleep(begin + due - clock())
            victim = await self._stage.victim(self._session_ids, self._chance)
            fault = await self._strike(victim)
            self.done.append(fault)
            back = clock() - fault.at
            self._stage.told(
                f"{victim} was struck at {fault.at - begin:.1f} s, back {back:.1f} s on"
            )
            # One that took longer delays the next one: two at once would be another show.
            due = max(due + self._every, clock() - begin)
