"""What the holder of the job does: erasures as they come, and a run every so often."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from services.retention.erasing import erase
from services.retention.installation import Installation
from services.retention.metrics import RetentionMetrics
from services.retention.pace import Pace
from services.retention.runs import Runs, Tell
from sessiond.errors import SessiondError

LOOK_SECONDS: Final = 30.0
"""Between two looks for erasures, and before a run that broke is made again."""

_log = structlog.get_logger(__name__)


class Duties:
    """The work of one term after another. `clock` gives seconds that never go back.

    `dry_run` changes nothing: runs tell what is due, and erasures wait.
    """

    def __init__(
        self,
        installation: Installation,
        runs: Runs,
        pace: Pace,
        metrics: RetentionMetrics,
        *,
        every_seconds: float,
        dry_run: bool,
        tell: Tell,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._installation = installation
        self._runs = runs
        self._pace = pace
        self._metrics = metrics
        self._every_seconds = every_seconds
        self._dry_run = dry_run
        self._tell = tell
        self._clock = clock
        self._sleep = sleep

    async def work(self, term: int) -> None:
        """Do what there is to do, without an end; what fails is tried again."""
        next_run = self._clock()
        while True:
            if not self._dry_run:
                await self.erase_all()
            began = self._clock()
            if began >= next_run:
                well = await self._run(term)
                next_run = began + (self._every_seconds if well else LOOK_SECONDS)
            await self._sleep(max(0.0, min(LOOK_SECONDS, next_run - self._clock())))

    async def erase_all(self) -> None:
        """Do the erasures that are asked for; one that fails does not keep the others waiting."""
        try:
            pending = await self._installation.erasures()
        except SessiondError as failure:
            _log.warning("erasures cannot be listed", reason=failure.reason)
            return
        for erasure in pending:
            try:
                receipt = await erase(self._installation, erasure, self._pace)
            except SessiondError as failure:
                _log.warning("an erasure is not done yet", reason=failure.reason)
                self._metrics.erased(False)
            else:
                self._metrics.erased(True)
                held = len(receipt.held_session_ids)
                self._tell({"erased": receipt.sessions, "held": held, "shares": receipt.shares})

    async def _run(self, term: int) -> bool:
        try:
            if self._dry_run:
                await self._runs.list(self._tell)
            else:
                await self._runs.make(term, self._tell)
        except SessiondError as failure:
            _log.warning("a run broke off", reason=failure.reason)
            return False
        return True
