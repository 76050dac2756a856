"""The parts as retention asks them: in its own name, or for the user whose sessions are meant."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Self

import grpc

from services.retention.settings import RetentionSettings
from services.serving.addresses import HostPort
from services.serving.channels import open_channel
from services.serving.identity import PartIdentity
from sessiond.client.calls import Replicas
from sessiond.client.requests import new_op_id
from sessiond.client.tokens import Tokens
from sessiond.client.unary import Caller, UnaryCalls
from sessiond.v1.job_pb2 import (
    CompleteErasureRequest,
    HoldJobRequest,
    HoldJobResponse,
    ListErasuresRequest,
    ReleaseJobRequest,
)
from sessiond.v1.job_pb2_grpc import JobServiceStub
from sessiond.v1.live_pb2 import UnshareSessionRequest
from sessiond.v1.live_pb2_grpc import LiveServiceStub
from sessiond.v1.session_pb2 import SessionSummary
from sessiond.v1.store_pb2 import (
    Erasure,
    ListScope,
    ListSessionsRequest,
    ScanSessionsRequest,
)
from sessiond.v1.store_pb2_grpc import StoreServiceStub

if TYPE_CHECKING:
    from sessiond.v1.job_pb2_grpc import JobServiceAsyncStub
    from sessiond.v1.live_pb2_grpc import LiveServiceAsyncStub
    from sessiond.v1.store_pb2_grpc import StoreServiceAsyncStub

CALL_SECONDS = 30.0
"""How long a call is repeated until it is answered."""

_PAGE = 1000


class Installation(UnaryCalls):
    """All that is asked of Store and Live. Each call may be repeated as it is."""

    def __init__(
        self,
        caller: Caller,
        store: Replicas[StoreServiceAsyncStub],
        live: Replicas[LiveServiceAsyncStub],
        jobs: Replicas[JobServiceAsyncStub],
    ) -> None:
        super().__init__(caller, store, live)
        self._jobs = jobs

    def acting_for(self, user_id: str) -> Self:
        """Return the same, for this user."""
        caller = replace(self._caller, acting_for=user_id)
        return type(self)(caller, self._store, self._live, self._jobs)

    def within(self, seconds: float) -> Self:
        """Return the same, but every call is given up after so long."""
        caller = replace(self._caller, deadline=seconds)
        return type(self)(caller, self._store, self._live, self._jobs)

    async def hold_job(self, job: str, holder: bytes) -> HoldJobResponse:
        """Take or prolong a job."""
        request = HoldJobRequest(job=job, holder=holder)
        return await self._ask(self._jobs, lambda stub: stub.HoldJob, request)

    async def release_job(self, job: str, holder: bytes) -> None:
        """Let a job go."""
        request = ReleaseJobRequest(job=job, holder=holder)
        await self._ask(self._jobs, lambda stub: stub.ReleaseJob, request)

    async def erasures(self) -> Sequence[Erasure]:
        """Return the erasures that are to be done."""
        response = await self._ask(
            self._jobs, lambda stub: stub.ListErasures, ListErasuresRequest()
        )
        return response.erasures

    async def complete(self, user_id: str, *, sessions: int, shares: int) -> Erasure:
        """Write the receipt of an erasure."""
        request = CompleteErasureRequest(user_id=user_id, sessions=sessions, shares=shares)
        response = await self._ask(
            self._jobs, lambda stub: stub.CompleteErasure, request, changes=True
        )
        return response.erasure

    async def scan_pages(self, size: int) -> AsyncGenerator[Sequence[SessionSummary], None]:
        """Yield everybody's sessions as `scan` does, in pages of at most `size`.

        The next one is asked for when its turn comes, so the caller sets the pace.
        """
        request = ScanSessionsRequest(page_size=size)
        while True:
            page = await self._ask(self._store, lambda stub: stub.ScanSessions, request)
            yield page.sessions
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def listed(self, user_id: str, scope: ListScope.ValueType) -> list[str]:
        """Return the ids of all sessions of a user, or of those that are shared with them."""
        request = ListSessionsRequest(user_id=user_id, page_size=_PAGE, scope=scope)
        found: list[str] = []
        while True:
            page = await self._ask(self._store, lambda stub: stub.ListSessions, request)
            found += [summary.id for summary in page.sessions]
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    async def leave(self, session_id: str, user_id: str, *, op_id: str) -> None:
        """End a user's own membership of a session."""
        request = UnshareSessionRequest(session_id=session_id, user_id=user_id, op_id=op_id)
        await self._change(lambda stub: stub.UnshareSession, request)


@asynccontextmanager
async def installation(settings: RetentionSettings) -> AsyncIterator[Installation]:
    """Open the channels to the parts that the settings name."""
    caller = Caller(
        Tokens(PartIdentity(settings.identity_token_file).token, clock=time.time),
        acting_for=None,
        deadline=CALL_SECONDS,
        new_op_id=new_op_id,
        clock=time.monotonic,
        chance=random.random,
    )
    async with AsyncExitStack() as stack:

        async def opened(addresses: Sequence[HostPort]) -> list[grpc.aio.Channel]:
            return [
                await stack.enter_async_context(open_channel(address, settings))
                for address in addresses
            ]

        stores = await opened(settings.store_addresses)
        lives = await opened(settings.live_addresses)
        yield Installation(
            caller,
            Replicas([StoreServiceStub(channel) for channel in stores], 0),
            Replicas([LiveServiceStub(channel) for channel in lives], 0),
            Replicas([JobServiceStub(channel) for channel in stores], 0),
        )
