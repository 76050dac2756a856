"""The client of a whole installation: Live and Store, at any number of addresses.

```
async with Client(live="localhost:50052", store="localhost:50051", token=token) as client:
    created = await client.create(title="Launch plan")
    async with client.attach(created.id) as session:
        await session.append("Hello")
        async for record in session:
            ...
```

Connections are made, renewed and resumed by themselves. What is raised is permanent, or took longer
than the deadline.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Self

from sessiond.client.calls import Replicas
from sessiond.client.changes_feed import changes
from sessiond.client.channels import Tls, addresses_of, open_channel
from sessiond.client.requests import new_op_id
from sessiond.client.session import AttachedSession
from sessiond.client.stream import Surroundings, connector
from sessiond.client.streams import Streams
from sessiond.client.tokens import Provider, Tokens
from sessiond.client.unary import Caller, UnaryCalls
from sessiond.client.watch import watch
from sessiond.errors import Unavailable
from sessiond.numbers import STATUS_NUMBER
from sessiond.session.state import Status
from sessiond.v1.live_pb2_grpc import LiveServiceStub
from sessiond.v1.store_pb2 import (
    AgentNames,
    WatchChangesRequest,
    WatchChangesResponse,
    WatchSessionsRequest,
    WatchSessionsResponse,
)
from sessiond.v1.store_pb2_grpc import StoreServiceStub


class Client(UnaryCalls):
    """An asynchronous client; to be used with `async with`, in one event loop.

    Attached sessions share streams, up to 1,000 on each, and each stream is one task. A session
    whose owner is among the addresses of Live goes straight to it. A client that is left says
    goodbye, and leaves no task and no connection behind.
    """

    def __init__(
        self,
        *,
        live: str | Sequence[str],
        store: str | Sequence[str],
        token: str | Provider,
        acting_for: str | None = None,
        tls: Tls | None = None,
        deadline: float = 30.0,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Name whom to ask, and who asks.

        Args:
            live: addresses of Live, as host:port; any of them serves any session. Given those that
                the Lives advertise, each session is followed at its owner, without a detour.
            store: addresses of Store.
            token: a bearer token, or what gives one (a function, possibly asynchronous) and is
                asked again before the token ends.
            acting_for: the user for whom a service acts.
            tls: TLS settings; None speaks plainly, for development.
            deadline: seconds that a call, or attaching, may take, attempts and pauses included.
            clock: seconds since 1970.
            chance: numbers from 0 to 1, for the first address and for pauses.

        Raises:
            ValueError: there is no address.
        """
        self._addresses = (addresses_of(live, "live"), addresses_of(store, "store"))
        self._tls = tls
        self._chance = chance
        caller = Caller(
            Tokens(token, clock=clock), acting_for, deadline, new_op_id, time.monotonic, chance
        )
        super().__init__(caller, Replicas([], 0), Replicas([], 0))
        self._streams: Streams | None = None
        self._resources = AsyncExitStack()

    async def __aenter__(self) -> Self:
        first = int(self._chance() * 1_000_000)
        channels = [
            [
                await self._resources.enter_async_context(open_channel(address, self._tls))
                for address in addresses
            ]
            for addresses in self._addresses
        ]
        live, store = channels
        self._live = Replicas([LiveServiceStub(channel) for channel in live], first)
        self._store = Replicas([StoreServiceStub(channel) for channel in store], first)
        self._streams = Streams(
            Surroundings(
                connects={
                    address: connector(channel)
                    for address, channel in zip(self._addresses[0], live, strict=True)
                },
                tokens=self._caller.tokens,
                acting_for=self._caller.acting_for,
                chance=self._chance,
            )
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        streams, self._streams = self._streams, None
        if streams is not None:
            await streams.close()
        await self._resources.aclose()

    @asynccontextmanager
    async def attach(
        self, session_id: str, *, tail: int | None = None
    ) -> AsyncGenerator[AttachedSession, None]:
        """Follow a session while the block runs. `tail` messages are loaded, 50 by default.

        Raises:
            SessionNotFound: there is none, or it is not the caller's.
            SessiondError: another permanent failure; `Unavailable` when nobody answered in time.
        """
        streams = self._streams
        if streams is None:
            raise RuntimeError("the client is not open")
        session = AttachedSession(
            session_id, tail=tail, new_op_id=self._caller.new_op_id, chance=self._chance
        )
        try:
            try:
                async with asyncio.timeout(self._caller.deadline):
                    await session.attach(streams)
            except TimeoutError:
                raise Unavailable("Nobody could attach the session in time.") from None
            yield session
        finally:
            session.leave()
            streams.end_idle()

    async def watch(
        self,
        user_id: str | None = None,
        *,
        agents: Sequence[str] = (),
        status: Status | None = None,
        cursor: str | None = None,
    ) -> AsyncGenerator[WatchSessionsResponse, None]:
        """Follow the sessions of a user, by default one's own, or those that await some agents.

        First come the matching summaries, then `listed`, then each change, at most 4 a second for
        a session. Each response has a cursor to go on from later; `reset` says that a listing
        begins anew.
        """
        request = WatchSessionsRequest(
            status=None if status is None else STATUS_NUMBER[status], cursor=cursor
        )
        if agents:
            request.agents.CopyFrom(AgentNames(names=agents))
        else:
            request.user_id = await self._user(user_id)
        responses = watch(self._caller, self._store, request)
        try:
            async for response in responses:
                yield response
        finally:
            await responses.aclose()

    async def changes(
        self,
        *,
        cursor: str | None = None,
        user_ids: Sequence[str] = (),
        workflow_ids: Sequence[str] = (),
        event_types: Sequence[str] = (),
    ) -> AsyncGenerator[WatchChangesResponse, None]:
        """Follow all changes of all sessions; for administrators, and services that act for nobody.

        From the cursor of an earlier response on, and from now on without one. Each change comes at
        least once, those of one session in order of seq; who keeps the last cursor misses nothing
        for 24 hours, and later hears `reset` first, since deletions may be missing then. `moved`
        brings a cursor alone. A filter that is empty lets everything through; `event_types` are
        named as the fields of Event: "message_appended". Deletions always come.
        """
        request = WatchChangesRequest(
            cursor=cursor, user_ids=user_ids, workflow_ids=workflow_ids, event_types=event_types
        )
        responses = changes(self._caller, self._store, request)
        try:
            async for response in responses:
                yield response
        finally:
            await responses.aclose()
