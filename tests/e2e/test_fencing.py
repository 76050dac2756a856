"""A former owner that was stopped acknowledges nothing and stores nothing, and comes back anew."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, NamedTuple

import grpc
import pytest
import pytest_asyncio

from cluster.etcd_binary import EtcdBinary
from cluster.keys import DevelopmentKeys
from cluster.part import Part
from cluster.ports import HOST
from cluster.topology import Topology
from sessiond.errors import OutcomeUnknown, SessiondError, SessionMoved, Unavailable
from sessiond.session.events import MessageAppended
from sessiond.status import from_rpc_error
from sessiond.v1.live_pb2 import AppendMessageRequest
from sessiond.v1.store_pb2 import CreateSessionRequest
from tests.e2e.hop import Hop
from tests.e2e.places import placed_on, places
from tests.e2e.system import System, running, until

REFUSED = 'sessiond_store_commits_total{outcome="refused"}'


class Pair(NamedTuple):
    """Two Lives; what the first one says to Store passes the hop."""

    system: System
    hop: Hop


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def pair(
    etcd_binary: EtcdBinary, ports: Iterator[int], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Pair]:
    """Registrations outlive a stopped Live by 3 s, and nothing moves to one that comes back. Leave
    both Lives up."""
    settings = {
        "store": {"SESSIOND_LEASE_TTL_SECONDS": "3"},
        "live": {"SESSIOND_REBALANCE_AFTER_SECONDS": "600"},
    }
    topology = Topology.anywhere(ports, lives=2, settings=settings)
    async with AsyncExitStack() as stack:
        (store,) = topology.stores
        hop = await stack.enter_async_context(Hop(f"{HOST}:{store.port}"))

        def behind_the_hop(stages: list[list[Part]], _: DevelopmentKeys) -> list[list[Part]]:
            first, second = stages[2]
            env = {**first.env, "SESSIOND_STORE_ADDRESSES": hop.address}
            return [*stages[:2], [replace(first, env=env), second], *stages[3:]]

        home = tmp_path_factory.mktemp("pair")
        yield Pair(
            await stack.enter_async_context(
                running(topology, home, etcd_binary, stages=behind_the_hop)
            ),
            hop,
        )


class Caller:
    """Appends messages to one session at a named Live, over gRPC."""

    def __init__(self, system: System, user: str, session_id: str) -> None:
        self._system = system
        self._metadata = system.calling(user)
        self._session_id = session_id

    async def create(self) -> None:
        request = CreateSessionRequest(id=self._session_id, workflow_id="chat")
        await self._system.store().CreateSession(request, metadata=self._metadata, timeout=10)

    async def say(self, content: str, *, at: str) -> int | SessiondError:
        """Return the seq that was acknowledged, or the failure that was told."""
        request = AppendMessageRequest(
            session_id=self._session_id, content=content, op_id=f"key of {content}"
        )
        try:
            answer: Any = await self._system.live(at).AppendMessage(
                request, metadata=self._metadata, timeout=60
            )
        except grpc.aio.AioRpcError as error:
            return from_rpc_error(error, mutating=True)
        return int(answer.seq)


async def placed_on_live_1(system: System, word: str) -> str:
    (session_id,) = placed_on("live-1", await places(system, "live-1", "live-2"), word)
    return session_id


async def test_an_acknowledgement_that_comes_too_late_is_not_passed_on(
    pair: Pair, name: Callable[[str], str]
) -> None:
    """What was stored before the stop stays stored, once. The former owner cannot say so any more:
    its caller hears from the next one, or that it is not known."""
    system, hop = pair
    session_id = await placed_on_live_1(system, name("late"))
    caller = Caller(system, name("frank"), session_id)
    await caller.create()
    assert await caller.say("first", at="live-1") == 2
    former = await system.instance("live-1")
    hop.hold_reply("stored in time")
    late = asyncio.create_task(caller.say("stored in time", at="live-1"))
    await asyncio.wait_for(hop.holding.wait(), 10)
    system.cluster.suspend("live-1")
    assert await caller.say("taken over", at="live-2") == 4
    hop.release()
    system.cluster.resume("live-1")
    told = await asyncio.wait_for(late, 30)
    assert told == 3 or isinstance(told, OutcomeUnknown)
    records = await system.records(session_id)
    assert [record.epoch for record in records] == [0, 1, 1, 2]
    assert await caller.say("stored in time", at="live-2") == 3

    async def born_again() -> bool:
        return await system.instance("live-1") not in (b"", former)

    await until(born_again)


async def test_a_stopped_owner_is_fenced_and_comes_back_under_a_new_instance(
    pair: Pair, name: Callable[[str], str]
) -> None:
    """Whatever reached it before or during the stop is neither acknowledged nor stored by it
    later; once awake, it asks the owner, like any other."""
    system, hop = pair
    session_id = await placed_on_live_1(system, name("fenced"))
    caller = Caller(system, name("frank"), session_id)
    await caller.create()
    assert await caller.say("first", at="live-1") == 2
    assert await caller.say("second", at="live-2") == 3
    former, successor = await system.instance("live-1"), await system.instance("live-2")

    hop.hold("its commit is late")
    late = [asyncio.create_task(caller.say("its commit is late", at="live-1"))]
    await asyncio.wait_for(hop.holding.wait(), 10)
    system.cluster.suspend("live-1")
    late += [asyncio.create_task(caller.say(f"while stopped {n}", at="live-1")) for n in range(3)]
    # A stopped process is left to the end of its registration; then the same call goes on.
    assert await caller.say("taken over", at="live-2") == 4
    assert await system.instances() == [successor]
    assert [await caller.say(f"after {n}", at="live-2") for n in range(5, 9)] == [5, 6, 7, 8]

    refused_before = (await system.figures("store-1"))[REFUSED]
    hop.release()

    async def late_commit_refused() -> bool:
        return (await system.figures("store-1"))[REFUSED] > refused_before

    await until(late_commit_refused)
    assert not any(task.done() for task in late)
    system.cluster.resume("live-1")
    told = await asyncio.wait_for(asyncio.gather(*late), 30)

    async def born_again() -> bool:
        return await system.instance("live-1") not in (b"", former)

    await until(born_again)
    await system.cluster.ready("live-1")
    reborn = await system.instance("live-1")
    assert reborn != successor
    # What was unknown is settled by its key, at the owner: each is there once.
    contents = ["its commit is late", *(f"while stopped {n}" for n in range(3))]
    settled = [await caller.say(content, at="live-2") for content in contents]
    assert sorted(seq for seq in settled if isinstance(seq, int)) == [9, 10, 11, 12]
    for seq, answer in zip(settled, told, strict=True):
        assert answer == seq or isinstance(answer, OutcomeUnknown | SessionMoved | Unavailable)
    records = await system.records(session_id)
    assert [record.instance for record in records] == [b"", former, former, *[successor] * 9]
    assert [record.epoch for record in records] == [0, 1, 1, *[2] * 9]
    written = [r.event.content for r in records if isinstance(r.event, MessageAppended)]
    assert written[:7] == ["first", "second", "taken over", *(f"after {n}" for n in range(5, 9))]
    assert sorted(written[7:]) == sorted(contents)

    # The former owner serves again: other sessions, and this one once it is handed over.
    other = Caller(system, name("frank"), await placed_on_live_1(system, name("other")))
    await other.create()
    assert await other.say("hello", at="live-2") == 2
    assert await system.cluster.stop("live-2") == 0
    assert await caller.say("back", at="live-1") == 13
    assert (await system.records(session_id))[-1].instance == reborn
    assert (await system.records(session_id))[-1].epoch > 2
    await system.cluster.start("live-2")
