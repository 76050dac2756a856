"""Live, put together."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import Gauge

from services.live.changes import Changes
from services.live.rates import Rate, Rates
from services.live.registration import Registration
from services.live.rooms import Rooms
from services.live.servicer import InstanceServicer, LiveServicer
from services.live.settings import LiveSettings
from services.live.store import StoreClient
from services.serving.auth import authenticating
from services.serving.channels import open_channel
from services.serving.health import Health
from services.serving.identity import PartIdentity
from services.serving.interceptors import CallInterceptor
from services.serving.limits import limits_of
from services.serving.metrics import CallMetrics
from services.serving.running import Drain, Running
from services.serving.server import GrpcServer
from sessiond.session.access import Role
from sessiond.session.identifiers import uuid7
from sessiond.v1 import live_pb2_grpc, ownership_pb2_grpc

IDENTIFY = "/sessiond.v1.InstanceService/Identify"
CHANGES = "/sessiond.v1.LiveService/"
CALLERS = frozenset({Role.USER, Role.AGENT, Role.SERVICE, Role.ADMIN})


def now_ms() -> int:
    """Return the wall clock in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def new_id() -> str:
    """Return a new id for a message or an output."""
    return uuid7(now_ms(), secrets.token_bytes(10))


@asynccontextmanager
async def live(running: Running, settings: LiveSettings) -> AsyncIterator[Drain]:
    """Open Live; it is ready while its instance is alive."""
    limits = limits_of(settings)
    identity = PartIdentity(settings.identity_token_file)
    async with (
        authenticating(settings) as authenticator,
        StoreClient(
            settings.store_addresses, lambda address: open_channel(address, settings), identity
        ) as store,
    ):
        registration = Registration(
            store,
            address=str(settings.advertised),
            new_instance_id=lambda: secrets.token_bytes(16),
        )
        rooms = Rooms(
            store,
            registration,
            limits=limits,
            idle_seconds=settings.idle_seconds,
            now_ms=now_ms,
            new_id=new_id,
            new_commit_id=lambda: secrets.token_bytes(16),
        )
        Gauge("sessiond_live_rooms", "Sessions held.", registry=running.registry).set_function(
            lambda: float(len(rooms))
        )
        changes = Changes(
            rooms,
            limits=limits,
            users=Rates(
                Rate(settings.changes_per_second, settings.changes_burst), clock=time.monotonic
            ),
            services=Rates(
                Rate(settings.service_changes_per_second, settings.service_changes_burst),
                clock=time.monotonic,
            ),
            new_op_id=lambda: secrets.token_urlsafe(12),
            answer_seconds=settings.answer_seconds,
        )
        interceptor = CallInterceptor(
            authenticator,
            CallMetrics(running.registry),
            public=frozenset({IDENTIFY}),
            roles={CHANGES: CALLERS},
        )
        server = GrpcServer(settings, running.health, interceptor)
        live_pb2_grpc.add_LiveServiceServicer_to_server(LiveServicer(changes), server.grpc)
        ownership_pb2_grpc.add_InstanceServiceServicer_to_server(
            InstanceServicer(registration), server.grpc
        )
        async with server, asyncio.TaskGroup() as tasks:
            background = (
                tasks.create_task(registration.run(rooms.drop), name="registration"),
                tasks.create_task(rooms.release_idle(), name="release idle rooms"),
                tasks.create_task(_tell_readiness(registration, running.health), name="readiness"),
            )
            try:
                yield _drain(registration, rooms)
            finally:
                for task in background:
                    task.cancel()


def _drain(registration: Registration, rooms: Rooms) -> Drain:
    async def drain() -> None:
        registration.drain()
        await rooms.drain()
        instance = registration.instance
        if instance is not None:
            await registration.leave(instance)

    return drain


async def _tell_readiness(registration: Registration, health: Health) -> None:
    """Be ready whenever an instance lives."""
    while True:
        instance = await registration.living()
        health.set_ready(True)
        await instance.died.wait()
        health.set_ready(False)
