"""Calls to Store and Live: which address, how often, and what a failure means.

    call --> nearest --> preferred address --moved or broken--> next address --> a pause --> ...

Reads may always be repeated. Changes may too when they carry an operation id: whoever gets it twice
does it once; without one, only those that were certainly not made. What is still unsettled after
the last attempt is told honestly: a change whose first attempt may have been stored is unknown,
whatever the last attempt said.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import grpc
from google.protobuf.message import Message

from gateway.lives import Way
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

    The address that answered last is asked first, unless it hung since. Where `nearest` names a
    better one for a request, that is asked before the others. The channels are the caller's to
    close.
    """

    def __init__(
        self,
        channels: Sequence[grpc.aio.Channel],
        *,
        seconds: float,
        nearest: Callable[[Any], Way | None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._channels = channels
        self._seconds = seconds
        self._nearest = nearest
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._preferred = 0

    def rpc(self, path: str, response_class: type[Message], *, changes: bool) -> Call:
        """Return the caller of one RPC, by its gRPC path; a call ends within `seconds`."""

        def stub(channel: grpc.aio.Channel) -> Any:
            return channel.unary_unary(
                path,
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=response_class.FromString,
            )

        stubs = [stub(channel) for channel in self._channels]

        async def call(request: Message, metadata: Metadata, *, repeatable: bool) -> Any:
            def ways() -> Iterator[_Attempt]:
                near = self._nearest(request)
                if near is not None:
                    yield _Attempt(stub(near.channel), None, near.gone)
                first = self._preferred
                for offset in range(len(stubs)):
                    index = (first + offset) % len(stubs)
                    yield _Attempt(stubs[index], index)

            return await self._call(ways, request, metadata, changes=changes, repeatable=repeatable)

        return call

    async def _call(
        self,
        ways: Callable[[], Iterator[_Attempt]],
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
            for attempt in ways():
                left = ends - self._clock()
                if left <= 0:
                    raise OutcomeUnknown if in_doubt else failure
                try:
                    answer = await attempt.ask(request, metadata, left)
                except grpc.aio.AioRpcError as error:
                    failure = from_rpc_error(error, mutating=changes)
                except _Gone:
                    failure = OutcomeUnknown() if changes else Unavailable()
                else:
                    if attempt.place is not None:
                        self._preferred = attempt.place
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
                    self._leave(attempt.place)
                    raise OutcomeUnknown if changes else Unavailable
                if not isinstance(failure, _WORTH_REPEATING):
                    raise failure
            if pause is not None:
                await self._sleep(min(pause * (0.5 + self._jitter() / 2), max(0.0, left)))
        raise OutcomeUnknown if in_doubt else failure

    def _leave(self, index: int | None) -> None:
        """Ask another address first from now on: one that hangs takes all the time of each call."""
        if self._preferred == index:
            self._preferred = (index + 1) % len(self._channels)


class _Gone(Exception):
    """Whoever was asked is dead."""


class _Attempt(NamedTuple):
    """One address to ask; `place` is where it stands in the order, None for one outside of it."""

    stub: Any
    place: int | None
    gone: asyncio.Future[None] | None = None

    async def ask(self, request: Message, metadata: Metadata, seconds: float) -> Any:
        """Return the answer.

        Raises:
            AioRpcError: there was none.
            _Gone: and there will be none, since nobody is there any more.
        """
        call = self.stub(request, metadata=metadata, timeout=seconds)
        if self.gone is None:
            return await call

        def cancel(_: object) -> None:
            call.cancel()

        self.gone.add_done_callback(cancel)
        try:
            return await call
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self.gone.done() and (task is None or not task.cancelling()):
                raise _Gone from None
            raise
        finally:
            self.gone.remove_done_callback(cancel)
