"""How a part runs as a process: from its start to a drained end.

    SIGTERM or SIGINT -> not ready -> the part's own drain -> servers wait for their calls
                      -> resources close, in the reverse order of their opening -> exit code 0

All of it takes `drain_seconds` at most. A second signal ends the waiting.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from typing import NoReturn

import structlog
import uvloop
from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
)

from services.serving import logs
from services.serving.health import Health
from services.serving.settings import ProcessSettings
from services.serving.sockets import StartFailed
from services.serving.web import monitoring, serving_http

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Running:
    """What the runner gives to a part: its health, and the registry of its figures."""

    health: Health
    registry: CollectorRegistry


Drain = Callable[[], Awaitable[None]]
"""Ends what has no end of its own: hands sessions over, says goodbye to streams."""

Part = Callable[[Running], AbstractAsyncContextManager[Drain]]
"""Opens a part: enters all that it is made of, servers last, and yields its drain.

The part says itself when it is ready (`running.health.set_ready`). If something in it breaks for
good, its context raises, and the process ends with exit code 1.
"""


COLLECTIONS = (20_000, 25, 40)
"""Objects made until the youngest of them are looked through for cycles, such looks until the next
generation is, and those until all are.

What parts hold for long has no cycles, and a look at all of it stops everything for as long as it
takes. At 20,000 changes a second there is one in about a minute.
"""


async def nothing_to_drain() -> None:
    """Be the drain of a part whose calls all end by themselves."""


def run(name: str, settings: ProcessSettings, part: Part) -> NoReturn:
    """Run a part until a signal ends it, and leave the process.

    Exit codes: 0 after a drain, 1 when the part could not start, broke, or was hurried.
    """
    # gRPC's C core writes lines of its own to stderr; what matters of them comes as exceptions.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    logs.configure(name, settings.log_level)
    gc.collect()
    gc.freeze()  # modules and classes stay for good, and are not looked through again
    gc.set_threshold(*COLLECTIONS)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            waited = runner.run(_run(settings, part))
    except BaseException as error:
        if (failed := _start_failure(error)) is None:
            _log.critical("part broke", exc_info=error)
        else:
            print(f"sessiond {name}: {failed}", file=sys.stderr)  # noqa: T201
        raise SystemExit(1) from None
    raise SystemExit(0 if waited else 1)


async def _run(settings: ProcessSettings, part: Part) -> bool:
    """Return whether all calls under way were waited for, as long as they may take."""
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    running = Running(Health(), registry)
    signals = _Signals(running.health)
    try:
        await _open_and_serve(settings, part, running, signals)
    except asyncio.CancelledError:
        if not signals.first.is_set():
            raise
    if signals.hurried:
        _log.warning("stopped without waiting")
    else:
        _log.info("stopped")
    return not signals.hurried


async def _open_and_serve(
    settings: ProcessSettings, part: Part, running: Running, signals: _Signals
) -> None:
    async with AsyncExitStack() as stack:
        if settings.metrics_listen is not None:
            app = monitoring(running.registry, running.health)
            await stack.enter_async_context(
                serving_http(app, settings.metrics_listen, running.health)
            )
        drain = await stack.enter_async_context(part(running))
        signals.serving = True
        _log.info("serving", listen=None if settings.serves_at is None else str(settings.serves_at))
        await signals.first.wait()
        _log.info("draining", seconds=settings.drain_seconds)
        running.health.begin_drain(settings.drain_seconds)
        try:
            async with asyncio.timeout(settings.drain_seconds):
                await drain()
        except TimeoutError:
            _log.warning("drain took too long")


def _start_failure(error: BaseException) -> StartFailed | None:
    """Return the failed start behind the error, also out of the task groups of a part."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error if isinstance(error, StartFailed) else None


class _Signals:
    """SIGTERM and SIGINT: the first ends the serving, or the start; the second, the waiting."""

    def __init__(self, health: Health) -> None:
        self.first = asyncio.Event()
        self.serving = False
        self.hurried = False
        self._health = health
        self._task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._arrived)

    def _arrived(self) -> None:
        if self.first.is_set():
            self.hurried = True
            self._health.hurry()
        if self._task is not None and (self.hurried or not self.serving):
            self._task.cancel()
        self.first.set()
