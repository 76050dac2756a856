"""Streams on real processes: every Live serves every session, and nothing is missed or doubled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from cluster.etcd_binary import EtcdBinary
from cluster.topology import Topology
from sessiond.client.client import Client
from sessiond.session.events import MessageAppended, Record, TurnEnded
from sessiond.session.state import TurnOutcome
from sessiond.v1.session_pb2 import Session
from tests.e2e.system import System, running
from tests.law import every_kind_of_change, looked_at, shown

FIRST_AGENT = "gtm-consultant"
PATIENCE = 30.0


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def replicas(
    etcd_binary: EtcdBinary, ports: Iterator[int], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[System]:
    """Three Lives and two Stores; whoever stops one starts it again."""
    topology = Topology.anywhere(ports, stores=2, lives=3, gateways=0)
    async with running(topology, tmp_path_factory.mktemp("replicas"), etcd_binary) as started:
        yield started


def client(
    system: System, user: str, *, live: str | None = None, **claims: str | list[str]
) -> Client:
    """Return a client of this caller's; at one Live alone where that is named."""
    role = claims.get("role")
    token = system.keys.user_token(
        user,
        role=role if isinstance(role, str) else None,
        agents=claims.get("agents", ()),
        sessions=claims.get("sessions", ()),
    )
    lives = [system.cluster.address(live)] if live else system.cluster.addresses("live")
    return Client(live=lives, store=system.cluster.addresses("store"), token=token)


@asynccontextmanager
async def _owner_of(system: System, session_id: str) -> AsyncIterator[str]:
    """Name the Live that owns a session; it runs again afterwards."""
    stored = await system.stored(session_id)
    assert stored is not None
    owner = stored[0].meta.owner
    names = [f"live-{number}" for number in (1, 2, 3)]
    (name,) = [name for name in names if await system.instance(name) == owner]
    try:
        yield name
    finally:
        if not system.cluster.running(name):
            await system.cluster.start(name)


async def test_an_old_snapshot_and_events_are_a_new_snapshot(
    replicas: System, name: Callable[[str], str]
) -> None:
    """Around every kind of change, wherever the session is; Store's own load is one of those."""
    user = name("alice")
    async with client(replicas, user) as owner:
        session_id = (await owner.create()).id

        async def stored() -> Session:
            return await owner.get(session_id)

        worker = client(
            replicas, "w", role="agent", agents=[FIRST_AGENT], sessions=[session_id], live="live-2"
        )
        async with worker as agent, looked_at(owner, agent, session_id, stored) as law:
            await every_kind_of_change(law)


async def test_every_live_serves_every_session(
    replicas: System, name: Callable[[str], str]
) -> None:
    """Three readers at three Lives see the same events, whoever owns the session."""
    user = name("alice")
    async with (
        client(replicas, user, live="live-1") as one,
        client(replicas, user, live="live-2") as two,
        client(replicas, user, live="live-3") as three,
    ):
        session_id = (await one.create(workflow_id="chat")).id
        async with (
            one.attach(session_id) as first,
            two.attach(session_id) as second,
            three.attach(session_id) as third,
        ):
            seen = [session.events() for session in (first, second, third)]
            for number, session in enumerate((first, second, third) * 3):
                assert await session.append(f"m{number}") == number + 2
            async with asyncio.timeout(PATIENCE):
                logs = [[await anext(events) for _ in range(9)] for events in seen]
    assert logs[0] == logs[1] == logs[2]


@pytest.mark.parametrize("how", ["kill", "stop"])
async def test_readers_miss_nothing_when_the_owner_goes(
    replicas: System, name: Callable[[str], str], how: str
) -> None:
    """SIGKILL or SIGTERM: appends go on, each of them is there once, and every reader agrees."""
    user = name("alice")
    async with client(replicas, user) as writer, client(replicas, user) as reader:
        session_id = (await writer.create(workflow_id="chat")).id
        async with writer.attach(session_id) as writing, reader.attach(session_id) as reading:
            seqs = [await writing.append("m0")]
            async with _owner_of(replicas, session_id) as owner:
                going = asyncio.create_task(getattr(replicas.cluster, how)(owner))
                async with asyncio.timeout(PATIENCE):
                    seqs.extend([await writing.append(f"m{n}") for n in range(1, 30)])
                await going
                async with asyncio.timeout(PATIENCE):
                    events = reading.events()
                    while reading.state.seq < seqs[-1]:
                        await anext(events)
            assert shown(reading) == shown(writing) == await writer.get(session_id)
    records = await replicas.records(session_id)
    contents = [r.event.content for r in records if isinstance(r.event, MessageAppended)]
    assert contents == [f"m{n}" for n in range(30)]
    assert seqs == list(range(2, 32))


async def test_a_turn_outlives_its_owner(replicas: System, name: Callable[[str], str]) -> None:
    """The worker goes on with the new owner, and the text is whole, for everybody."""
    user = name("alice")
    async with client(replicas, user) as owner:
        session_id = (await owner.create(workflow_id="chat")).id
        worker = client(replicas, "w", role="agent", agents=["assistant"])
        async with worker as agent, owner.attach(session_id) as reader:
            events = reader.events()
            async with agent.attach(session_id) as writing, writing.turn() as turn:
                for number in range(50):
                    await turn.write(f"word{number} ")
                async with _owner_of(replicas, session_id) as gone:
                    await replicas.cluster.kill(gone)
                    for number in range(50, 100):
                        await turn.write(f"word{number} ")
            text = "".join(f"word{number} " for number in range(100))
            async with asyncio.timeout(PATIENCE):
                ended = await _end_of_turn(events)
            assert (ended.outcome, ended.content) == (TurnOutcome.COMPLETED, text)
            assert reader.messages[-1].content == text
    last = (await replicas.records(session_id))[-1].event
    assert isinstance(last, TurnEnded)
    assert last.content == text


async def _end_of_turn(events: AsyncIterator[object]) -> TurnEnded:
    async for record in events:
        if isinstance(record, Record) and isinstance(record.event, TurnEnded):
            return record.event
    raise AssertionError("the events ended")


async def test_a_deleted_session_ends_at_every_live(
    replicas: System, name: Callable[[str], str], tmp_path: Path
) -> None:
    """Its readers hear of it at once, wherever they are attached."""
    user = name("alice")
    async with (
        client(replicas, user, live="live-1") as one,
        client(replicas, user, live="live-2") as two,
    ):
        session_id = (await one.create(workflow_id="chat")).id
        async with one.attach(session_id) as first, two.attach(session_id) as second:
            await one.delete(session_id)
            for session in (first, second):
                with pytest.raises(Exception, match="There is no such session"):
                    async with asyncio.timeout(PATIENCE):
                        async for _ in session:
                            pass
