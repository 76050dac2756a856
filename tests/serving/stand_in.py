"""A part as a process: an echo with settings, health, figures and a drain.

Its one method answers at once, except: `wait` waits until the part drains, `stay` for ever.
`SESSIOND_START` says how it starts: `late` never becomes ready, `break` breaks once it serves.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Literal

import structlog

from services.serving.auth import authenticating
from services.serving.interceptors import CallInterceptor
from services.serving.metrics import CallMetrics
from services.serving.running import Drain, Running, run
from services.serving.server import GrpcServer
from services.serving.settings import Settings, load
from tests.serving.echo import Context, Echo

_log = structlog.get_logger(__name__)


class StandInSettings(Settings):
    """Settings of the stand-in."""

    start: Literal["well", "late", "break"] = "well"


async def _break() -> None:
    raise RuntimeError("a bolt is loose")


@asynccontextmanager
async def open_stand_in(settings: StandInSettings, running: Running) -> AsyncIterator[Drain]:
    """Serve the echo until the block is left."""
    drained = asyncio.Event()

    async def act(request: bytes, rpc: Context) -> None:
        if request == b"wait":
            await running.health.drain_begins()
        elif request == b"stay":
            _log.info("staying")
            await asyncio.Event().wait()

    async def drain() -> None:
        _log.info("own drain", ready=running.health.ready)
        drained.set()

    async with authenticating(settings) as authenticator, asyncio.TaskGroup() as tasks:
        if settings.start == "late":
            _log.info("waiting for what never comes")
            await asyncio.Event().wait()
        echo = Echo()
        echo.act = act
        interceptor = CallInterceptor(authenticator, CallMetrics(running.registry))
        server = GrpcServer(settings, running.health, interceptor)
        server.grpc.add_generic_rpc_handlers((echo,))
        try:
            async with server:
                running.health.set_ready(True)
                if settings.start == "break":
                    tasks.create_task(_break())
                yield drain
        finally:
            _log.info("resources closed", drained=drained.is_set())


if __name__ == "__main__":
    own = load(StandInSettings)
    run("stand-in", own, partial(open_stand_in, own))
