"""Calls to Store and Live: which address, how often, and what a failure means.

    call --> preferred address --moved or broken--> next address --> ... --> a pause --> ...

Reads may always be repeated. Changes may too when they carry an operation id: whoever gets it twice
does it once; without one, only those that were certainly not made. What is still unsettled after
the last attempt is told honestly: a change whose first attempt may have been stored is unknown,
whatever the last attempt said.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import grpc
from google.protobuf.message import Message

from sessiond.errors import (
    DeadlineExceeded,
    OutcomeUnknown,
    RateLimited,
    SessiondError,
    SessionMoved,
    Unavailable,
)
from sessiond.status import from_rpc_error

Metadata = tuple[tuple[str, str], ...]

_WORTH_REPEATING = (SessionMoved, Unavailable, OutcomeUnknown)

# Pauses between rounds over all addresses: 1.5 s in all, so a Live that dies (its sessions come
# back within a second) is bridged, and a longer outage is told while the caller still listens.
_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.75)


class Call(Protocol):
    """Calls one RPC."""

    async def __call__(self, request: Message, metadata: Metadata, *, repeatable: bool) -> Any:
        """Return the response; `repeatable` says that to do it twice is to do it once.

        Raises:
            SessiondError: the failure that the caller is told.
        """


class Replicas:
    """One service behind several addresses, any of which may be asked.

    The address that answered last is asked first, unless it hung since. The channels are the
    caller's to close.
    """

    def __init__(
        self,
        channels: Sequence[grpc.aio.Channel],
        *,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._channels = channels
        self._seconds = seconds
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._preferred = 0

    def rpc(self, path: str, response_class: type[Message], *, changes: bool) -> Call:
        """Return the caller of one RPC, by its gRPC path; a call ends within `seconds`."""
        stubs: list[Any] = [
            channel.unary_unary(
                path,
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=response_class.FromString,
            )
            for channel in self._channels
        ]

        async def call(request: Message, metadata: Metadata, *, repeatable: bool) -> Any:
            return await self._call(
                stubs, request, metadata, changes=changes, repeatable=repeatable
            )

        return call

    async def _call(
        self,
        stubs: Sequence[Any],
        request: Message,
        metadata: Metadata,
        *,
        changes: bool,
        repeatable: bool,
    ) -> Any:
        ends = self._clock() + self._seconds
        in_doubt = False
        failure: SessiondError = Unavailable()
        for pause in (*_PAUSES, None):
            first = self._preferred
            for offset in range(len(stubs)):
                left = ends - self._clock()
                if left <= 0:
                    raise OutcomeUnknown if in_doubt else failure
                index = (first + offset) % len(stubs)
                try:
                    answer = await stubs[index](request, metadata=metadata, timeout=left)
                except grpc.aio.AioRpcError as error:
                    failure = from_rpc_error(error, mutating=changes)
                else:
                    self._preferred = index
                    return answer
                if isinstance(failure, OutcomeUnknown):
                    if not repeatable:
                        raise failure
                    in_doubt = True
                if isinstance(failure, RateLimited) and in_doubt:
                    # It says that this attempt did nothing, and nothing about the one before.
                    raise OutcomeUnknown
                if isinstance(failure, DeadlineExceeded):
                    # The time that is over is ours: over HTTP nobody gives us one.
                    self._leave(index)
                    raise OutcomeUnknown if changes else Unavailable
                if not isinstance(failure, _WORTH_REPEATING):
                    raise failure
            if pause is not None:
                await self._sleep(min(pause * (0.5 + self._jitter() / 2), max(0.0, left)))
        raise OutcomeUnknown if in_doubt else failure

    def _leave(self, index: int) -> None:
        """Ask another address first from now on: one that hangs takes all the time of each call."""
        if self._preferred == index:
            self._preferred = (index + 1) % len(self._channels)
