"""Streams that break: the client comes back, misses nothing and does nothing twice."""

from __future__ import annotations

import asyncio
import random

import grpc
import pytest

from sessiond.client import stream
from sessiond.errors import (
    InvalidArgument,
    OutcomeUnknown,
    PermissionDenied,
    SessiondError,
    Unauthenticated,
    Unavailable,
)
from sessiond.session.events import MessageAppended, Record
from sessiond.v1.live_pb2 import ServerFrame
from tests.client.conftest import opened, opened_beside_others, tasks, token
from tests.client.harm import harmed
from tests.client.live import Live
from tests.client.sessions import StoredSession

Sessions = dict[str, StoredSession]


async def test_events_go_on_after_a_broken_stream(live: Live, sessions: Sessions) -> None:
    async with opened(live) as client, client.attach("s") as session:
        events = session.events()
        await session.append("before")
        live.newest.cut()
        sessions["s"].append("while away")
        assert await session.append("after") == 4
        seen = [await anext(events) for _ in range(3)]
        assert [event.seq for event in seen] == [2, 3, 4]
        assert len(live.connections) == 2
        assert live.newest.heard[1].attach.cursor.endswith(".2")


async def test_a_change_without_a_reply_is_said_again(live: Live, sessions: Sessions) -> None:
    async with opened(live) as client, client.attach("s") as session:
        live.newest.reads.clear()
        waiting = asyncio.create_task(session.append("hello", op_id="one"))
        await asyncio.sleep(0)
        sessions["s"].append("another's")
        live.newest.cut()
        assert await waiting == 3
        assert sessions["s"].sinces["one"] == {1}


async def test_a_reply_that_was_lost_is_given_again(live: Live, sessions: Sessions) -> None:
    async with opened(live) as client, client.attach("s") as session:
        first = live.newest
        first.deaf = True
        waiting = asyncio.create_task(session.append("hello"))
        await sessions["s"].reached(2)
        first.cut()
        assert await waiting == 2
        assert sessions["s"].head == 2


async def test_a_change_without_a_reply_is_unknown_where_nobody_may_come_back(
    live: Live, sessions: Sessions
) -> None:
    """It was made, and why the stream ends says nothing about it."""
    async with opened(live) as client, client.attach("s") as session:
        live.newest.deaf = True
        waiting = asyncio.create_task(session.append("hello"))
        await sessions["s"].reached(2)
        live.refuse = [grpc.StatusCode.UNAUTHENTICATED]
        live.newest.cut()
        with pytest.raises(OutcomeUnknown) as raised:
            await waiting
        assert isinstance(raised.value.__cause__, Unauthenticated)
        with pytest.raises(Unauthenticated):
            await session.append("late")


async def test_what_was_said_to_a_session_that_is_another_now_is_unknown(
    live: Live, sessions: Sessions
) -> None:
    """The change was made before the session was deleted; the one that has its id never had it."""
    async with opened(live) as client, client.attach("s") as session:
        live.newest.deaf = True
        waiting = asyncio.create_task(session.append("hello"))
        await sessions["s"].reached(2)
        sessions["s"] = StoredSession("s", log_id="00000000000000bb")
        live.newest.cut()
        with pytest.raises(OutcomeUnknown, match="then it was refused"):
            await waiting
        assert sessions["s"].head == 1


@pytest.mark.parametrize("single", [True, False])
async def test_a_goaway_leads_to_the_next_address(
    live: Live, other: Live, sessions: Sessions, single: bool
) -> None:
    live.single = other.single = single
    async with opened(live, other) as client, client.attach("s") as session:
        live.newest.goaway("DRAINING")
        assert await session.append("after") == 2
        assert len(live.connections) == len(other.connections) == 1


async def test_a_server_that_is_gone_is_replaced_by_another(
    live: Live, other: Live, sessions: Sessions
) -> None:
    async with opened(live, other) as client, client.attach("s") as session:
        await live.stop()
        assert await session.append("after") == 2
        await other.stop()
        await live.start()
        assert await session.append("and back") == 3


async def test_a_server_that_is_not_there_yet_is_waited_for(live: Live, sessions: Sessions) -> None:
    await live.stop()
    async with opened(live) as client:
        attaching = client.attach("s")
        entering = asyncio.create_task(attaching.__aenter__())
        await asyncio.sleep(0.05)
        await live.start()
        session = await entering
        assert session.state.seq == 1
        await attaching.__aexit__(None, None, None)


async def test_nobody_there_is_told_after_the_deadline(live: Live) -> None:
    await live.stop()
    async with opened(live, deadline=0.2) as client:
        with pytest.raises(Unavailable):
            async with client.attach("s"):
                pass


async def test_a_server_that_does_not_greet_is_left_for_another(
    live: Live, other: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "CONNECT_SECONDS", 0.1)
    live.silent = True
    async with opened(live, other) as client, client.attach("s") as session:
        assert await session.append("hello") == 2
        # However often it takes: a slow machine does not answer in time either.
        assert other.newest.kinds()[:2] == ["hello", "attach"]
        assert all("attach" not in each.kinds() for each in live.connections)


async def test_a_moved_session_is_attached_again_on_the_same_stream(
    live: Live, sessions: Sessions
) -> None:
    async with opened(live) as client, client.attach("s") as session:
        events = session.events()
        sessions["s"].move()
        assert await session.append("at the next owner") == 2
        assert (await anext(events)).seq == 2
        assert len(live.connections) == 1


async def test_events_that_come_twice_are_applied_once(live: Live, sessions: Sessions) -> None:
    async with opened(live) as client, client.attach("s") as session:
        events = session.events()
        await session.append("one")
        live.newest.say(ServerFrame(event=sessions["s"].events[1]))
        await session.append("two")
        assert [(await anext(events)).seq for _ in range(2)] == [2, 3]
        assert len(session.messages) == 2


async def test_what_waits_together_travels_together(live: Live, sessions: Sessions) -> None:
    async with opened(live) as client, client.attach("s") as session:
        before = live.newest.messages
        await asyncio.gather(*(session.append(f"{number}") for number in range(100)))
        assert live.newest.messages - before < 10
        assert sessions["s"].head == 101


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (grpc.StatusCode.UNAUTHENTICATED, Unauthenticated),
        (grpc.StatusCode.PERMISSION_DENIED, PermissionDenied),
        (grpc.StatusCode.INVALID_ARGUMENT, InvalidArgument),
    ],
)
async def test_a_call_that_is_refused_for_good_ends_its_sessions(
    live: Live, sessions: Sessions, status: grpc.StatusCode, failure: type[SessiondError]
) -> None:
    async with opened(live) as client:
        async with client.attach("s") as session:
            events = session.events()
            live.refuse = [status]
            live.newest.cut()
            with pytest.raises(failure):
                await anext(events)
        async with client.attach("s") as session:
            assert await session.append("a new stream may do better") == 2


async def test_a_stream_that_is_sent_away_for_good_ends_its_sessions(live: Live) -> None:
    async with opened(live) as client, client.attach("s") as session:
        live.newest.goaway("UNAUTHENTICATED", reconnect=False)
        with pytest.raises(Unauthenticated):
            await anext(session.events())


async def test_a_token_that_is_refused_is_replaced_once(live: Live) -> None:
    given = iter([token(n=1), token(n=2)])
    live.refuse = [grpc.StatusCode.UNAUTHENTICATED]
    async with opened(live, token=lambda: next(given)) as client, client.attach("s"):
        assert live.newest.metadata["authorization"] == f"Bearer {token(n=2)}"


async def test_a_provider_without_another_token_is_not_asked_for_ever(live: Live) -> None:
    live.refuse = [grpc.StatusCode.UNAUTHENTICATED] * 9
    async with opened(live, token=token) as client:
        with pytest.raises(Unauthenticated):
            async with client.attach("s"):
                pass
    assert len(live.refuse) == 7


async def test_a_fresh_token_is_said_before_the_old_one_ends(live: Live) -> None:
    asked = 0
    clock = asyncio.get_running_loop().time
    began = clock()

    async def provider() -> str:
        nonlocal asked
        asked += 1
        # The first has 0.2 s to live, of which half is spare.
        return token(n=asked, exp=began + (0.2 if asked == 1 else 3600.0))

    async with opened(live, token=provider, clock=clock) as client, client.attach("s"):
        await live.newest.hears("hello", 2)
        hellos = [frame.hello for frame in live.newest.heard if frame.HasField("hello")]
        assert not hellos[0].HasField("token")
        assert hellos[1].token == token(n=2, exp=began + 3600.0)
        assert len(live.connections) == 1


async def test_a_service_acts_for_its_user_on_streams(live: Live) -> None:
    async with opened(live, acting_for="a/b") as client, client.attach("s"):
        assert live.newest.metadata["sessiond-user"] == "a%2Fb"


async def test_a_frame_that_cannot_be_understood_ends_its_session_alone(
    live: Live, sessions: Sessions
) -> None:
    sessions["t"] = StoredSession("t")
    async with opened(live) as client, client.attach("s") as bad, client.attach("t") as good:
        damaged = ServerFrame()
        damaged.event.session_id = "s"
        damaged.event.seq = 2
        live.newest.say(damaged)
        with pytest.raises(SessiondError):
            await anext(bad.events())
        assert await good.append("hello") == 2


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_breaks_every_reader_sees_the_one_log(
    live: Live, other: Live, seed: int
) -> None:
    """Streams are cut, sessions move and servers die at random, while clients append and read."""
    chance = random.Random(seed)
    session_ids = ["s", "t"]
    live.sessions["t"] = StoredSession("t")
    wanted = 150

    async def talk(session_id: str, name: int, lives: tuple[Live, Live]) -> list[str]:
        contents: list[str] = []
        async with opened_beside_others(*lives) as client, client.attach(session_id) as session:
            events = session.events()
            start = session.state.seq

            async def write() -> None:
                for number in range(wanted):
                    await session.append(f"{name}.{number}")

            writing = asyncio.create_task(write())
            seq = start
            async for event in events:
                assert isinstance(event, Record)
                assert event.seq == seq + 1
                seq = event.seq
                assert isinstance(event.event, MessageAppended)
                contents.append(event.event.content)
                if seq == 2 * wanted + 1:
                    break
            await writing
        return contents

    async with harmed(chance, [live, other], list(live.sessions.values())):
        talks = [
            talk(session_id, name, (live, other) if name else (other, live))
            for session_id in session_ids
            for name in range(2)
        ]
        seen = await asyncio.gather(*talks)
    assert len(live.connections) + len(other.connections) > 8, "too little was broken"
    for number, session_id in enumerate(session_ids):
        log = [
            event.message_appended.message.content for event in live.sessions[session_id].events[1:]
        ]
        assert sorted(log) == sorted(f"{name}.{n}" for name in range(2) for n in range(wanted))
        for contents in seen[2 * number : 2 * number + 2]:
            assert contents == log[len(log) - len(contents) :]
    assert not tasks()
