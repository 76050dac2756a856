"""Two hundred clients that do everything wrong, at real Lives: nothing of them is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio

from cluster.etcd_binary import EtcdBinary
from cluster.topology import Topology
from services.live.forwarding import CONNECT
from services.serving.claims import ACTING_FOR_KEY, encode_user
from sessiond.v1.live_pb2 import DeleteSessionRequest
from sessiond.v1.session_pb2 import Session
from sessiond.v1.store_pb2 import CreateSessionRequest
from tests.e2e.places import placed_on, places
from tests.e2e.system import System, running, until
from tests.harms import HARMS, Victim
from tests.live.going_on import GoingOn
from tests.live.streaming import Client

CLIENTS = 200
FEW_FILES = 5
AT_ONCE = 24
LIVES = ("live-1", "live-2")
WAITING = ("reads_nothing", "reads_nothing_of_the_past")
"""Harms that last until they are over."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lives(
    etcd_binary: EtcdBinary, ports: Iterator[int], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[System]:
    """Two Lives, so that half of all clients come in where the session is not."""
    stays = {"live": {"SESSIOND_REBALANCE_AFTER_SECONDS": "3600"}}
    topology = Topology.anywhere(ports, lives=2, gateways=0, settings=stays)
    async with running(topology, tmp_path_factory.mktemp("harm"), etcd_binary) as started:
        yield started


@asynccontextmanager
async def opened(
    system: System, live: str, metadata: tuple[tuple[str, str], ...]
) -> AsyncIterator[Client]:
    """Open a stream over a connection of its own."""
    options = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0))
    address = system.cluster.address(live)
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        call: Any = channel.stream_stream(CONNECT)(metadata=metadata)
        yield Client(call)


async def held(system: System) -> dict[str, tuple[float, float, int]]:
    """Return what each Live has open: streams, rooms and files."""
    found: dict[str, tuple[float, float, int]] = {}
    for live in LIVES:
        figures = await system.figures(live)
        files = open_files(system.cluster.pid(live))
        found[live] = (figures["sessiond_live_streams"], figures["sessiond_live_rooms"], files)
    return found


def no_more(
    after: dict[str, tuple[float, float, int]], before: dict[str, tuple[float, float, int]]
) -> bool:
    """Return whether no stream and no room is left, and no file for each of the clients.

    A connection between our own parts, opened late, may be there: a few files, never one a client.
    A room of before may have been left meanwhile.
    """
    return all(
        streams <= before[live][0]
        and rooms <= before[live][1]
        and files <= before[live][2] + FEW_FILES
        for live, (streams, rooms, files) in after.items()
    )


def open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def test_nothing_is_left_of_two_hundred_clients_that_did_everything_wrong(
    lives: System, name: Callable[[str], str]
) -> None:
    """Each gets its answer; one that appends and reads meanwhile sees every event, in order; and
    both Lives hold in the end what they held before."""
    alice = name("alice")
    as_alice = lives.calling(alice)
    helping = (*lives.calling("helper", role="service"), (ACTING_FOR_KEY, encode_user(alice)))

    async def make(session_id: str | None = None) -> str:
        request = CreateSessionRequest(workflow_id="chat", id=session_id)
        made: Any = await lives.store().CreateSession(request, metadata=as_alice, timeout=30)
        session: Session = made.session
        return session.id

    async def delete(session_id: str) -> None:
        request = DeleteSessionRequest(session_id=session_id)
        await lives.live().DeleteSession(request, metadata=helping, timeout=30)

    session_id = await make()
    stored = await lives.stored(session_id)
    assert stored is not None
    victim = Victim(
        session_id,
        f"{stored[0].meta.log_id:016x}",
        make=make,
        delete=delete,
        token=lives.keys.user_token,
    )
    at_once = asyncio.Semaphore(AT_ONCE)

    async def harm(kind: str, live: str) -> None:
        place = asyncio.Semaphore() if kind in WAITING else at_once
        async with place, opened(lives, live, as_alice) as client:
            try:
                await HARMS[kind](client, victim)
            except Exception as error:
                error.add_note(f"{kind} at {live}")
                raise

    async with opened(lives, "live-1", helping) as other:
        going_on = GoingOn(other, session_id)
        await other.follow(session_id)
        among = await places(lives, *LIVES)
        for live, other_live in (LIVES, LIVES[::-1]):
            # Connections between Lives are opened once, and stay: they are there before we look.
            (there,) = placed_on(other_live, among, name("placed"))
            await make(there)
            async with opened(lives, live, as_alice) as client:
                await client.follow(there)
        await going_on.once()
        before = await held(lives)

        async def as_before() -> bool:
            await going_on.once()
            return no_more(await held(lives), before)

        await until(as_before)
        async with asyncio.TaskGroup() as tasks:
            kinds = islice(zip(cycle(HARMS), cycle(LIVES), strict=False), CLIENTS)
            doing = [(kind, tasks.create_task(harm(kind, live))) for kind, live in kinds]
            quick = [task for kind, task in doing if kind not in WAITING]
            while not all(task.done() for task in quick):
                await going_on.once()
            for _ in range(120):
                await going_on.once(100_000)
            victim.over.set()
        with suppress(TimeoutError):
            await until(as_before)
        after = await held(lives)
        assert no_more(after, before), (before, after)
    log = await lives.records(session_id)
    assert len(log) == going_on.seq
    assert all('"level":"error"' not in lives.log(live) for live in LIVES)
