"""Live, put together."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import Gauge

from services.live.acquisition import Acquirer
from services.live.changes import Changes, Counts
from services.live.history import History
from services.live.hops import Hops
from services.live.joins import Guesses
from services.live.leaving import Leaving
from services.live.places import Whereabouts
from services.live.rates import Rate, Rates
from services.live.rebalance import Rebalance
from services.live.registration import Registration
from services.live.rooms import Rooms
from services.live.routing import Router
from services.live.servicer import InstanceServicer, LiveServicer
from services.live.settings import LiveSettings
from services.live.store import StoreClient
from services.live.stream import Surroundings
from services.live.streams import Streams
from services.live.writing import Writing
from services.serving.auth import authenticating
from services.serving.channels import open_channel
from services.serving.health import Health
from services.serving.identity import PartIdentity
from services.serving.instances import Instances
from services.serving.interceptors import CallInterceptor
from services.serving.limits import limits_of
from services.serving.metrics import CallMetrics
from services.serving.running import Drain, Running
from services.serving.server import GrpcServer
from sessiond.errors import Draining
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


def new_16_bytes() -> bytes:
    """Return a new id for an instance or a commit."""
    return secrets.token_bytes(16)


def new_op_id() -> str:
    """Return a new operation id for a change whose caller gave none."""
    return secrets.token_urlsafe(12)


@asynccontextmanager
async def live(running: Running, settings: LiveSettings) -> AsyncIterator[Drain]:
    """Open Live; it is ready while its instance is alive."""
    loop = asyncio.get_running_loop()
    limits = limits_of(settings)
    identity = PartIdentity(settings.identity_token_file)
    own_address = str(settings.advertised)
    async with (
        authenticating(settings) as authenticator,
        StoreClient(
            settings.store_addresses, lambda address: open_channel(address, settings), identity
        ) as store,
        Instances(
            settings.store_addresses,
            lambda address: open_channel(address, settings),
            identity,
            own_address=own_address,
        ) as instances,
    ):
        registration = Registration(store, address=own_address, new_instance_id=new_16_bytes)
        acquirer = Acquirer(
            store,
            later=loop.call_later,
            limits=limits,
            now_ms=now_ms,
            new_id=new_id,
            new_commit_id=new_16_bytes,
        )
        writing = Writing(store)
        rooms = Rooms(registration, acquirer, writing, clock=loop.time)
        Gauge("sessiond_live_rooms", "Sessions held.", registry=running.registry).set_function(
            lambda: float(len(rooms))
        )
        router = Router(rooms, registration, instances, store, own_address=own_address)
        leaving = Leaving(rooms, router, registration, store, writing, new_commit_id=new_16_bytes)
        rebalance = Rebalance(
            rooms,
            leaving,
            registration,
            instances,
            after_seconds=settings.rebalance_after_seconds,
            per_second=settings.rebalance_per_second,
        )
        hops, counts = Hops(authenticator, identity), _counts(settings)
        changes = Changes(
            router,
            hops,
            counts,
            limits=limits,
            new_op_id=new_op_id,
            answer_seconds=settings.answer_seconds,
        )
        streams = Streams(
            Surroundings(
                Whereabouts(rooms, router, hops, store, own_address),
                authenticator,
                counts,
                limits,
                settings.attached_sessions,
            )
        )
        Gauge("sessiond_live_streams", "Open streams.", registry=running.registry).set_function(
            lambda: float(len(streams))
        )
        interceptor = CallInterceptor(
            authenticator,
            CallMetrics(running.registry),
            public=frozenset({IDENTIFY}),
            roles={CHANGES: CALLERS},
        )
        server = GrpcServer(settings, running.health, interceptor)
        live_pb2_grpc.add_LiveServiceServicer_to_server(
            LiveServicer(changes, History(store), streams, _guesses(settings, hops)), server.grpc
        )
        streams.take_calls(server.grpc)
        ownership_pb2_grpc.add_InstanceServiceServicer_to_server(
            InstanceServicer(registration), server.grpc
        )
        async with server, asyncio.TaskGroup() as tasks:
            background = (
                tasks.create_task(registration.run(rooms.drop), name="registration"),
                tasks.create_task(
                    leaving.release_idle(
                        idle_seconds=settings.idle_seconds,
                        stale_seconds=settings.stale_seconds,
                        clock=loop.time,
                        now_ms=now_ms,
                    ),
                    name="release idle rooms",
                ),
                tasks.create_task(rebalance.run(), name="rebalance"),
                tasks.create_task(_tell_readiness(registration, running.health), name="readiness"),
            )
            try:
                yield _drain(registration, leaving, streams)
            finally:
                for task in background:
                    task.cancel()


def _counts(settings: LiveSettings) -> Counts:
    return Counts(
        users=Rates(
            Rate(settings.changes_per_second, settings.changes_burst), clock=time.monotonic
        ),
        services=Rates(
            Rate(settings.service_changes_per_second, settings.service_changes_burst),
            clock=time.monotonic,
        ),
    )


def _guesses(settings: LiveSettings, hops: Hops) -> Guesses:
    joins = settings.joins_per_minute
    return Guesses(hops, Rates(Rate(joins / 60, joins), clock=time.monotonic))


def _drain(registration: Registration, leaving: Leaving, streams: Streams) -> Drain:
    async def drain() -> None:
        streams.leave()
        await leaving.drain()
        # Only now all: until a session has gone, this process is where its clients are served.
        await streams.drain(Draining())
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
