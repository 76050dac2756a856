"""A run: every session is looked at once, by its summary, and what is due goes.

    due --export--> written to the disk --delete, as it was scanned--> gone
                                          | changed meanwhile, or held: it stays, its file goes

A run may be cut off anywhere, and another process begin anew: an export is written again over the
same file, and a deletion has the same operation id, so that it is one deletion.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

import structlog

from services.retention.exports import Exports
from services.retention.installation import Installation
from services.retention.metrics import RetentionMetrics
from services.retention.pace import Pace
from sessiond.errors import LegalHold, SessiondError, SessionNotFound, StaleRevision
from sessiond.policies import Policy, due, told
from sessiond.v1.session_pb2 import SessionSummary

AT_ONCE: Final = 8
"""Sessions that are exported and deleted at the same time."""

PAGE: Final = 200
"""Keys of lists that are looked at in one call: where users have other keys among their sessions,
etcd is read once for every other one of these."""

PAGES_PER_SECOND: Final = 10.0
"""How many of them are looked at in a second, at most: etcd has others to serve."""

Tell = Callable[[Mapping[str, Any]], None]

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Report:
    """What a run did.

    Attributes:
        term: the term of the job that it belongs to; 0 for none.
        scanned: sessions that were looked at.
        due: those that were due.
        exported, deleted: what became of these.
        stale: due ones that had changed since they were looked at, and stay.
        held: due ones that a legal hold keeps by now.
        gone: due ones that others deleted first.
        failed: due ones that the next run tries again.
        seconds: how long it took.
    """

    term: int = 0
    scanned: int = 0
    due: int = 0
    exported: int = 0
    deleted: int = 0
    stale: int = 0
    held: int = 0
    gone: int = 0
    failed: int = 0
    seconds: float = 0.0


class Runs:
    """Makes runs. `exports` None: nothing is exported before it is deleted.

    `now_ms` is the wall clock, in milliseconds since 1970; `clock` gives seconds that never go
    back.
    """

    def __init__(
        self,
        installation: Installation,
        policies: Sequence[Policy],
        exports: Exports | None,
        pace: Pace,
        metrics: RetentionMetrics,
        *,
        now_ms: Callable[[], int],
        clock: Callable[[], float],
    ) -> None:
        self._installation = installation
        self._policies = policies
        self._exports = exports
        self._pace = pace
        self._metrics = metrics
        self._now_ms = now_ms
        self._clock = clock

    async def make(self, term: int, tell: Tell) -> None:
        """Let go of what is due, and tell the report.

        Raises:
            SessiondError: the scan broke; what was done is told.
        """
        if self._exports is not None:
            await asyncio.to_thread(self._exports.tidy)

        async def let_go(report: Report, summary: SessionSummary, policy: Policy) -> None:
            await self._pace.turn()
            await self._let_go(report, summary, policy)

        await self._over_all(Report(term=term), let_go, tell, {})

    async def list(self, tell: Tell) -> None:
        """Change nothing: tell of each session that is due, and then the report.

        Raises:
            SessiondError: the scan broke; what was seen is told.
        """

        async def named(report: Report, summary: SessionSummary, policy: Policy) -> None:
            tell(told(summary, policy))

        await self._over_all(Report(), named, tell, {"dryRun": True})

    async def _over_all(
        self,
        report: Report,
        handle: Callable[[Report, SessionSummary, Policy], Awaitable[None]],
        tell: Tell,
        more: Mapping[str, Any],
    ) -> None:
        began = self._clock()
        places = asyncio.Semaphore(AT_ONCE)

        async def handled(summary: SessionSummary, policy: Policy) -> None:
            try:
                await handle(report, summary, policy)
            finally:
                places.release()

        broken: SessiondError | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                try:
                    async for summary in self._summaries():
                        report.scanned += 1
                        policy = due(self._policies, summary, self._now_ms())
                        if policy is not None:
                            report.due += 1
                            await places.acquire()
                            tasks.create_task(handled(summary, policy))
                except SessiondError as failure:
                    broken = failure  # what was begun is brought to its end
        finally:
            report.seconds = round(self._clock() - began, 3)
            tell({**dataclasses.asdict(report), **more})
        if broken is not None:
            self._metrics.broke_off()
            raise broken
        self._metrics.ran(self._now_ms())

    async def _summaries(self) -> AsyncGenerator[SessionSummary, None]:
        # Without policies nothing is due, and etcd is spared.
        if not self._policies:
            return
        pace = Pace(PAGES_PER_SECOND, clock=self._clock)
        await pace.turn()
        async with aclosing(self._installation.scan_pages(PAGE)) as pages:
            async for page in pages:
                for summary in page:
                    yield summary
                await pace.turn()

    async def _let_go(self, report: Report, summary: SessionSummary, policy: Policy) -> None:
        """Export and delete a session; whatever fails is counted, and is the next run's."""
        calls = self._installation.acting_for(summary.user_id)
        exports = self._exports if policy.export else None
        try:
            if exports is not None:
                await exports.write(summary, calls.history(summary.id))
                report.exported += 1
            await calls.delete(
                summary.id, expected_revision=summary.revision, op_id=f"retention:{policy.name}"
            )
        except (StaleRevision, LegalHold) as stays:
            self._settled(report, "held" if isinstance(stays, LegalHold) else "stale")
            if exports is not None:
                await asyncio.to_thread(exports.remove, summary)
        except SessionNotFound:
            self._settled(report, "gone")
        except Exception as failure:  # the others have their turn all the same
            self._settled(report, "failed")
            known = isinstance(failure, SessiondError | OSError)
            reason = getattr(failure, "reason", type(failure).__name__)
            _log.warning(
                "a session that is due stays",
                session=summary.id,
                reason=reason,
                exc_info=not known,
            )
        else:
            self._settled(report, "deleted")

    def _settled(self, report: Report, outcome: str) -> None:
        setattr(report, outcome, getattr(report, outcome) + 1)
        self._metrics.settled(outcome)
