"""Store as Live uses it: one replica at a time, the next one when that does not answer.

Heartbeats, commits and acquisitions go to the same replica, so that one that cannot write cannot
keep this Live alive either.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import grpc
import structlog

from services.live.commits import COMMITTED, UNKNOWN, CommitStream, Settle, open_call
from services.serving.addresses import HostPort
from services.serving.identity import PartIdentity
from sessiond.errors import (
    DeadlineExceeded,
    OutcomeUnknown,
    PermissionDenied,
    SessiondError,
    SessionNotFound,
    Unauthenticated,
    Unavailable,
)
from sessiond.status import from_rpc_error
from sessiond.v1 import ownership_pb2 as wire
from sessiond.v1.ownership_pb2_grpc import OwnershipServiceStub

if TYPE_CHECKING:
    from sessiond.v1.ownership_pb2_grpc import OwnershipServiceAsyncStub

CALL_SECONDS = 3.0
"""The deadline of one call; a commit has none of its own, since its stream has an end."""

Response = TypeVar("Response")

_log = structlog.get_logger(__name__)


class StoreClient:
    """The ownership protocol, from Live's side.

    Calls raise `Unavailable` when nothing was changed, and `OutcomeUnknown` or `DeadlineExceeded`
    when that is not known. They are repeated by whoever knows that they may be.
    """

    def __init__(
        self,
        addresses: Sequence[HostPort],
        open_channel: Callable[[HostPort], grpc.aio.Channel],
        identity: PartIdentity,
    ) -> None:
        self._addresses = tuple(addresses)
        self._open_channel = open_channel
        self._identity = identity
        self._channels: list[grpc.aio.Channel] = []
        self._stubs: list[OwnershipServiceAsyncStub] = []
        self._chosen = 0
        self._stream: CommitStream | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._resources = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for address in self._addresses:
            channel = await self._resources.enter_async_context(self._open_channel(address))
            self._channels.append(channel)
            self._stubs.append(OwnershipServiceStub(channel))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.close()
        await asyncio.gather(*self._closing, return_exceptions=True)
        await self._resources.aclose()

    async def register(self, instance: bytes, address: str) -> wire.RegisterResponse:
        """Register a new instance."""
        request = wire.RegisterRequest(instance=instance, address=address)
        return await self._call(lambda stub: stub.Register, request, mutating=True)

    async def heartbeat(
        self, instance: bytes, lease: int, *, draining: bool, seconds: float
    ) -> bool:
        """Return whether the instance lives; False is for ever."""
        request = wire.HeartbeatRequest(instance=instance, lease=lease, draining=draining)
        response = await self._call(
            lambda stub: stub.Heartbeat, request, mutating=False, seconds=seconds
        )
        return response.alive

    async def deregister(self, instance: bytes, lease: int) -> None:
        """End a registration."""
        request = wire.DeregisterRequest(instance=instance, lease=lease)
        await self._call(lambda stub: stub.Deregister, request, mutating=True)

    async def acquire(
        self, session_id: str, instance: bytes, commit_id: bytes, *, recent: int
    ) -> wire.AcquireResponse:
        """Become the owner of a session, unless another instance is."""
        request = wire.AcquireRequest(
            session_id=session_id, instance=instance, commit_id=commit_id, recent=recent
        )
        return await self._call(lambda stub: stub.Acquire, request, mutating=True)

    def send(self, instance: bytes, commit: wire.Commit, settle: Settle) -> None:
        """Commit one session's batch; `settle` is called once, with the outcome."""
        self._commit_stream().send(instance, commit, settle)

    async def commit(self, instance: bytes, commit: wire.Commit) -> wire.CommitOutcome:
        """Commit one session's batch, and return the outcome; never raises."""
        outcome: asyncio.Future[wire.CommitOutcome] = asyncio.get_running_loop().create_future()

        def settle(settled: wire.CommitOutcome) -> None:
            if not outcome.done():
                outcome.set_result(settled)

        self.send(instance, commit, settle)
        return await outcome

    async def delete(self, request: wire.DeleteRequest) -> wire.CommitOutcome:
        """Delete a session; never raises for a Store that does not answer."""
        try:
            response = await self._call(lambda stub: stub.Delete, request, mutating=True)
        except (Unavailable, OutcomeUnknown, DeadlineExceeded):
            return UNKNOWN
        return response.outcome

    async def stands(self, request: wire.ReadHeadRequest, head: bytes) -> wire.CommitOutcome:
        """Return, as of a commit, whether a session's head is this very one.

        It never raises for a Store that does not answer.
        """
        found = b""
        try:
            found = (await self._call(lambda stub: stub.ReadHead, request, mutating=False)).head
        except (Unavailable, OutcomeUnknown, DeadlineExceeded):
            return UNKNOWN
        except SessionNotFound:
            pass
        if found == head:
            return COMMITTED
        return wire.CommitOutcome(refused=wire.CommitOutcome.Refused(head=found, registered=True))

    async def release(
        self, instance: bytes, sessions: Sequence[wire.ReleaseRequest.Releasing]
    ) -> None:
        """Give sessions up."""
        request = wire.ReleaseRequest(instance=instance, sessions=sessions)
        await self._call(lambda stub: stub.Release, request, mutating=True)

    async def hand_over(self, request: wire.HandOverRequest) -> wire.HandOverResponse:
        """Give a session to another instance; never raises for a Store that does not answer."""
        try:
            return await self._call(lambda stub: stub.HandOver, request, mutating=True)
        except (Unavailable, OutcomeUnknown, DeadlineExceeded):
            return wire.HandOverResponse(outcome=UNKNOWN)

    async def read_head(self, session_id: str) -> bytes:
        """Return a session's head, read through consensus.

        Raises:
            SessionNotFound: there is none.
        """
        return (await self._read_head(session_id)).head

    async def read_owner(self, session_id: str) -> str:
        """Return the address of a session's owner, read through consensus.

        "" says that it has none, or that its owner is gone.

        Raises:
            SessionNotFound: there is no head.
        """
        return (await self._read_head(session_id)).owner_address

    async def _read_head(self, session_id: str) -> wire.ReadHeadResponse:
        request = wire.ReadHeadRequest(session_id=session_id)
        return await self._call(lambda stub: stub.ReadHead, request, mutating=False)

    async def records(
        self, session_id: str, first_seq: int, last_seq: int, *, enough: int | None = None
    ) -> list[bytes]:
        """Return records in order of seq; the later ones are left out past `enough` bytes.

        Raises:
            SessionNotFound: some are gone, and the session with them.
        """
        request = wire.ReadRecordsRequest(
            session_id=session_id, first_seq=first_seq, last_seq=last_seq
        )
        chosen = self._chosen
        found: list[bytes] = []
        size = 0
        try:
            call = self._stubs[chosen].ReadRecords(
                request, metadata=self._identity.metadata(), timeout=2 * CALL_SECONDS
            )
            async for response in call:
                found.extend(response.records)
                size += sum(map(len, response.records))
                if enough is not None and size >= enough:
                    call.cancel()
                    return found
        except grpc.aio.AioRpcError as error:
            raise self._failed(error, chosen, mutating=False) from None
        if len(found) != last_seq - first_seq + 1:
            raise SessionNotFound
        return found

    async def count(self, user_id: str, *, shared: bool = False) -> int:
        """Return how many sessions a user owns, or how many others share with them."""
        request = wire.CountSessionsRequest(user_id=user_id, shared=shared)
        response = await self._call(lambda stub: stub.CountSessions, request, mutating=False)
        return response.count

    async def _call(
        self,
        method: Callable[[OwnershipServiceAsyncStub], Callable[..., Awaitable[Response]]],
        request: Any,
        *,
        mutating: bool,
        seconds: float = CALL_SECONDS,
    ) -> Response:
        chosen = self._chosen
        try:
            return await method(self._stubs[chosen])(
                request, metadata=self._identity.metadata(), timeout=seconds
            )
        except grpc.aio.AioRpcError as error:
            raise self._failed(error, chosen, mutating=mutating) from None

    def _failed(self, error: grpc.aio.AioRpcError, chosen: int, *, mutating: bool) -> SessiondError:
        failure = from_rpc_error(error, mutating=mutating)
        if isinstance(failure, Unauthenticated | PermissionDenied):
            # It is this Live that it does not take: its clock, or its keys, are not ours. It has
            # done nothing, and is of no more use to us than one that does not answer.
            failure = Unavailable()
        if isinstance(failure, Unavailable | OutcomeUnknown | DeadlineExceeded):
            self._move_on(chosen)
        return failure

    def _move_on(self, failed: int) -> None:
        """Use the next replica from now on, unless somebody already moved on."""
        if failed != self._chosen:
            return
        self._chosen = (failed + 1) % len(self._addresses)
        _log.warning(
            "store does not answer",
            address=str(self._addresses[failed]),
            next=str(self._addresses[self._chosen]),
        )
        if self._stream is not None:
            self._retire(self._stream)

    def _commit_stream(self) -> CommitStream:
        if self._stream is None:
            chosen = self._chosen
            self._stream = CommitStream(
                open_call(self._channels[chosen], self._identity.metadata()),
                lambda stream: self._stream_broke(stream, chosen),
            )
        return self._stream

    def _stream_broke(self, stream: CommitStream, chosen: int) -> None:
        if stream is self._stream:
            self._retire(stream)
            self._move_on(chosen)

    def _retire(self, stream: CommitStream) -> None:
        self._stream = None
        closing = asyncio.create_task(stream.close(), name="commit-stream-close")
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
