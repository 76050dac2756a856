"""Three Lives and two Stores: any Live takes any call, whoever is killed, stopped, or joins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import grpc
import pytest
import pytest_asyncio

from cluster.etcd_binary import EtcdBinary
from cluster.topology import Topology
from sessiond.errors import OutcomeUnknown, SessionNotFound, Unavailable
from sessiond.session.events import MessageAppended
from sessiond.status import from_rpc_error
from sessiond.v1.live_pb2 import AppendMessageRequest, DeleteSessionRequest
from sessiond.v1.store_pb2 import CreateSessionRequest
from tests.e2e.places import placed_on, places, where
from tests.e2e.system import System, running, until

LIVES = ("live-1", "live-2", "live-3")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def replicas(
    etcd_binary: EtcdBinary, ports: Iterator[int], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[System]:
    """A registration that nobody ends outlives every call; leave all parts up."""
    settings = {
        "store": {"SESSIOND_LEASE_TTL_SECONDS": "60"},
        "live": {"SESSIOND_REBALANCE_AFTER_SECONDS": "0.2"},
    }
    topology = Topology.anywhere(ports, lives=3, stores=2, gateways=0, settings=settings)
    async with running(topology, tmp_path_factory.mktemp("replicas"), etcd_binary) as started:
        await all_agree(started)
        yield started


@dataclass
class Speaker:
    """Speaks in one session, through whichever Live, and remembers what was acknowledged."""

    system: System
    user: str
    session_id: str
    acknowledged: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.metadata = self.system.calling(self.user)

    async def create(self) -> Speaker:
        request = CreateSessionRequest(id=self.session_id, workflow_id="chat")
        await self.system.store().CreateSession(request, metadata=self.metadata, timeout=10)
        return self

    async def say(self, content: str, *, at: str, more: tuple[tuple[str, str], ...] = ()) -> int:
        request = AppendMessageRequest(
            session_id=self.session_id, content=content, op_id=f"key of {content}"
        )
        answer: Any = await self.system.live(at).AppendMessage(
            request, metadata=(*self.metadata, *more), timeout=30
        )
        self.acknowledged.append(content)
        return int(answer.seq)

    async def stored(self) -> list[str]:
        """Return what was said, after checking that the records are numbered 1..N."""
        records = await self.system.records(self.session_id)
        return [r.event.content for r in records if isinstance(r.event, MessageAppended)]

    async def owner(self) -> bytes:
        """Return whom the head names."""
        stored = await self.system.stored(self.session_id)
        assert stored is not None
        return stored[0].meta.owner


async def speakers(
    system: System, owner: str, word: str, many: int, *, lives: tuple[str, ...] = LIVES
) -> list[Speaker]:
    """Return speakers in fresh sessions that are placed on, and owned by, a Live."""
    names = placed_on(owner, await places(system, *lives), word, many)
    found = [await Speaker(system, "ruth", name).create() for name in names]
    await asyncio.gather(*(each.say("first", at=owner) for each in found))
    return found


async def all_up(system: System) -> None:
    """Wait until every Live knows all three; then each one's view is the same."""

    async def agreed() -> bool:
        among = await places(system, *LIVES)
        return len(await system.instances()) == 3 and all(place.id for place in among)

    await until(agreed)


async def all_agree(system: System) -> None:
    """Wait until every Live, whichever is asked, takes a session to where it is placed."""
    rounds = count()

    async def agreed() -> bool:
        among, word = await places(system, *LIVES), f"agreed-{next(rounds)}"
        for place in among:
            names = placed_on(place.name, among, word, len(LIVES))
            for live, session_id in zip(LIVES, names, strict=True):
                speaker = await Speaker(system, "ruth", session_id).create()
                await speaker.say("where?", at=live)
                if await speaker.owner() != place.id:
                    return False
        return True

    await until(agreed)


async def test_any_replica_takes_any_unary_call(
    replicas: System, name: Callable[[str], str]
) -> None:
    """Through all of them at once: one sequence, one owner, and each message once."""
    (session_id,) = placed_on("live-2", await places(replicas, *LIVES), name("any"))
    speaker = await Speaker(replicas, "ruth", session_id).create()
    said = [f"{n} through {live}" for n in range(10) for live in LIVES]
    seqs = await asyncio.gather(*(speaker.say(each, at=each.split()[-1]) for each in said))
    assert sorted(seqs) == list(range(2, 32))
    assert sorted(await speaker.stored()) == sorted(said)
    records = await replicas.records(session_id)
    assert {record.instance for record in records[1:]} == {await replicas.instance("live-2")}
    assert await speaker.say(said[0], at="live-1") == await speaker.say(said[0], at="live-3")
    request = DeleteSessionRequest(session_id=session_id, op_id="gone")
    for live in LIVES:
        await replicas.live(live).DeleteSession(request, metadata=speaker.metadata, timeout=10)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await speaker.say("late", at="live-3")
    assert isinstance(from_rpc_error(refused.value, mutating=True), SessionNotFound)


async def test_a_killed_owners_sessions_go_on_at_once(
    replicas: System, name: Callable[[str], str]
) -> None:
    """Its registration would last a minute, and no call does: it was reported. What was under way
    is made once; the killed one comes back and gets its share again."""
    among = await speakers(replicas, "live-1", name("killed"), 10)
    under_way = [asyncio.create_task(each.say("under way", at="live-2")) for each in among]
    await asyncio.sleep(0)
    former = await replicas.instance("live-1")
    await replicas.cluster.kill("live-1")
    seqs = await asyncio.gather(*(each.say("next", at="live-3") for each in among), *under_way)
    assert set(seqs) == {3, 4}
    for each in among:
        assert sorted(await each.stored()) == ["first", "next", "under way"]
        assert await each.owner() in (
            await replicas.instance("live-2"),
            await replicas.instance("live-3"),
        )
    assert former not in await replicas.instances()
    await replicas.cluster.start("live-1")
    await all_up(replicas)


async def test_a_killed_owner_is_reported_though_a_store_was_killed_too(
    replicas: System, name: Callable[[str], str]
) -> None:
    """The Store that everybody follows and writes through falls with it."""
    among = await speakers(replicas, "live-3", name("both"), 5)
    await asyncio.gather(replicas.cluster.kill("store-1"), replicas.cluster.kill("live-3"))
    seqs = await asyncio.gather(*(each.say("next", at="live-1") for each in among))
    assert seqs == [3] * 5
    await replicas.cluster.start("store-1")
    await replicas.cluster.start("live-3")
    for live in LIVES:
        await replicas.cluster.ready(live)
    await all_up(replicas)


async def test_a_stop_under_load_fails_no_call(
    replicas: System, name: Callable[[str], str]
) -> None:
    """Speakers through the other Lives notice nothing. One that speaks to the leaver itself is cut
    off once, when nobody listens there any more, and makes the same call elsewhere."""
    among = await speakers(replicas, "live-2", name("stop"), 12)
    stopped = asyncio.Event()

    async def speak(speaker: Speaker, at: str) -> None:
        n = 0
        while not stopped.is_set():
            try:
                await speaker.say(f"{n}", at=at)
            except grpc.aio.AioRpcError as error:
                failure = from_rpc_error(error, mutating=True)
                assert at == "live-2"
                assert isinstance(failure, Unavailable | OutcomeUnknown), failure
                at = "live-1"
            else:
                n += 1

    async with asyncio.TaskGroup() as speaking:
        for n, speaker in enumerate(among):
            speaking.create_task(speak(speaker, LIVES[n % 3]))

        async def all_say_more() -> None:
            before = [len(each.acknowledged) for each in among]

            async def said() -> bool:
                now = [len(each.acknowledged) for each in among]
                return all(n > m + 3 for n, m in zip(now, before, strict=True))

            await until(said)

        await all_say_more()
        assert await replicas.cluster.stop("live-2") == 0
        await all_say_more()
        stopped.set()
    for speaker in among:
        assert await speaker.stored() == speaker.acknowledged
    others = await places(replicas, "live-1", "live-3")
    for speaker in among:
        place = where(speaker.session_id, others)
        assert await speaker.owner() == await replicas.instance(place)
    await replicas.cluster.start("live-2")
    await all_up(replicas)


async def test_a_replica_that_joins_gets_its_share(
    replicas: System, name: Callable[[str], str]
) -> None:
    """Sessions move to it by themselves, in use or not, and no other ones move."""
    await replicas.cluster.stop("live-3")
    among = [
        *await speakers(replicas, "live-1", name("joins-1"), 12, lives=LIVES[:2]),
        *await speakers(replicas, "live-2", name("joins-2"), 12, lives=LIVES[:2]),
    ]
    before = {each.session_id: await each.owner() for each in among}
    await replicas.cluster.start("live-3")
    all_places = await places(replicas, *LIVES)
    joined = next(place.id for place in all_places if place.name == "live-3")
    moving = [each for each in among if where(each.session_id, all_places) == "live-3"]
    assert moving

    async def moved() -> bool:
        return all([await each.owner() == joined for each in moving])

    await until(moved)
    for each in among:
        if each not in moving:
            assert await each.owner() == before[each.session_id]
    seqs = await asyncio.gather(*(each.say("on", at="live-1") for each in among))
    assert seqs == [3] * len(among)


async def test_an_owner_in_another_place_is_found_and_survived(
    replicas: System, name: Callable[[str], str]
) -> None:
    """It is named by who is asked first; once it is killed, nobody names it any more."""
    (session_id,) = placed_on("live-1", await places(replicas, *LIVES), name("elsewhere"))
    speaker = await Speaker(replicas, "ruth", session_id).create()
    # As if another Live had passed it on.
    forwarder = replicas.keys.user_token("live", role="live")
    enter_here = (("sessiond-hops", "1"), ("sessiond-forwarder", forwarder))
    assert await speaker.say("one", at="live-2", more=enter_here) == 2
    assert await speaker.owner() == await replicas.instance("live-2")
    assert await speaker.say("two", at="live-3") == 3
    assert await speaker.say("three", at="live-1") == 4
    assert await speaker.owner() == await replicas.instance("live-2")
    await replicas.cluster.kill("live-2")
    assert await speaker.say("four", at="live-3") == 5
    assert await speaker.say("five", at="live-1") == 6
    assert await speaker.owner() == await replicas.instance("live-1")
    await replicas.cluster.start("live-2")
    await all_up(replicas)


async def test_sessions_go_on_after_all_lives_were_killed(
    replicas: System, name: Callable[[str], str]
) -> None:
    """Heads name owners that nobody knows any more: each is acquired by its place."""
    among = [
        speaker
        for live in LIVES
        for speaker in await speakers(replicas, live, name(f"all-{live}"), 3)
    ]
    await asyncio.gather(*(replicas.cluster.kill(live) for live in LIVES))
    await asyncio.gather(*(replicas.cluster.start(live) for live in LIVES))
    await all_up(replicas)
    for live in LIVES:
        seqs = await asyncio.gather(*(each.say(live, at=live) for each in among))
        assert len(set(seqs)) == 1
    for each in among:
        assert await each.stored() == ["first", *LIVES]
