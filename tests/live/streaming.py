"""A Live that serves streams over real gRPC, and clients that speak frames to it."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import grpc
from joserfc import jwt
from joserfc.jwk import OctKey
from prometheus_client import CollectorRegistry

from services.live.changes import Counts
from services.live.forwarding import CONNECT
from services.live.held import Held
from services.live.hops import Hops
from services.live.places import Whereabouts
from services.live.rates import Rate, Rates
from services.live.rooms import Rooms
from services.live.stream import Surroundings
from services.live.streams import Streams
from services.serving.auth import authenticating
from services.serving.channels import open_channel
from services.serving.health import Health
from services.serving.identity import PartIdentity
from services.serving.interceptors import CallInterceptor
from services.serving.metrics import CallMetrics
from services.serving.server import GrpcServer
from sessiond.session.limits import DEFAULT_LIMITS
from sessiond.v1 import live_pb2 as pb
from sessiond.v1.live_pb2_grpc import (
    LiveServiceServicer,
    add_LiveServiceServicer_to_server,
)
from tests.live.kept import PATIENCE
from tests.live.standing import ANYWHERE, SECRET, House, Live

PLENTY = Rate(per_second=1e6, burst=1_000_000)


class OnlyHere:
    """The router of a Live that is alone."""

    def __init__(self, rooms: Rooms) -> None:
        self.rooms = rooms

    def search(self, session_id: str, *, hops: int) -> Searching:
        return Searching(self.rooms, session_id)


@dataclass
class Searching:
    rooms: Rooms
    session_id: str

    async def next(self) -> Held:
        return await self.rooms.enter(self.session_id)


def token(subject: str, **claims: Any) -> str:
    """Return a token of this caller's."""
    told = {"iss": "tests", "aud": "sessiond", "sub": subject, "exp": int(time.time()) + 3600}
    key = OctKey.import_key(SECRET)
    return jwt.encode({"alg": "HS256"}, {**told, **claims}, key, algorithms=["HS256"])


@dataclass
class Serving:
    """A Live that serves, and what a test can see of it."""

    house: House
    live: Live
    streams: Streams
    channel: grpc.aio.Channel
    address: str

    @asynccontextmanager
    async def client(self, subject: str = "alice", **claims: Any) -> AsyncIterator[Client]:
        """Open a stream in this caller's name."""
        metadata = (("authorization", f"Bearer {token(subject, **claims)}"),)
        call: Any = self.channel.stream_stream(CONNECT)(metadata=metadata)
        try:
            yield Client(call)
        finally:
            call.cancel()


@asynccontextmanager
async def serving(
    house: House,
    *,
    clock: Callable[[], float] = time.time,
    attached_sessions: int = 1000,
    patience_seconds: float = PATIENCE,
    farewell_seconds: float = 5.0,
    rate: Rate = PLENTY,
    router: Callable[[Rooms], Any] = OnlyHere,
) -> AsyncIterator[Serving]:
    """Serve streams over a Store of the house's own."""
    async with house.store() as (store, _), house.live(store) as live:
        settings = house.settings(ANYWHERE)
        rates = Rates(rate, clock=time.monotonic)
        async with authenticating(settings) as authenticator:
            streams = Streams(
                Surroundings(
                    Whereabouts(
                        live.rooms,
                        router(live.rooms),
                        Hops(authenticator, PartIdentity(house.folder / "live.jwt")),
                        live.store,
                        "live:1",
                    ),
                    authenticator,
                    Counts(users=rates, services=rates),
                    DEFAULT_LIMITS,
                    attached_sessions,
                    patience_seconds,
                    farewell_seconds,
                    clock,
                )
            )
            interceptor = CallInterceptor(authenticator, CallMetrics(CollectorRegistry()))
            server = GrpcServer(settings, Health(), interceptor)
            generated: type[Any] = LiveServiceServicer
            add_LiveServiceServicer_to_server(generated(), server.grpc)
            streams.take_calls(server.grpc)
            async with server, open_channel(server.address, settings) as channel:
                yield Serving(house, live, streams, channel, str(server.address))


@dataclass
class Client:
    """One stream, as its client has it; frames come one by one."""

    call: Any
    waiting: list[pb.ServerFrame] = field(default_factory=list)
    presence: bool = False

    async def say(self, *frames: pb.ClientFrame) -> None:
        await self.call.write(pb.ClientFrame(batch=frames).SerializeToString())

    async def raw(self, data: bytes) -> None:
        await self.call.write(data)

    async def frame(self) -> pb.ServerFrame:
        """Return the next frame; presence is left out, unless asked for."""
        async with asyncio.timeout(PATIENCE):
            while True:
                while not self.waiting:
                    data = await self.call.read()
                    if data is grpc.aio.EOF:
                        raise EOFError(await self.call.details())
                    self.waiting.extend(pb.ServerFrame.FromString(data).batch)
                frame = self.waiting.pop(0)
                if self.presence or frame.WhichOneof("frame") != "presence":
                    return frame

    async def hear(self, kind: str) -> Any:
        """Return the next frame, which must be of this kind."""
        frame = await self.frame()
        assert frame.WhichOneof("frame") == kind, frame
        return getattr(frame, kind)

    async def until(self, kind: str) -> Any:
        """Return the next frame of this kind, whatever comes before."""
        while True:
            frame = await self.frame()
            if frame.WhichOneof("frame") == kind:
                return getattr(frame, kind)

    async def hello(self) -> None:
        await self.say(pb.ClientFrame(hello=pb.Hello()))
        await self.hear("welcome")

    async def attach(self, session_id: str = "s1", **fields: Any) -> pb.Attached:
        """Attach a session and return what was granted."""
        attach = pb.Attach(session_id=session_id, **fields)
        await self.say(pb.ClientFrame(attach=attach))
        attached: pb.Attached = await self.hear("attached")
        return attached

    async def follow(self, session_id: str = "s1", **fields: Any) -> pb.Attached:
        """Say hello, attach, and read up to the present."""
        await self.hello()
        attached = await self.attach(session_id, **fields)
        await self.until("caught_up")
        return attached

    async def append(self, content: str, op_id: str = "", session_id: str = "s1") -> str:
        """Send a message, and return its operation id."""
        op_id = op_id or secrets.token_hex(8)
        request = pb.AppendMessageRequest(session_id=session_id, content=content, op_id=op_id)
        await self.say(pb.ClientFrame(append=request))
        return op_id

    async def ends(self) -> grpc.StatusCode:
        """Return how the stream ended."""
        async with asyncio.timeout(PATIENCE):
            with suppress(grpc.aio.AioRpcError):
                while await self.call.read() is not grpc.aio.EOF:
                    pass
            code: grpc.StatusCode = await self.call.code()
            return code
