"""Stores and Lives as processes of the simulation: the product's own classes, put together as the
composition roots do, on a network, clocks and chance that are not the machine's.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from typing import Any

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
from services.live.store import StoreClient
from services.live.stream import Surroundings
from services.live.streams import Streams
from services.live.writing import Writing
from services.serving.addresses import HostPort
from services.serving.health import Health
from services.serving.instances import Instances
from services.serving.interceptors import CallInterceptor
from services.store.commit import Committer
from services.store.copying import Copying
from services.store.feeding import Feeding
from services.store.ownership import OwnershipServicer
from services.store.servicer import StoreServicer
from services.store.sessions import Sessions
from services.store.unreachable import Dialler, Unreachable
from services.store.watching import Watching
from services.store.workflows import Workflows, load_workflows
from sessiond.errors import Draining
from sessiond.session.access import Role
from sessiond.session.limits import DEFAULT_LIMITS
from sessiond.v1.live_pb2_grpc import add_LiveServiceServicer_to_server
from sessiond.v1.ownership_pb2_grpc import (
    add_InstanceServiceServicer_to_server,
    add_OwnershipServiceServicer_to_server,
)
from sessiond.v1.store_pb2_grpc import add_StoreServiceServicer_to_server
from tests.simulation.channels import Channel, Server
from tests.simulation.handles import InOrder
from tests.simulation.loop import Process
from tests.simulation.member import repository_of
from tests.simulation.world import TTL_SECONDS, Badge, Keyring, Uncounted, World

IDENTIFY = "/sessiond.v1.InstanceService/Identify"
EPOCH_SECONDS = 1_790_000_000
WORKFLOWS: list[Workflows] = []


def workflows() -> Workflows:
    """Return the workflows that ship, read once."""
    if not WORKFLOWS:
        folder = Path(__file__).parents[2] / "workflows"
        WORKFLOWS.append(load_workflows(folder, "master-workflow-v2", DEFAULT_LIMITS))
    return WORKFLOWS[0]


class Part:
    """A process with a server; `run` keeps it going until it is stopped or killed."""

    def __init__(self, world: World, name: str, stores: tuple[str, ...] = ()) -> None:
        self.name = name
        self.address = f"{name}:1"
        self.world = world
        self.process = Process(name)
        self.skew_ms = world.chance.choice((0, 0, -1500, 700))
        self._ids = count(1)
        self._chance = random.Random(world.chance.getrandbits(32))
        self._stores = tuple(HostPort.parse(f"{store}:1") for store in stores)
        self._stopping = asyncio.Event()
        self.ended = asyncio.Event()

    def start(self) -> None:
        """Begin, in the process's own context."""
        self.world.loop.create_task(self._live(), name=self.name, context=self.process.context)

    def stop(self) -> None:
        """Do as SIGTERM does; `ended` says when it is over."""
        self._stopping.set()

    def kill(self) -> None:
        """Do as SIGKILL does."""
        self.world.loop.freeze(self.process)
        self.world.network.vanish(self.process)
        self.ended.set()

    # --- inside ----------------------------------------------------------------------------------

    async def _live(self) -> None:
        async with AsyncExitStack() as stack:
            await self._run(stack)
        self.kill()

    async def _run(self, stack: AsyncExitStack) -> None:
        raise NotImplementedError

    def _channel(self, address: HostPort) -> Any:
        return Channel(self.world.network, self.process, str(address))

    def _server(self, **rules: Any) -> Any:
        interceptor = CallInterceptor(
            Keyring(),
            Uncounted(),
            new_request_id=lambda: f"r{next(self._ids)}",
            clock=self.world.loop.time,
            **rules,
        )
        return Server(self.world.network, self.process, self.address, interceptor)

    def _wall(self) -> float:
        return EPOCH_SECONDS + self.world.loop.time() + self.skew_ms / 1000

    def _now_ms(self) -> int:
        return int(self._wall() * 1000)

    def _bytes(self, size: int) -> bytes:
        return self._chance.getrandbits(8 * size).to_bytes(size, "big")

    def _id(self) -> str:
        return self._bytes(8).hex()


class Store(Part):
    """One Store."""

    async def _run(self, stack: AsyncExitStack) -> None:
        loop = self.world.loop
        repository = await stack.enter_async_context(repository_of(self.world.etcd, self.name))
        health = Health(clock=loop.time)
        health.set_ready(True)
        committer = await stack.enter_async_context(
            Committer(repository, Uncounted(), clock=loop.time)
        )
        unreachable = await stack.enter_async_context(
            Unreachable(repository, Dialler(self._channel).proves_gone, clock=loop.time)
        )
        sessions = Sessions(
            repository,
            workflows(),
            DEFAULT_LIMITS,
            now_ms=self._now_ms,
            random_bytes=self._bytes,
        )
        copying = Copying(
            repository,
            DEFAULT_LIMITS,
            now_ms=self._now_ms,
            random_bytes=self._bytes,
            committer=committer,
        )
        watching = Watching(repository, health, clock=loop.time)
        feeding = Feeding(repository, health, clock=loop.time, now_ms=self._now_ms)
        server = self._server()
        add_StoreServiceServicer_to_server(
            StoreServicer(
                *(sessions, repository, workflows(), watching, DEFAULT_LIMITS),
                copying=copying,
                feeding=feeding,
                wall_clock=self._wall,
            ),
            server,
        )
        add_OwnershipServiceServicer_to_server(
            OwnershipServicer(repository, committer, unreachable, health, ttl_seconds=TTL_SECONDS),
            server,
        )
        server.listen()
        await self._stopping.wait()
        health.begin_drain(1.0)
        await asyncio.sleep(0.2)


class Live(Part):
    """One Live."""

    rooms: Rooms | None = None
    registration: Registration | None = None

    async def _run(self, stack: AsyncExitStack) -> None:
        loop = self.world.loop
        badge = Badge(Role.LIVE, self.name)
        store = await stack.enter_async_context(StoreClient(self._stores, self._channel, badge))
        instances = await stack.enter_async_context(
            Instances(
                self._stores,
                self._channel,
                badge,
                own_address=self.address,
                jitter=self._chance.random,
            )
        )
        new_16_bytes: Callable[[], bytes] = lambda: self._bytes(16)  # noqa: E731
        self.registration = registration = Registration(
            store, address=self.address, new_instance_id=new_16_bytes, clock=loop.time
        )
        acquirer = Acquirer(
            store,
            later=loop.call_later,
            limits=DEFAULT_LIMITS,
            now_ms=self._now_ms,
            new_id=self._id,
            new_commit_id=new_16_bytes,
        )
        writing = Writing(store)
        self.rooms = rooms = Rooms(registration, acquirer, writing, clock=loop.time)
        router = Router(rooms, registration, instances, store, own_address=self.address)
        leaving = Leaving(rooms, router, registration, store, writing, new_commit_id=new_16_bytes)
        rebalance = Rebalance(
            rooms, leaving, registration, instances, after_seconds=0.5, per_second=50.0
        )
        hops = Hops(Keyring(), badge)
        rates = Rates(Rate(1e6, 1_000_000), clock=loop.time)
        counts = Counts(users=rates, services=rates)
        changes = Changes(
            router,
            hops,
            counts,
            limits=DEFAULT_LIMITS,
            new_op_id=self._id,
            answer_seconds=3.0,
        )
        streams = Streams(
            Surroundings(
                Whereabouts(rooms, router, hops, store, self.address),
                Keyring(),
                counts,
                DEFAULT_LIMITS,
                1000,
                clock=self._wall,
            )
        )
        streams._open = InOrder()  # type: ignore[assignment]
        server = self._server(public=frozenset({IDENTIFY}))
        guesses = Guesses(hops, Rates(Rate(1.0, 10), clock=loop.time))
        add_LiveServiceServicer_to_server(
            LiveServicer(changes, History(store), streams, guesses), server
        )
        streams.take_calls(server)
        add_InstanceServiceServicer_to_server(InstanceServicer(registration), server)
        server.listen()
        idle = leaving.release_idle(
            idle_seconds=3.0, stale_seconds=1e6, clock=loop.time, now_ms=self._now_ms
        )
        works = (registration.run(rooms.drop), idle, rebalance.run())
        tasks = [asyncio.create_task(work) for work in works]
        await self._stopping.wait()
        streams.leave()
        await leaving.drain()
        await streams.drain(Draining())
        if (instance := registration.instance) is not None:
            await registration.leave(instance)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
