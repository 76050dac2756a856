"""Whose turn it is: the job is held by one process at a time, which works while it holds it.

    asking --held--> working --prolonged in time--> working
       ^                |
       +----------------+ another's, or not heard of in time: the work is cancelled

A process that stood still may go on for a moment after its hold ended, beside the next holder. All
that is done under the job is safe to be done twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

import structlog

from services.retention.installation import Installation
from sessiond.errors import SessiondError

ASK_SECONDS: Final = 3.0
"""Between two questions, also while the job is held: a third of the time that it stays."""

_log = structlog.get_logger(__name__)


class Hold(NamedTuple):
    """A hold of the job: its term, and until when by our clock."""

    term: int
    until: float


class Turn:
    """Asks for a job, and works while it is held.

    `clock` gives seconds that never go back. `answered` hears, of every question, whether there
    was an answer.
    """

    def __init__(
        self,
        installation: Installation,
        job: str,
        holder: bytes,
        *,
        clock: Callable[[], float],
        answered: Callable[[bool], None],
    ) -> None:
        self._installation = installation
        self._job = job
        self._holder = holder
        self._clock = clock
        self._answered = answered

    async def follow(self, work: Callable[[int], Awaitable[None]]) -> None:
        """Ask again and again, without an end; `work` is called with the term, in each anew.

        Cancelled, it cancels the work and lets the job go.
        """
        try:
            while True:
                hold = await self._ask(ASK_SECONDS)
                if hold is not None and hold.term:
                    await self._work(work, hold)
                await asyncio.sleep(ASK_SECONDS)
        finally:
            await self._let_go()

    async def _work(self, work: Callable[[int], Awaitable[None]], hold: Hold) -> None:
        _log.info("took the job", job=self._job, term=hold.term)
        working = asyncio.ensure_future(work(hold.term))
        term = hold.term
        try:
            while hold.term == term and (left := hold.until - self._clock()) > 0:
                await asyncio.wait({working}, timeout=min(ASK_SECONDS, left))
                if working.done():
                    break
                hold = await self._ask(hold.until - self._clock()) or hold
        finally:
            ended_by_itself = working.done()
            working.cancel()
            await asyncio.wait({working})
        if ended_by_itself:
            working.result()
        else:
            _log.warning("lost the job", job=self._job, term=term)

    async def _ask(self, seconds: float) -> Hold | None:
        """Return how the job stands, term 0 where it is another's; None without an answer."""
        sent = self._clock()
        try:
            answer = await self._installation.within(max(seconds, 0.001)).hold_job(
                self._job, self._holder
            )
        except SessiondError as failure:
            _log.warning("nobody says whose the job is", job=self._job, reason=failure.reason)
            self._answered(False)
            return None
        self._answered(True)
        return Hold(answer.term, sent + answer.ttl_ms / 1000)

    async def _let_go(self) -> None:
        try:
            await self._installation.within(ASK_SECONDS).release_job(self._job, self._holder)
        except SessiondError:
            _log.warning("the job stays until its time is over", job=self._job)
