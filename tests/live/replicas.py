"""Several Lives that serve gRPC over one kept Store, in one process."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from joserfc import jwt
from joserfc.jwk import OctKey
from prometheus_client import CollectorRegistry

from services.live.hops import Hops
from services.live.joins import Guesses
from services.live.places import Whereabouts
from services.live.rates import Rate, Rates
from services.live.servicer import InstanceServicer, LiveServicer
from services.live.stream import Surroundings
from services.live.streams import Streams
from services.serving.addresses import HostPort
from services.serving.auth import authenticating
from services.serving.channels import open_channel
from services.serving.health import Health
from services.serving.identity import PartIdentity
from services.serving.interceptors import CallInterceptor
from services.serving.metrics import CallMetrics
from services.serving.placement import placed
from services.serving.server import GrpcServer
from sessiond.session.limits import DEFAULT_LIMITS
from sessiond.v1 import live_pb2 as pb
from sessiond.v1.live_pb2_grpc import LiveServiceStub, add_LiveServiceServicer_to_server
from sessiond.v1.ownership_pb2_grpc import add_InstanceServiceServicer_to_server
from tests.live.kept import PATIENCE
from tests.live.standing import SECRET, UNLIMITED, House, Live

IDENTIFY = "/sessiond.v1.InstanceService/Identify"


def calling(subject: str = "alice", **claims: Any) -> tuple[tuple[str, str], ...]:
    """Return the metadata of this caller."""
    told = {"iss": "tests", "aud": "sessiond", "sub": subject, "exp": int(time.time()) + 3600}
    key = OctKey.import_key(SECRET)
    token = jwt.encode({"alg": "HS256"}, {**told, **claims}, key, algorithms=["HS256"])
    return (("authorization", f"Bearer {token}"),)


@dataclass
class Replica:
    """One Live that serves, and how it ends."""

    live: Live
    address: str
    server: GrpcServer
    channel: grpc.aio.Channel
    stub: Any
    streams: Streams
    asked: list[str]
    """Contents of the messages that it was asked to append, by clients or by other Lives."""
    noted: asyncio.Event

    async def say(
        self,
        content: str,
        op_id: str = "",
        *,
        session_id: str = "s1",
        metadata: tuple[tuple[str, str], ...] = (),
        seconds: float = PATIENCE,
    ) -> int:
        """Append a message through this one, and return its seq."""
        request = pb.AppendMessageRequest(
            session_id=session_id, content=content, op_id=op_id or secrets.token_hex(8)
        )
        answer = await self.stub.AppendMessage(
            request, metadata=metadata or calling(), timeout=seconds
        )
        return int(answer.seq)

    async def heard(self, count: int) -> None:
        """Wait until it was asked so many messages."""
        async with asyncio.timeout(PATIENCE):
            while len(self.asked) < count:
                self.noted.clear()
                await self.noted.wait()

    async def kill(self) -> None:
        """End it as SIGKILL does: connections break, and nothing is said to Store any more."""
        for task in self.live.tasks:
            task.cancel()
        await self.server.grpc.stop(None)

    def holds(self, session_id: str = "s1") -> bool:
        return self.live.rooms.held(session_id) is not None


class Noting(LiveServicer, InstanceServicer):
    """Notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.noted = asyncio.Event()

    def serve(self, live: Live, streams: Streams, guesses: Guesses) -> None:
        LiveServicer.__init__(self, live.changes, live.history, streams, guesses)
        InstanceServicer.__init__(self, live.registration)

    def connect(self, requests: Any, context: Any) -> Any:
        return self._streams.connect(requests, context)

    async def AppendMessage(  # noqa: N802
        self, request: pb.AppendMessageRequest, context: Any
    ) -> pb.AppendMessageResponse:
        self.asked.append(request.content)
        self.noted.set()
        return await super().AppendMessage(request, context)


@dataclass
class Replicas:
    """Those that were started; they know one another.

    Each has a Store of its own, so that a commit that is held back there holds back no other's.
    """

    house: House
    ports: Iterator[int]
    stack: AsyncExitStack
    all: list[Replica] = field(default_factory=list)

    async def start(self, *, rate: Rate = UNLIMITED) -> Replica:
        """Start another one, and wait until all that live know each other."""
        replica = await self.stack.enter_async_context(self._one(rate))
        self.all.append(replica)
        await self.known()
        return replica

    @asynccontextmanager
    async def _one(self, rate: Rate) -> AsyncIterator[Replica]:
        listen = HostPort("127.0.0.1", next(self.ports))
        settings = self.house.settings(listen)
        async with authenticating(settings) as authenticator:
            interceptor = CallInterceptor(
                authenticator, CallMetrics(CollectorRegistry()), public=frozenset({IDENTIFY})
            )
            server, servicer = GrpcServer(settings, Health(), interceptor), Noting()
            add_LiveServiceServicer_to_server(servicer, server.grpc)
            add_InstanceServiceServicer_to_server(servicer, server.grpc)
            Streams.take_calls(servicer, server.grpc)  # type: ignore[arg-type]
            # It listens before it is registered: nobody is to find a registered one silent.
            async with (
                server,
                self.house.store(dials=True) as (store, _),
                self.house.live(store, address=str(listen), rate=rate) as live,
                open_channel(listen, settings) as channel,
            ):
                hops = Hops(authenticator, PartIdentity(self.house.folder / "live.jwt"))
                streams = Streams(
                    Surroundings(
                        Whereabouts(live.rooms, live.router, hops, live.store, str(listen)),
                        authenticator,
                        live.counts,
                        DEFAULT_LIMITS,
                        attached_sessions=1000,
                    )
                )
                guesses = Guesses(hops, Rates(Rate(10 / 60, 10), clock=lambda: 0.0))
                servicer.serve(live, streams, guesses)
                yield Replica(
                    live,
                    str(listen),
                    server,
                    channel,
                    LiveServiceStub(channel),
                    streams,
                    servicer.asked,
                    servicer.noted,
                )

    async def known(self) -> None:
        """Wait until each of them knows just those that are registered."""
        for replica in self.all:
            if replica.live.instance in await self._registered():
                async with asyncio.timeout(PATIENCE):
                    async for told in replica.live.instances.follow():
                        # One that a test left may be found unreachable, and go, at any time.
                        if {each.id for each in told} == await self._registered():
                            break

    async def _registered(self) -> set[bytes]:
        _, registered = await self.house.kept.instances()
        return {each.instance for each in registered}

    def place(self, session_id: str, *, without: Replica | None = None) -> Replica:
        """Return where a session is placed."""
        among = {each.live.instance: each for each in self.all if each is not without}
        living = next(iter(among.values())).live.instances.living
        found = placed(session_id, [each for each in living if each.id in among])
        assert found is not None
        return among[found.id]

    def placed_on(self, replica: Replica, count: int = 1) -> list[str]:
        """Return names of sessions that are placed there."""
        found: list[str] = []
        number = 0
        while len(found) < count:
            number += 1
            if self.place(f"s-{number}") is replica:
                found.append(f"s-{number}")
        return found


@asynccontextmanager
async def replicas(house: House, ports: Iterator[int], count: int) -> AsyncIterator[Replicas]:
    """Run so many Lives; Store looks at those that are reported."""
    async with AsyncExitStack() as stack:
        started = Replicas(house, ports, stack)
        for _ in range(count):
            await started.start()
        yield started
