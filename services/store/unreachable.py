"""Instances that others cannot reach: Store looks for itself, and ends what is certainly gone.

    reported --dial--> refused                     -> gone
                   |-> connected, another instance -> gone
                   |-> connected, this instance    -> stays
                   `-> no answer in time           -> stays: a stopped process may yet wake up,
                                                      and its lease runs out by itself

A registration that was ended by mistake costs its owner its sessions, but never an acknowledged
change: what fences a former owner is the comparison in every write.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Self

import grpc
import structlog

from services.serving.addresses import HostPort
from services.store.answers import Instance
from services.store.repository import Repository
from sessiond.errors import RateLimited
from sessiond.v1.ownership_pb2 import IdentifyRequest
from sessiond.v1.ownership_pb2_grpc import InstanceServiceStub

_log = structlog.get_logger(__name__)

OpenChannel = Callable[[HostPort], AbstractAsyncContextManager[grpc.aio.Channel]]

_DIAL_SECONDS = 1.0
_INTERVAL_SECONDS = 1.0


class Unreachable:
    """Follows reports, at most one a second; an async context manager.

    Reports of an instance that is being looked at join that look; others are `RateLimited`.
    `proves_gone(address, instance)` dials.
    """

    def __init__(
        self,
        repository: Repository,
        proves_gone: Callable[[HostPort, bytes], Awaitable[bool]],
        *,
        clock: Callable[[], float],
    ) -> None:
        self._repository = repository
        self._proves_gone = proves_gone
        self._clock = clock
        self._next_look = float("-inf")
        self._looks: dict[bytes, asyncio.Task[bool]] = {}

    async def __aenter__(self) -> Self:
        """Return what takes reports."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End what is being looked at."""
        looks = list(self._looks.values())
        for look in looks:
            look.cancel()
        if looks:
            await asyncio.wait(looks)

    async def report(self, instance: bytes) -> bool:
        """Look at an instance, and return whether its registration is gone.

        Raises:
            RateLimited: another one was looked at less than a second ago.
        """
        look = self._looks.get(instance)
        if look is None:
            wait = self._next_look - self._clock()
            if wait > 0:
                raise RateLimited(retry_after=wait)
            self._next_look = self._clock() + _INTERVAL_SECONDS
            look = asyncio.create_task(self._look(instance))
            self._looks[instance] = look
            look.add_done_callback(lambda done: self._looked(instance, done))
        # Shielded: who joined is not to suffer when who asked first goes away.
        return await asyncio.shield(look)

    def _looked(self, instance: bytes, look: asyncio.Task[bool]) -> None:
        del self._looks[instance]
        if not look.cancelled():
            look.exception()  # has been looked at, also when who asked is gone

    async def _look(self, instance: bytes) -> bool:
        _, instances = await self._repository.instances()
        registered = next((each for each in instances if each.instance == instance), None)
        if registered is None:
            return True
        if not await self._proves_gone(HostPort.parse(registered.address), instance):
            return False
        await self._end(registered)
        return True

    async def _end(self, registered: Instance) -> None:
        _log.warning("unreachable instance ended", instance=registered.instance.hex())
        await self._repository.deregister(registered.instance, registered.lease)


class Dialler:
    """Dials an address and says whether that proves an instance gone."""

    def __init__(self, open_channel: OpenChannel) -> None:
        self._open_channel = open_channel

    async def proves_gone(self, address: HostPort, instance: bytes) -> bool:
        """Return True when the connection is refused or another instance answers, within 1 s."""
        try:
            async with asyncio.timeout(_DIAL_SECONDS):
                if await _refused(address):
                    return True
                async with self._open_channel(address) as channel:
                    answer = await InstanceServiceStub(channel).Identify(IdentifyRequest())
        except (TimeoutError, OSError, grpc.aio.AioRpcError):
            return False
        return answer.instance != instance


async def _refused(address: HostPort) -> bool:
    """Return whether every address of the name refuses; raise OSError for any other failure."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    for family, kind, protocol, _, where in found:
        with socket.socket(family, kind, protocol) as dialling:
            dialling.setblocking(False)
            try:
                await loop.sock_connect(dialling, where)
            except ConnectionRefusedError:
                continue
            return False
    return True
