"""Whether Store is ready: etcd answers a consensus read in time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from services.serving.addresses import HostPort
from services.serving.health import Health
from services.store.repository import Repository
from sessiond.errors import Unavailable

_log = structlog.get_logger(__name__)


async def follow_etcd(
    repository: Repository,
    health: Health,
    *,
    endpoints: Sequence[HostPort],
    interval_seconds: float = 1.0,
    within_seconds: float = 2.0,
) -> None:
    """Tell `health`, without an end, whether etcd answers at its `endpoints`; log changes."""
    answered: bool | None = None
    while True:
        answers = await _answers(repository, within_seconds)
        if answers and not answered:
            _log.info("etcd answers")
        elif not answers and answered is not False:
            _log.warning(
                "etcd does not answer; trying again",
                endpoints=[str(endpoint) for endpoint in endpoints],
                every_seconds=interval_seconds,
            )
        answered = answers
        health.set_ready(answers)
        await asyncio.sleep(interval_seconds)


async def _answers(repository: Repository, within_seconds: float) -> bool:
    try:
        async with asyncio.timeout(within_seconds):
            await repository.instances()
    except (TimeoutError, Unavailable):
        return False
    except Exception:
        # A fault of ours: to say so once a second is better than to take the whole part down.
        _log.exception("etcd's answer cannot be read")
        return False
    return True
