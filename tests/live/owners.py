"""An owner behind an entry, in one process: what the owner says is a test's to say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc

from services.live.held import Held
from services.live.rooms import Rooms
from services.live.routing import Peer
from services.live.streams import SERVICE
from services.serving.addresses import HostPort
from services.serving.channels import open_channel
from sessiond.v1 import live_pb2 as pb
from sessiond.v1.event_pb2 import Event
from tests.live.kept import PATIENCE
from tests.live.standing import ANYWHERE, House
from tests.live.streaming import Client, Serving, serving


@dataclass
class Spoken:
    """One stream as its owner has it, whose words are a test's."""

    heard: asyncio.Queue[pb.ClientFrame] = field(default_factory=asyncio.Queue)
    waiting: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def say(self, *frames: pb.ServerFrame) -> None:
        self.waiting.put_nowait(pb.ServerFrame(batch=frames).SerializeToString())

    def attached(self, session_id: str = "s1", **fields: Any) -> None:
        self.say(pb.ServerFrame(attached=pb.Attached(session_id=session_id, **fields)))

    def event(self, seq: int, session_id: str = "s1", *, size: int = 0) -> None:
        event = Event(session_id=session_id, seq=seq, op_id="x" * size)
        self.say(pb.ServerFrame(event=event))

    def goaway(self, reason: str, session_id: str | None = "s1", **fields: Any) -> None:
        self.say(pb.ServerFrame(goaway=pb.Goaway(session_id=session_id, reason=reason, **fields)))

    async def hears(self, kind: str) -> Any:
        """Return what the owner hears next, which must be of this kind."""
        async with asyncio.timeout(PATIENCE):
            frame = await self.heard.get()
        assert frame.WhichOneof("frame") == kind, frame
        return getattr(frame, kind)


@dataclass
class Owner:
    """A Live that says what a test says."""

    opened: asyncio.Queue[Spoken] = field(default_factory=asyncio.Queue)
    reads: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Future[None] = field(default_factory=asyncio.Future)
    peer: Peer = field(init=False)

    async def stream(self) -> Spoken:
        """Return the next stream that is opened, once it was greeted."""
        async with asyncio.timeout(PATIENCE):
            spoken = await self.opened.get()
        await spoken.hears("hello")
        spoken.say(pb.ServerFrame(welcome=pb.Welcome()))
        return spoken

    async def connect(
        self, requests: AsyncIterator[bytes], context: object
    ) -> AsyncGenerator[bytes, None]:
        spoken = Spoken()
        self.opened.put_nowait(spoken)
        reading = asyncio.create_task(self._read(requests, spoken))
        try:
            while data := await spoken.waiting.get():
                yield data
        finally:
            reading.cancel()
            spoken.over.set()

    async def _read(self, requests: AsyncIterator[bytes], spoken: Spoken) -> None:
        async for data in requests:
            for frame in pb.ClientFrame.FromString(data).batch:
                spoken.heard.put_nowait(frame)
            await self.reads.wait()


@dataclass
class Elsewhere:
    """A router to whom a test says where sessions are; here, unless it does."""

    rooms: Rooms
    there: dict[str, Peer] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    goes_on: asyncio.Event = field(default_factory=asyncio.Event)

    def search(self, session_id: str, *, hops: int) -> Search:
        return Search(self, session_id)


@dataclass
class Search:
    router: Elsewhere
    session_id: str

    async def next(self) -> Held | Peer:
        peer = self.router.there.get(self.session_id)
        return peer if peer is not None else await self.router.rooms.enter(self.session_id)

    def moved(self, owner: str) -> None:
        self.router.told.append(owner)

    async def broke(self, peer: Peer, *, refused: bool) -> None:
        self.router.told.append("broke")
        await self.router.goes_on.wait()


@dataclass
class Between:
    """An entry, and an owner behind it."""

    entry: Serving
    router: Elsewhere
    owner: Owner

    async def attached(self, client: Client, session_id: str = "s1") -> Spoken:
        """Let a client attach a session of the owner's; returns the owner's side."""
        self.router.there[session_id] = self.owner.peer
        await client.hello()
        await client.say(pb.ClientFrame(attach=pb.Attach(session_id=session_id)))
        spoken = await self.owner.stream()
        await spoken.hears("attach")
        spoken.attached(session_id)
        await client.hear("attached")
        return spoken


@asynccontextmanager
async def between(house: House, **settings: float) -> AsyncIterator[Between]:
    """Run an entry, and an owner; `settings` are the entry's."""
    owner = Owner()
    owner.reads.set()
    server = grpc.aio.server()
    connect: Any = owner.connect
    handler: Any = grpc.stream_stream_rpc_method_handler(connect)
    server.add_registered_method_handlers(SERVICE, {"Connect": handler})
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    routers: list[Elsewhere] = []

    def router(rooms: Rooms) -> Elsewhere:
        routers.append(Elsewhere(rooms))
        return routers[0]

    try:
        address = HostPort("127.0.0.1", port)
        async with (
            serving(house, router=router, **settings) as entry,  # type: ignore[arg-type]
            open_channel(address, house.settings(ANYWHERE)) as channel,
        ):
            owner.peer = Peer(str(address), channel, b"owner", owner.gone)
            yield Between(entry, routers[0], owner)
    finally:
        await server.stop(None)
