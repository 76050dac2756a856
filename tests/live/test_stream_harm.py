"""What bad clients do to a stream: each gets its reply or its end, and nobody else notices."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest

from services.live.outbox import CAPACITY
from services.live.rates import Rate
from services.live.request import Request
from services.store.answers import Snapshot
from sessiond.errors import Draining
from sessiond.session.changes import ApproveOutput, DeleteSession, SubmitOutput
from sessiond.v1 import live_pb2 as pb
from tests.harms import HARMS, Victim, message
from tests.live.going_on import GoingOn
from tests.live.kept import PATIENCE, Gate, Kept, at_once, contents
from tests.live.rooms import ALICE
from tests.live.standing import House, Live
from tests.live.streaming import Client, serving, token

AGENT = {"role": "agent", "agents": ["writer"]}


def ping(payload: str) -> pb.ClientFrame:
    return pb.ClientFrame(ping=pb.Ping(payload=payload))


def attach(session_id: str = "s1", **fields: object) -> pb.ClientFrame:
    return pb.ClientFrame(attach=pb.Attach(session_id=session_id, **fields))  # type: ignore[arg-type]


def detach(session_id: str = "s1") -> pb.ClientFrame:
    return pb.ClientFrame(detach=pb.Detach(session_id=session_id))


async def heard_until_pong(client: Client, payload: str = "end") -> list[pb.ServerFrame]:
    """Return what the client hears up to the answer to a ping that it sends now."""
    await client.say(ping(payload))
    found: list[pb.ServerFrame] = []
    while (frame := await client.frame()).pong.payload != payload:
        found.append(frame)
    return found


def kinds(frames: list[pb.ServerFrame]) -> list[str]:
    return [frame.WhichOneof("frame") or "" for frame in frames]


@dataclass
class Passed(Gate):
    """A gate that knows when the one who was held is through."""

    passed: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def holding_heads(kept: Kept) -> AsyncIterator[Passed]:
    """Hold the first who reads a head in this block, also after it, until the gate opens."""
    gate, snapshot = Passed(), kept.snapshot

    async def held_back(session_id: str) -> Snapshot | None:
        await gate()
        try:
            return await snapshot(session_id)
        finally:
            gate.passed.set()

    kept.snapshot = held_back  # type: ignore[method-assign]
    try:
        yield gate
    finally:
        kept.snapshot = snapshot  # type: ignore[method-assign]


# --- goaways -----------------------------------------------------------------------------------


async def test_a_session_deleted_under_a_reader_that_catches_up_ends_once(house: House) -> None:
    """Its room and Store both say that it is gone; the reader hears so once, and may ask again."""
    async with serving(house) as live, live.client() as client:
        await house.kept.make()
        await asyncio.gather(*(live.live.append("x" * 2000) for _ in range(600)))
        head = await house.kept.head()
        await client.hello()
        async with holding_heads(house.kept) as gate:
            await client.attach(cursor=f"{head.meta.log_id:016x}.1")
            await gate.reached.wait()
        await live.live.delete("d1")
        goaway = await client.until("goaway")
        assert (goaway.session_id, goaway.reason) == ("s1", "SESSION_NOT_FOUND")
        await client.say(attach())
        assert (await client.hear("goaway")).reason == "SESSION_NOT_FOUND"
        gate.opened.set()
        await gate.passed.wait()
        for _ in range(3):
            assert kinds(await heard_until_pong(client)) == []


async def test_nothing_is_heard_of_a_session_after_its_goaway(house: House) -> None:
    """A change that is answered later has no reply: the client knows that it does not know."""
    async with serving(house) as live, live.client() as client, live.client() as other:
        await house.kept.make()
        await client.follow()
        await other.follow()
        house.kept.before_commit = gate = Gate()
        op_id = await client.append("in flight")
        await gate.reached.wait()
        await client.say(detach())
        assert (await client.hear("goaway")).reason == "NOT_ATTACHED"
        house.kept.before_commit = at_once
        gate.opened.set()
        assert (await other.until("event")).op_id == op_id
        assert kinds(await heard_until_pong(client)) == []
        await client.attach()
        await client.until("caught_up")
        await client.append("in flight", op_id)
        assert (await client.until("reply")).seq == 2


async def test_each_attach_and_each_detach_has_one_answer(house: House) -> None:
    """However fast they follow one another, and whatever the room does meanwhile."""
    async with serving(house) as live, live.client() as client:
        await house.kept.make()
        await client.hello()
        await client.say(*[frame for _ in range(50) for frame in (attach(), detach())])
        frames = await heard_until_pong(client)
        goaways = [frame.goaway.reason for frame in frames if frame.HasField("goaway")]
        assert goaways == ["NOT_ATTACHED"] * 50
        assert kinds(frames).count("attached") <= 50
        held = await live.live.rooms.enter("s1")
        assert (len(held.room.audience), held.users) == (0, 0)


# --- rights ------------------------------------------------------------------------------------


async def test_a_fresh_token_with_less_in_it_ends_what_it_does_not_cover(house: House) -> None:
    """A right that is gone from the token is gone from the stream, and the stream stays."""
    async with serving(house) as live, live.client("w", **AGENT) as worker:
        await house.kept.make()
        await worker.follow()
        less = token("w", role="agent", agents=["editor"])
        await worker.say(pb.ClientFrame(hello=pb.Hello(token=less)))
        frames = await heard_until_pong(worker)
        ends = [frame.goaway for frame in frames if frame.HasField("goaway")]
        assert [(end.session_id, end.reason, end.reconnect) for end in ends] == [
            ("s1", "SESSION_NOT_FOUND", False)
        ]
        assert "welcome" in kinds(frames)
        await live.live.append("unseen")
        assert kinds(await heard_until_pong(worker)) == []


async def test_a_right_that_ends_while_its_owner_is_asked_for_is_none(house: House) -> None:
    """Attaching waits for Store; what counts is the moment at which it is granted."""
    async with serving(house) as live, live.client("w", **AGENT) as worker:
        await house.kept.make()
        await live.live.append("one")
        instance = live.live.registration.instance
        assert instance is not None
        beat, gate = live.live.store.heartbeat, Gate()

        async def held_back(*args: Any, **words: Any) -> bool:
            await gate()
            return await beat(*args, **words)

        live.live.store.heartbeat = held_back  # type: ignore[method-assign]
        instance.asked.set()
        await gate.reached.wait()
        await worker.hello()
        await worker.say(attach())
        await instance.asked.wait()
        await live.live.change(SubmitOutput("plan", output_id="o1"))
        await live.live.change(ApproveOutput("o1"))
        gate.opened.set()
        assert (await worker.hear("goaway")).reason == "SESSION_NOT_FOUND"


class Later:
    """Notes when something is to happen."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def call_later(self, seconds: float, call: object) -> asyncio.TimerHandle:
        self.seconds.append(seconds)
        return asyncio.get_running_loop().call_later(seconds, lambda: None)


async def test_the_end_of_a_token_is_minded_however_far_off_it_is(house: House) -> None:
    """Timers go so far only: what is left then is waited for, and no more than that."""
    now = [0.0]
    async with (
        serving(house, clock=lambda: time.time() + now[0]) as live,
        live.client(exp=int(time.time()) + 1_500_000) as client,
    ):
        await client.hello()
        (stream,) = live.streams._open
        later = Later()
        stream._loop = later  # type: ignore[assignment]
        now[0] = 1_000_000
        stream._expired()
        assert [round(seconds, -3) for seconds in later.seconds] == [500_000]
        stream._loop = asyncio.get_running_loop()


async def test_a_refusal_that_is_found_too_late_is_not_told(house: House) -> None:
    """Looking back takes a while; a session that ended meanwhile has had its last word."""
    async with serving(house) as live, live.client() as client:
        await house.kept.make()
        for _ in range(2):
            await asyncio.gather(*(live.live.append(f"m{n}") for n in range(600)))
        await client.follow()
        async with holding_heads(house.kept) as gate:
            frame = message("s1", "op")
            frame.since = 1
            await client.say(frame)
            await gate.reached.wait()
        await live.live.delete("d1")
        assert (await client.until("goaway")).reason == "SESSION_NOT_FOUND"
        gate.opened.set()
        assert kinds(await heard_until_pong(client)) == []


# --- floods ------------------------------------------------------------------------------------


async def test_a_flood_is_answered_as_fast_as_the_answers_are_read(house: House) -> None:
    """Who asks much and reads the answers gets them all, also if it begins to read late."""
    async with serving(house) as live, live.client() as client:
        await client.hello()
        batches, each = 20, 800
        op_id = "x" * 1000  # comes back with the refusal
        frames = [message("s1", op_id)] * each

        async def flood() -> None:
            for _ in range(batches):
                await client.say(*frames)

        flooding = asyncio.create_task(flood())
        (stream,) = live.streams._open
        async with live.client() as other:
            await other.hello()
            while not stream._outbox.ended and stream._outbox.fits(CAPACITY // 2):
                assert kinds(await heard_until_pong(other)) == []
        for _ in range(batches * each):
            assert (await client.hear("reply")).error.code == "NOT_ATTACHED"
        await flooding


async def test_a_flood_whose_answers_nobody_reads_is_read_no_further(house: House) -> None:
    """What waits for it has a bound, and in the end it is sent away."""
    async with (
        serving(house, patience_seconds=0.2, farewell_seconds=0.05) as live,
        live.client() as client,
    ):
        await client.hello()

        async def flood() -> None:
            while True:
                await client.say(*[ping("x" * 64)] * 10_000)

        flooding = asyncio.create_task(flood())
        async with asyncio.timeout(PATIENCE):
            await live.streams.none()
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)


# --- ends --------------------------------------------------------------------------------------


async def test_a_stream_that_opens_while_the_part_drains_is_sent_elsewhere(house: House) -> None:
    """Also one that had just come in: the drain does not wait for it, and it is not forgotten."""
    async with serving(house) as live, live.client() as client:
        hops = live.streams._surroundings.whereabouts.hops
        gate = Gate()

        async def counted(context: object) -> bool:
            await gate()
            return False

        hops.counted = counted  # type: ignore[method-assign]
        await client.say(pb.ClientFrame(hello=pb.Hello()))
        await gate.reached.wait()
        await live.streams.drain(Draining())
        gate.opened.set()
        assert await client.ends() is grpc.StatusCode.UNAVAILABLE
        assert len(live.streams) == 0


async def test_a_client_that_says_no_more_is_gone(house: House) -> None:
    """A half-closed stream ends well, after what was said before it, and leaves nothing."""
    async with serving(house) as live, live.client() as client, live.client() as other:
        await house.kept.make()
        await client.follow()
        await other.follow()
        op_id = await client.append("the last words")
        await client.call.done_writing()
        assert (await other.until("event")).op_id == op_id
        assert await client.ends() is grpc.StatusCode.OK
        held = await live.live.rooms.enter("s1")
        assert len(held.room.audience) == 1


async def test_what_is_larger_than_grpc_takes_ends_its_stream_alone(house: House) -> None:
    """gRPC refuses it before we see it; whoever else is there goes on."""
    async with serving(house) as live:
        await house.kept.make()
        async with live.client() as client, live.client() as other:
            await client.follow()
            await other.follow()
            await client.raw(b"x" * (5 * 1024 * 1024))
            assert await client.ends() is grpc.StatusCode.RESOURCE_EXHAUSTED
            await other.append("hello")
            assert (await other.until("event")).seq == 2
        async with asyncio.timeout(PATIENCE):
            await live.streams.none()
        held = await live.live.rooms.enter("s1")
        assert (len(held.room.audience), held.users) == (0, 0)


# --- everything at once ------------------------------------------------------------------------


@pytest.mark.parametrize("name", HARMS)
async def test_every_harm_has_its_answer_and_nobody_else_notices(house: House, name: str) -> None:
    """Others append and read meanwhile; afterwards nothing of the one who did it is left."""
    async with (
        serving(house, rate=Rate(200, 400)) as live,
        live.client("boss", role="admin") as other,
    ):
        await house.kept.make()
        victim = Victim(
            "s1",
            f"{(await house.kept.head()).meta.log_id:016x}",
            make=partial(_made, house),
            delete=partial(_deleted, live.live),
            token=token,
        )
        await other.follow()
        going_on = GoingOn(other)
        await going_on.once()
        before, files = named_tasks(), open_files()
        async with live.client() as client, asyncio.timeout(3 * PATIENCE):
            doing = asyncio.create_task(HARMS[name](client, victim))
            size = 100_000 if "reads_nothing" in name else 1
            while not doing.done() or going_on.times < 20:
                await going_on.once(size)
                if going_on.times == 80:
                    victim.over.set()
            await doing
        async with asyncio.timeout(PATIENCE):
            while len(live.streams) > 1:
                await going_on.once()
            await going_on.once()  # comes after all that was said before
        held = await live.live.rooms.enter("s1")
        assert (len(held.room.audience), held.users) == (1, 1)
        assert not named_tasks() - before
        assert open_files() == files
        assert len(contents(await house.kept.log())) == going_on.seq - 1


def named_tasks() -> set[str]:
    """Return the names of those tasks to which we gave one; gRPC's own come and go."""
    names = {task.get_name() for task in asyncio.all_tasks()}
    return {name for name in names if not name.startswith(("Task-", "HandleExceptions"))}


async def _made(house: House) -> str:
    await house.kept.make("s2")
    return "s2"


async def _deleted(live: Live, session_id: str) -> None:
    await live.ask(Request(DeleteSession(), ALICE, "d"), session_id=session_id)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
