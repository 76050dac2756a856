"""Whether a part lives, is ready, or drains: asked over gRPC and over HTTP, kept in one place.

    starting --set_ready(True)--> ready --begin_drain()--> draining --(the process ends)
        ^                           |
        +------set_ready(False)-----+

Alive means that the process answers at all, and it stays so while it drains. Ready means that new
calls should come here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
from grpc_health.v1 import health_pb2

ALIVE = ""
READY = "ready"

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


class Health:
    """The state of one part. It starts as not ready."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ready = False
        self._ends_at: float | None = None
        self._changed = asyncio.Event()
        self._draining = asyncio.Event()

    @property
    def ready(self) -> bool:
        """Whether new calls should come here."""
        return self._ready and not self._draining.is_set()

    @property
    def draining(self) -> bool:
        """Whether the part is on its way out. There is no way back."""
        return self._draining.is_set()

    def set_ready(self, ready: bool) -> None:
        """Say whether new calls should come here. Without effect once the part drains."""
        self._ready = ready
        self._tell()

    def begin_drain(self, seconds: float) -> None:
        """Become not ready for good; what is under way has this many seconds from now."""
        if not self._draining.is_set():
            self._ends_at = self._clock() + seconds
            self._draining.set()
            self._tell()

    def hurry(self) -> None:
        """Leave no more time to what is under way."""
        self._ends_at = self._clock()

    def seconds_left(self) -> float:
        """Return how much of the time to drain is left; 0 when the part does not drain."""
        return 0.0 if self._ends_at is None else max(0.0, self._ends_at - self._clock())

    async def drain_begins(self) -> None:
        """Return when the part begins to drain. Streams without an end wait for it, to end."""
        await self._draining.wait()

    async def changes(self) -> AsyncIterator[bool]:
        """Yield whether the part is ready, now and whenever that changed, until it drains."""
        told: bool | None = None
        while True:
            changed = self._changed
            if self.ready is not told:
                told = self.ready
                yield told
            elif self.draining:
                return
            else:
                await changed.wait()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class HealthService:
    """`grpc.health.v1.Health` over a `Health`: the services `""` (alive) and `ready`.

    A `Watch` ends when the part drains, after it told so: a stream without an end would hold up
    the stop for as long as the part waits for its calls.
    """

    def __init__(self, health: Health) -> None:
        self._health = health

    async def Check(  # noqa: N802
        self, request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> health_pb2.HealthCheckResponse:
        """Answer for one service; NOT_FOUND for a name that is not ours."""
        if request.service not in (ALIVE, READY):
            await context.abort(grpc.StatusCode.NOT_FOUND)
        return self._answer(request.service, ready=self._health.ready)

    async def Watch(  # noqa: N802
        self, request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """Answer for one service, now and whenever the answer changes."""
        last = None
        async for ready in self._health.changes():
            answer = self._answer(request.service, ready=ready)
            if answer != last:
                last = answer
                yield answer

    async def List(  # noqa: N802
        self, request: health_pb2.HealthListRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> health_pb2.HealthListResponse:
        """Answer for all services at once."""
        ready = self._health.ready
        statuses = {name: self._answer(name, ready=ready) for name in (ALIVE, READY)}
        return health_pb2.HealthListResponse(statuses=statuses)

    def _answer(self, service: str, *, ready: bool) -> health_pb2.HealthCheckResponse:
        if service == ALIVE:
            return health_pb2.HealthCheckResponse(status=_SERVING)
        if service == READY:
            return health_pb2.HealthCheckResponse(status=_SERVING if ready else _NOT_SERVING)
        return health_pb2.HealthCheckResponse(status=_UNKNOWN)
