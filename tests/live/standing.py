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
from joserfc import jwt
from joserfc.jwk import OctKey
from prometheus_client import CollectorRegistry

from services.live.registration import Registration
from services.live.request import Answer, Request
from services.live.rooms import Rooms
from services.live.store import StoreClient
from services.serving.addresses import HostPort
from services.serving.auth import authenticating
from services.serving.channels import open_channel
from services.serving.health import Health
from services.serving.identity import PartIdentity
from services.serving.interceptors import CallInterceptor
from services.serving.metrics import CallMetrics
from services.serving.server import GrpcServer
from services.serving.settings import Settings
from services.store.commit import Committer
from services.store.metrics import CommitMetrics
from services.store.ownership import OwnershipServicer
from services.store.unreachable import Unreachable
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
    async def store(self, listen: HostPort = ANYWHERE) -> AsyncIterator[tuple[HostPort, Breaking]]:
        """Serve a Store; yields where, and what speaks for it."""
        settings, health, registry = self.settings(listen), Health(), CollectorRegistry()
        async with (
            authenticating(settings) as authenticator,
            Committer(self.kept, CommitMetrics(registry)) as committer,
            Unreachable(self.kept, _proves_nothing, clock=time.monotonic) as unreachable,
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
        self, *stores: HostPort, address: str = "127.0.0.1:1", idle_seconds: float = 60.0
    ) -> AsyncIterator[Live]:
        """Hold rooms over these Stores, under an instance that is registered at the address."""
        settings = self.settings(ANYWHERE)
        clock = Shifted()
        identity = PartIdentity(self.folder / "live.jwt")
        async with StoreClient(
            stores, lambda store: open_channel(store, settings), identity
        ) as store:
            registration = Registration(
                store,
                address=address,
                new_instance_id=lambda: secrets.token_bytes(16),
                clock=clock,
            )
            ids = count(1)
            rooms = Rooms(
                store,
                registration,
                limits=DEFAULT_LIMITS,
                idle_seconds=idle_seconds,
                now_ms=lambda: time.time_ns() // 1_000_000,
                new_id=lambda: f"id-{next(ids)}",
                new_commit_id=lambda: secrets.token_bytes(16),
            )
            tasks = [
                asyncio.create_task(registration.run(rooms.drop)),
                asyncio.create_task(rooms.release_idle()),
            ]
            try:
                async with asyncio.timeout(PATIENCE):
                    await registration.living()
                yield Live(rooms, registration, clock)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)


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
    """Rooms, and the registration that they are held under."""

    rooms: Rooms
    registration: Registration
    clock: Shifted

    @property
    def instance(self) -> bytes:
        """The id of the living instance; empty for none."""
        instance = self.registration.instance
        return b"" if instance is None else instance.id

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
        request = Request(change, identity, op_id or secrets.token_hex(8))
        _, answer = await self.rooms.change(session_id, request, seconds=seconds)
        return answer

    async def delete(self, op_id: str, *, identity: Identity = ALICE) -> None:
        """Delete the session s1."""
        request = Request(DeleteSession(), identity, op_id)
        await self.rooms.delete("s1", request, seconds=PATIENCE)

    async def append(self, content: str, op_id: str = "", **more: Any) -> int:
        """Append a message and return its seq."""
        return (await self.change(AppendMessage(content), op_id, **more)).seq
