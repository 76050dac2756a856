"""Streams whose sessions another Live owns; the owner's part is a test's."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from services.live import places
from services.live.forwarding import Forward, Granted
from services.live.outbox import Outbox
from sessiond.v1 import live_pb2 as pb
from tests.live.kept import PATIENCE
from tests.live.owners import between
from tests.live.standing import House
from tests.live.streaming import Client, token


def attach(session_id: str = "s1") -> pb.ClientFrame:
    return pb.ClientFrame(attach=pb.Attach(session_id=session_id))


def detach(session_id: str = "s1") -> pb.ClientFrame:
    return pb.ClientFrame(detach=pb.Detach(session_id=session_id))


def ping() -> pb.ClientFrame:
    return pb.ClientFrame(ping=pb.Ping(payload="p"))


async def heard_by(client: Client) -> list[tuple[str, Any]]:
    """Return what the client hears up to the answer to a ping that it sends now."""
    await client.say(ping())
    found: list[tuple[str, Any]] = []
    while (kind := (frame := await client.frame()).WhichOneof("frame") or "") != "pong":
        found.append((kind, getattr(frame, kind)))
    return found


async def test_what_an_owner_says_goes_on_as_it_comes(house: House) -> None:
    """And what the client says of the session goes to the owner."""
    async with between(house) as both, both.entry.client() as client:
        spoken = await both.attached(client)
        spoken.event(2)
        assert (await client.hear("event")).seq == 2
        await client.append("hello", "op1")
        assert (await spoken.hears("append")).op_id == "op1"
        spoken.say(pb.ServerFrame(reply=pb.Reply(session_id="s1", op_id="op1", seq=3)))
        assert (await client.hear("reply")).seq == 3
        typing = pb.UpdatePresence(session_id="s1", typing=True)
        await client.say(pb.ClientFrame(presence=typing))
        assert (await spoken.hears("presence")).typing


async def test_an_owner_that_moved_it_is_followed_and_the_client_hears_nothing_of_it(
    house: House,
) -> None:
    """The next place is asked: here it is this process itself."""
    await house.kept.make()
    async with between(house) as both, both.entry.client() as client:
        both.router.there["s1"] = both.owner.peer
        await client.hello()
        await client.say(attach())
        spoken = await both.owner.stream()
        await spoken.hears("attach")
        del both.router.there["s1"]
        spoken.goaway("SESSION_MOVED", owner="there:1", reconnect=True)
        assert (await client.hear("attached")).head_seq == 1
        assert both.router.told == ["there:1"]


async def test_a_refusal_is_the_owners_and_the_session_may_be_asked_for_again(
    house: House,
) -> None:
    """Its goaway goes on as it is."""
    async with between(house) as both, both.entry.client() as client:
        both.router.there["s1"] = both.owner.peer
        await client.hello()
        await client.say(attach())
        spoken = await both.owner.stream()
        for _ in range(2):
            await spoken.hears("attach")
            spoken.goaway("SESSION_NOT_FOUND", detail="There is no such session.")
            assert (await client.hear("goaway")).detail == "There is no such session."
            await client.say(attach())


async def test_a_detached_session_is_over_for_the_client_at_once(house: House) -> None:
    """What the owner says of it until it has heard that is dropped; then it may be asked again."""
    async with between(house) as both, both.entry.client() as client:
        spoken = await both.attached(client)
        for _ in range(2):
            await client.say(detach(), attach())
            assert (await client.hear("goaway")).reason == "NOT_ATTACHED"
            await spoken.hears("detach")
            await spoken.hears("attach")
        spoken.event(2)
        spoken.goaway("SESSION_MOVED", reconnect=True)
        spoken.goaway("NOT_ATTACHED")
        spoken.attached(head_seq=2)
        spoken.event(3)
        spoken.goaway("NOT_ATTACHED")
        spoken.attached(head_seq=7)
        assert (await client.hear("attached")).head_seq == 7
        spoken.event(8)
        assert (await client.hear("event")).seq == 8
        assert await heard_by(client) == []


async def test_an_attach_that_is_given_up_is_given_up_at_the_owner(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One session's trouble ends that one: others on the same stream hear nothing of it."""
    monkeypatch.setattr(places, "ATTACH_SECONDS", 0.05)
    async with between(house) as both, both.entry.client() as client:
        spoken = await both.attached(client)
        both.router.there["slow"] = both.owner.peer
        await client.say(attach("slow"))
        goaway = await client.hear("goaway")
        assert (goaway.session_id, goaway.reason, goaway.reconnect) == ("slow", "UNAVAILABLE", True)
        await spoken.hears("attach")
        assert (await spoken.hears("detach")).session_id == "slow"
        spoken.attached("slow")
        spoken.event(2, "slow")
        spoken.goaway("NOT_ATTACHED", "slow")
        spoken.event(2)
        assert (await client.hear("event")).session_id == "s1"
        assert await heard_by(client) == []
        await client.append("hello", session_id="slow")
        assert (await client.hear("reply")).error.code == "NOT_ATTACHED"


async def test_a_stream_that_breaks_ends_its_attachments_and_not_its_attaches(house: House) -> None:
    """Who was attached comes back by its cursor; who was not yet is looked for elsewhere."""
    async with between(house) as both, both.entry.client() as client:
        await house.kept.make("s2")
        spoken = await both.attached(client)
        both.router.there["s2"] = both.owner.peer
        await client.say(attach("s2"))
        await spoken.hears("attach")
        spoken.goaway("DRAINING", None, reconnect=True)
        goaway = await client.hear("goaway")
        assert (goaway.session_id, goaway.reason, goaway.reconnect, goaway.retry_after_ms) == (
            "s1",
            "SESSION_MOVED",
            True,
            0,
        )
        del both.router.there["s2"]
        both.router.goes_on.set()
        assert (await client.hear("attached")).session_id == "s2"
        await spoken.over.wait()
        await client.say(attach())  # and a new stream is opened for the next
        again = await both.owner.stream()
        await again.hears("attach")
        assert again is not spoken


async def test_a_detach_is_answered_while_there_is_no_owner_to_hear_it(house: House) -> None:
    """Also when the stream to the last one broke, and the next one is still looked for."""
    async with between(house) as both, both.entry.client() as client:
        both.router.there["s1"] = both.owner.peer
        await client.hello()
        await client.say(attach())
        spoken = await both.owner.stream()
        await spoken.hears("attach")
        spoken.goaway("DRAINING", None, reconnect=True)
        await spoken.over.wait()
        await client.say(detach())
        assert (await client.hear("goaway")).reason == "NOT_ATTACHED"
        assert await heard_by(client) == []


async def test_what_a_former_owner_still_says_harms_no_attachment_elsewhere(house: House) -> None:
    """A session that was given up there and is attached here stays, whatever becomes of there."""
    await house.kept.make()
    async with between(house) as both, both.entry.client() as client:
        both.router.there["s1"] = both.owner.peer
        await client.hello()
        await client.say(attach(), ping())
        spoken = await both.owner.stream()
        await spoken.hears("attach")
        await client.hear("pong")
        await client.say(detach())
        assert (await client.hear("goaway")).reason == "NOT_ATTACHED"
        spoken.attached()
        spoken.goaway("NOT_ATTACHED")
        del both.router.there["s1"]
        await client.say(attach())
        await client.until("caught_up")
        held = await both.entry.live.rooms.enter("s1")
        both.owner.gone.set_result(None)
        await spoken.over.wait()
        assert await heard_by(client) == []
        assert (len(held.room.audience), held.users) == (1, 1)
        await both.entry.live.append("still here")
        assert (await client.hear("event")).seq == 2


async def test_an_owner_that_is_gone_ends_what_it_had(house: House) -> None:
    """One that is stopped says nothing itself: that its registration has ended is enough."""
    async with between(house) as both, both.entry.client() as client:
        spoken = await both.attached(client)
        both.owner.gone.set_result(None)
        goaway = await client.hear("goaway")
        assert (goaway.session_id, goaway.reason, goaway.reconnect) == ("s1", "SESSION_MOVED", True)
        await spoken.over.wait()


async def test_a_connection_that_is_closed_ends_what_went_over_it(house: House) -> None:
    """By ourselves, too: then gRPC cancels the call, which is not how it tells of other ends."""
    async with between(house) as both, both.entry.client() as client:
        await both.attached(client)
        await both.owner.peer.channel.close()
        goaway = await client.hear("goaway")
        assert (goaway.session_id, goaway.reason, goaway.reconnect) == ("s1", "SESSION_MOVED", True)


async def test_an_owner_that_reads_nothing_is_not_broken_by_large_frames(house: House) -> None:
    """They wait, and the client with them; its sessions stay attached."""
    async with between(house) as both, both.entry.client() as client:
        spoken = await both.attached(client)
        both.owner.reads.clear()

        async def large() -> None:
            for number in range(12):
                await client.append("x" * 700_000, f"op{number}")
            both.router.there["s2"] = both.owner.peer
            await client.say(attach("s2"))

        saying = asyncio.create_task(large())
        spoken.event(2)
        assert (await client.hear("event")).seq == 2
        both.owner.reads.set()
        heard = [(await spoken.hears("append")).op_id for _ in range(12)]
        assert heard == [f"op{number}" for number in range(12)]
        assert (await spoken.hears("attach")).session_id == "s2"
        await saying
        assert await heard_by(client) == []


async def test_a_client_that_does_not_read_stops_the_owner_and_nobody_else(house: House) -> None:
    """What it has not read stays with the owner, which judges by its own queue."""
    async with between(house) as both, both.entry.client() as client:
        spoken = await both.attached(client)
        for seq in range(2, 102):
            spoken.event(seq, size=200_000)  # 20 MB: more than lies on the way
        async with both.entry.client() as other:
            await other.hello()
            assert await heard_by(other) == []
        assert not spoken.waiting.empty()
        assert [(await client.hear("event")).seq for _ in range(100)] == list(range(2, 102))


async def test_a_client_that_never_reads_is_sent_away_though_its_owner_waits(house: House) -> None:
    """Otherwise it would hold both for ever: nothing overflows where each waits for the other."""
    async with (
        between(house, patience_seconds=0.2, farewell_seconds=0.05) as both,
        both.entry.client() as client,
    ):
        spoken = await both.attached(client)
        for seq in range(2, 102):
            spoken.event(seq, size=200_000)
        async with asyncio.timeout(PATIENCE):
            await both.entry.streams.none()
            await spoken.over.wait()


async def test_a_fresh_token_goes_to_every_owner(house: House) -> None:
    """They would end their streams when the first one expires."""
    async with between(house) as both, both.entry.client() as client:
        spoken = await both.attached(client)
        fresh = token("alice", exp=int(time.time()) + 5000)
        await client.say(pb.ClientFrame(hello=pb.Hello(token=fresh)))
        await client.hear("welcome")
        assert (await spoken.hears("hello")).token == fresh
        spoken.say(pb.ServerFrame(welcome=pb.Welcome()))
        assert await heard_by(client) == []


async def test_a_client_that_leaves_takes_its_forwarded_streams_along(house: House) -> None:
    """The owner's side ends, and no task stays."""
    async with between(house) as both:
        async with both.entry.client() as client:
            spoken = await both.attached(client)
        async with asyncio.timeout(PATIENCE):
            await spoken.over.wait()
            await both.entry.streams.none()


# --- one forwarded stream, step by step --------------------------------------------------------


class Call:
    """A call whose messages a test gives."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[asyncio.Future[bytes]] = asyncio.Queue()

    def __call__(self, metadata: object) -> Call:
        return self

    def stream_stream(self, method: str) -> Call:
        return self

    async def write(self, data: bytes) -> None: ...

    async def read(self) -> bytes:
        message: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.messages.put_nowait(message)
        return await message

    def cancel(self) -> None: ...


async def test_what_comes_at_the_moment_of_the_break_comes_too_late() -> None:
    """Its session was told to come back by its cursor: an event after that would come twice."""
    call, outbox, gone = Call(), Outbox(lambda: None), asyncio.get_running_loop().create_future()
    channel: Any = call
    closed: list[Forward] = []
    forward = Forward(
        channel,
        (),
        outbox,
        gone=gone,
        on_granted=lambda _: None,
        on_ended=lambda _: None,
        on_broken=closed.append,
    )
    attaching = asyncio.create_task(forward.attach(pb.Attach(session_id="s1")))
    message = await call.messages.get()
    message.set_result(framed(attached=pb.Attached(session_id="s1")))
    assert isinstance(await attaching, Granted)
    message = await call.messages.get()
    gone.set_result(None)
    await asyncio.sleep(0)
    message.set_result(framed(event={"session_id": "s1", "seq": 2}))
    for _ in range(3):
        await asyncio.sleep(0)
    shown = pb.ServerFrame.FromString(await outbox.take()).batch
    assert [frame.WhichOneof("frame") for frame in shown] == ["attached", "goaway"]
    assert closed == [forward]
    await forward.close()


def framed(**fields: Any) -> bytes:
    return pb.ServerFrame(batch=[pb.ServerFrame(**fields)]).SerializeToString()
