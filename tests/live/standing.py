"""Stores and Lives that stand: served for real, over the in-memory reference, in one process."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import Message
from joserfc import jwt
from joserfc.jwk import OctKey
from prometheus_client import CollectorRegistry

from services.live.acquisition import Acquirer
from services.live.changes import Changes, Counts
from services.live.history import History
from services.live.hops import Hops
from services.live.leaving import Leaving
from services.live.rates import Rate, Rates
from services.live.registration import Registration
from services.live.request import Answer, Request
from services.live.room import Room
from services.live.rooms import Rooms
from services.live.routing import Peer, Router
from services.live.store import StoreClient
from services.live.writing import Writing
from services.serving.addresses import HostPort
from services.serving.auth import authenticating
from services.serving.channels import open_channel
from services.serving.health import Health
from services.serving.identity import PartIdentity
from services.serving.instances import Instances
from services.serving.interceptors import CallInterceptor
from services.serving.metrics import CallMetrics
from services.serving.server import GrpcServer
from services.serving.settings import Settings
from services.store.commit import Committer
from services.store.metrics import CommitMetrics
from services.store.ownership import OwnershipServicer
from services.store.unreachable import Dialler, Unreachable
from sessiond.session.access import Identity, Role
from sessiond.session.changes import AppendMessage, Change, DeleteSession
from sessiond.session.limits import DEFAULT_LIMITS
from sessiond.v1 import ownership_pb2 as pb
from sessiond.v1.ownership_pb2_grpc import add_OwnershipServiceServicer_to_server
from tests.live.kept import PATIENCE, Kept
from tests.live.rooms import ALICE

SECRET = b"0123456789abcdef0123456789abcdef-for-tests"
TTL_SECONDS = 5
ANYWHERE = HostPort("127.0.0.1", 0)
UNLIMITED = Rate(1e6, 1_000_000)

Context = grpc.aio.ServicerContext[Any, Any]


class Breaking(OwnershipServicer):
    """Speaks for the repository, and breaks its commit streams as told: after the deed."""

    breaks: int = 0
    """How many answers of commits are still to be lost, each with its stream."""

    async def Commit(  # noqa: N802 (gRPC names its methods in CamelCase)
        self, request_iterator: AsyncIterator[pb.CommitRequest], context: Context
    ) -> AsyncGenerator[pb.CommitResponse, None]:
        async for response in super().Commit(request_iterator, context):
            if self.breaks:
                self.breaks -= 1
                await context.abort(grpc.StatusCode.UNAVAILABLE)
            yield response


@dataclass
class House:
    """What all parts of one test share: keys, tokens, and what is kept."""

    folder: Path
    kept: Kept = field(default_factory=Kept)

    def __post_init__(self) -> None:
        (self.folder / "secret").write_bytes(SECRET)
        claims = {
            "iss": "tests",
            "aud": "sessiond",
            "sub": "live",
            "role": "live",
            "exp": int(time.time()) + 3600,
        }
        key = OctKey.import_key(SECRET)
        token = jwt.encode({"alg": "HS256"}, claims, key, algorithms=["HS256"])
        (self.folder / "live.jwt").write_text(token)

    def settings(self, listen: HostPort) -> Settings:
        """Return the settings of a part that listens there."""
        return Settings(
            listen=listen,
            jwt_issuer="tests",
            jwt_audience="sessiond",
            jwt_algorithms=("HS256",),
            jwt_secret_file=self.folder / "secret",
        )

    @asynccontextmanager
    async def store(
        self, listen: HostPort = ANYWHERE, *, dials: bool = False
    ) -> AsyncIterator[tuple[HostPort, Breaking]]:
        """Serve a Store; yields where, and what speaks for it.

        One that `dials` looks at instances that are reported; the others end none.
        """
        settings, health, registry = self.settings(listen), Health(), CollectorRegistry()
        dialler = Dialler(lambda address: open_channel(address, settings))
        proves_gone = dialler.proves_gone if dials else _proves_nothing
        async with (
            authenticating(settings) as authenticator,
            Committer(self.kept, CommitMetrics(registry)) as committer,
            Unreachable(self.kept, proves_gone, clock=time.monotonic) as unreachable,
        ):
            servicer = Breaking(self.kept, committer, unreachable, health, ttl_seconds=TTL_SECONDS)
            interceptor = CallInterceptor(
                authenticator,
                CallMetrics(registry),
                roles={"/sessiond.v1.OwnershipService/": frozenset({Role.LIVE})},
            )
            server = GrpcServer(settings, health, interceptor)
            add_OwnershipServiceServicer_to_server(servicer, server.grpc)
            async with server:
                yield server.address, servicer

    @asynccontextmanager
    async def live(
        self,
        *stores: HostPort,
        address: str = "127.0.0.1:1",
        idle_seconds: float = 60.0,
        stale_seconds: float = 1e6,
        rate: Rate = UNLIMITED,
    ) -> AsyncIterator[Live]:
        """Hold rooms over these Stores, under an instance that is registered at the address."""
        settings = self.settings(ANYWHERE)
        clock, loop = Shifted(), asyncio.get_running_loop()
        identity = PartIdentity(self.folder / "live.jwt")
        ids = count(1)

        def open_to(where: HostPort) -> grpc.aio.Channel:
            return open_channel(where, settings)

        async with (
            authenticating(settings) as authenticator,
            StoreClient(stores, open_to, identity) as store,
            Instances(stores, open_to, identity, own_address=address) as instances,
        ):
            registration = Registration(
                store, address=address, new_instance_id=random_16_bytes, clock=clock
            )
            acquirer = Acquirer(
                store,
                later=loop.call_later,
                limits=DEFAULT_LIMITS,
                now_ms=now_ms,
                new_id=lambda: f"id-{next(ids)}",
                new_commit_id=random_16_bytes,
            )
            writing = Writing(store)
            rooms = Rooms(registration, acquirer, writing, clock=loop.time)
            router = Router(rooms, registration, instances, store, own_address=address)
            leaving = Leaving(
                rooms, router, registration, store, writing, new_commit_id=random_16_bytes
            )
            rates = Rates(rate, clock=time.monotonic)
            counts = Counts(users=rates, services=rates)
            changes = Changes(
                router,
                Hops(authenticator, identity),
                counts,
                limits=DEFAULT_LIMITS,
                new_op_id=lambda: secrets.token_hex(8),
                answer_seconds=PATIENCE,
            )
            idling = leaving.release_idle(
                idle_seconds=idle_seconds,
                stale_seconds=stale_seconds,
                clock=loop.time,
                now_ms=now_ms,
            )
            tasks = [
                asyncio.create_task(registration.run(rooms.drop)),
                asyncio.create_task(idling),
            ]
            try:
                async with asyncio.timeout(PATIENCE):
                    await registration.living()
                yield Live(
                    rooms,
                    registration,
                    clock,
                    store,
                    instances,
                    router,
                    leaving,
                    counts,
                    changes,
                    History(store),
                    tasks,
                )
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)


def random_16_bytes() -> bytes:
    return secrets.token_bytes(16)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def _proves_nothing(address: HostPort, instance: bytes) -> bool:
    return False


@dataclass
class Shifted:
    """Seconds that pass, and that a test can let jump."""

    by: float = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.by


@dataclass
class Live:
    """Rooms, the registration that they are held under, and what they come and go by."""

    rooms: Rooms
    registration: Registration
    clock: Shifted
    store: StoreClient
    instances: Instances
    router: Router
    leaving: Leaving
    counts: Counts
    changes: Changes
    history: History
    tasks: list[asyncio.Task[None]]

    @property
    def instance(self) -> bytes:
        """The id of the living instance; empty for none."""
        instance = self.registration.instance
        return b"" if instance is None else instance.id

    async def ask(
        self, asked: Request, *, session_id: str = "s1", seconds: float = PATIENCE
    ) -> tuple[Room, Answer] | None:
        """Make a change here, or hear who owns the session: as if another Live passed it on."""
        search = self.router.search(session_id, hops=1)
        made = await self.changes.make(search, session_id, asked, _nowhere, seconds=seconds)
        assert made is None or isinstance(made, tuple)
        return made

    async def change(
        self,
        change: Change,
        op_id: str = "",
        *,
        session_id: str = "s1",
        identity: Identity = ALICE,
        seconds: float = PATIENCE,
    ) -> Answer:
        """Make a change."""
        asked = Request(change, identity, op_id or secrets.token_hex(8))
        made = await self.ask(asked, session_id=session_id, seconds=seconds)
        assert made is not None
        return made[1]

    async def delete(self, op_id: str, *, identity: Identity = ALICE) -> None:
        """Delete the session s1."""
        await self.ask(Request(DeleteSession(), identity, op_id))

    async def append(self, content: str, op_id: str = "", **more: Any) -> int:
        """Append a message and return its seq."""
        return (await self.change(AppendMessage(content), op_id, **more)).seq


async def _nowhere(peer: Peer, seconds: float) -> Message:
    raise AssertionError("what was passed on is not passed on again")
