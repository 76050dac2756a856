"""Whether the gateway can do its work: one Store and one Live must be ready."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import grpc
from grpc_health.v1 import health_pb2

from services.serving.health import READY, Health

_CHECK = "/grpc.health.v1.Health/Check"
_SERVING = health_pb2.HealthCheckResponse.SERVING


class Readiness:
    """Asks the parts behind whether they are ready, and keeps `health` up to date.

    Of every group, one service, one replica that says yes within `timeout` seconds is enough.
    """

    def __init__(
        self,
        groups: Sequence[Sequence[grpc.aio.Channel]],
        health: Health,
        *,
        every: float = 1.0,
        timeout: float = 1.0,
    ) -> None:
        self._groups = [
            [
                channel.unary_unary(
                    _CHECK,
                    request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
                    response_deserializer=health_pb2.HealthCheckResponse.FromString,
                )
                for channel in channels
            ]
            for channels in groups
        ]
        self._health = health
        self._every = every
        self._timeout = timeout

    async def keep(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            self._health.set_ready(await self.look())
            await asyncio.sleep(self._every)

    async def look(self) -> bool:
        """Return whether all groups have a replica that is ready."""
        for checks in self._groups:
            if not any(await asyncio.gather(*map(self._is_ready, checks))):
                return False
        return True

    async def _is_ready(self, check: Any) -> bool:
        try:
            answer = await check(
                health_pb2.HealthCheckRequest(service=READY), timeout=self._timeout
            )
        except grpc.aio.AioRpcError:
            return False
        return bool(answer.status == _SERVING)
