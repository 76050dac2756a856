"""Retention, put together."""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import orjson
import structlog
from prometheus_client import CollectorRegistry

from services.retention.duties import Duties
from services.retention.exports import Exports
from services.retention.installation import Installation, installation
from services.retention.metrics import RetentionMetrics
from services.retention.pace import Pace
from services.retention.runs import Runs
from services.retention.settings import RetentionSettings
from services.retention.turn import Turn
from services.serving.running import Drain, Running
from services.serving.sockets import StartFailed
from sessiond.errors import SessiondError
from sessiond.policies import BadPolicies, Policy, load_policies

JOB: Final = "retention"

_log = structlog.get_logger(__name__)


def now_ms() -> int:
    """Return the wall clock in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


@asynccontextmanager
async def retention(running: Running, settings: RetentionSettings) -> AsyncIterator[Drain]:
    """Open retention; it is ready while Store says whose turn it is.

    Raises:
        StartFailed: the policies are bad, or want exports and there is no place for them.
    """
    policies = _policies(settings)
    if not settings.retention_dry_run:
        check_exports(policies, settings.retention_export_dir)
    clock = asyncio.get_running_loop().time
    async with installation(settings) as calls, asyncio.TaskGroup() as tasks:
        pace = Pace(settings.retention_sessions_per_second, clock=clock)
        metrics = RetentionMetrics(running.registry)
        duties = Duties(
            calls,
            _runs(calls, policies, settings, pace, metrics),
            pace,
            metrics,
            every_seconds=settings.retention_every_seconds,
            dry_run=settings.retention_dry_run,
            tell=_log_line,
            clock=clock,
        )
        turn = Turn(
            calls, JOB, secrets.token_bytes(16), clock=clock, answered=running.health.set_ready
        )
        following = tasks.create_task(turn.follow(duties.work), name="retention")

        async def drain() -> None:
            following.cancel()
            await asyncio.wait({following})

        try:
            yield drain
        finally:
            following.cancel()


def listing(settings: RetentionSettings) -> int:
    """Print what would go, one JSON object a line, and the report; return the exit code."""
    try:
        asyncio.run(_list(settings, _policies(settings)))
    except StartFailed as failure:
        print(f"sessiond retention: {failure}", file=sys.stderr)  # noqa: T201
        return 1
    except SessiondError as failure:
        print(f"sessiond retention: {failure.reason}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


async def _list(settings: RetentionSettings, policies: tuple[Policy, ...]) -> None:
    clock = asyncio.get_running_loop().time
    async with installation(settings) as calls:
        pace = Pace(settings.retention_sessions_per_second, clock=clock)
        metrics = RetentionMetrics(CollectorRegistry())  # nobody asks for them
        await _runs(calls, policies, settings, pace, metrics).list(_print_line)


def _policies(settings: RetentionSettings) -> tuple[Policy, ...]:
    if settings.retention_policies_file is None:
        return ()
    try:
        return load_policies(settings.retention_policies_file)
    except BadPolicies as bad:
        raise StartFailed("\n  ".join(("the policies are not valid:", *bad.wrong))) from None


def check_exports(policies: tuple[Policy, ...], folder: Path | None) -> None:
    """Return if there is a folder for the exports that policies want.

    What is deleted is gone: that nothing is kept of it is to be said, not forgotten.

    Raises:
        StartFailed: there is none; it names the policies.
    """
    wrong = [
        f"{policy.name}: give SESSIOND_RETENTION_EXPORT_DIR, or say `export: false`"
        for policy in policies
        if policy.export and folder is None
    ]
    if wrong:
        raise StartFailed("\n  ".join(("there is no place for exports:", *wrong)))


def _runs(
    calls: Installation,
    policies: tuple[Policy, ...],
    settings: RetentionSettings,
    pace: Pace,
    metrics: RetentionMetrics,
) -> Runs:
    folder = settings.retention_export_dir
    exports = None if folder is None else Exports(folder)
    clock = asyncio.get_running_loop().time
    return Runs(calls, policies, exports, pace, metrics, now_ms=now_ms, clock=clock)


def _log_line(fields: Mapping[str, Any]) -> None:
    _log.info("retention", **fields)


def _print_line(fields: Mapping[str, Any]) -> None:
    sys.stdout.write(orjson.dumps(fields).decode() + "\n")
