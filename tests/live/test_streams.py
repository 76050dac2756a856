"""Connect, over real gRPC and rooms: what clients see of a session, and what one hurts by."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, NoReturn

import grpc
import pytest

from services.live.acquisition import RECENT
from services.live.rates import Rate
from services.live.request import Request
from services.live.stream import Stream
from sessiond.errors import Draining
from sessiond.session.access import Identity, MemberRole
from sessiond.session.changes import ShareSession
from sessiond.store.codec import decode_draft
from sessiond.v1 import live_pb2 as pb
from sessiond.v1 import session_pb2
from tests.live.kept import PATIENCE, Gate, Losses
from tests.live.standing import House
from tests.live.streaming import Client, serving, token


async def log_of(house: House) -> str:
    return f"{(await house.kept.head()).meta.log_id:016x}"


async def test_a_snapshot_then_every_change_as_it_happens(house: House) -> None:
    """A reader without a cursor gets the session as it is, and then all that happens to it."""
    async with serving(house) as live, live.client() as reader, live.client() as writer:
        await house.kept.make()
        await live.live.append("before")
        await reader.hello()
        attached = await reader.attach()
        assert (attached.recovered, attached.head_seq) == (False, 2)
        state = await reader.hear("snapshot")
        assert (state.seq, state.state.session.revision, state.last) == (2, 2, False)
        messages = await reader.hear("snapshot")
        assert [each.content for each in messages.messages.messages] == ["before"]
        assert messages.last
        assert (await reader.hear("caught_up")).seq == 2
        await writer.follow()
        op_id = await writer.append("after")
        event = await reader.hear("event")
        assert (event.seq, event.op_id) == (3, op_id)
        assert event.message_appended.message.content == "after"
        seen = {(await writer.frame()).WhichOneof("frame") for _ in range(2)}
        assert seen == {"reply", "event"}


async def test_a_cursor_gives_every_event_after_it_and_nothing_else(house: House) -> None:
    """Who comes back misses nothing and sees nothing twice."""
    async with serving(house) as live, live.client() as reader:
        await house.kept.make()
        for number in range(5):
            await live.live.append(f"m{number}")
        await reader.hello()
        log_id = await log_of(house)
        attached = await reader.attach(cursor=f"{log_id}.3")
        assert (attached.recovered, attached.log_id) == (True, log_id)
        assert [(await reader.hear("event")).seq for _ in range(3)] == [4, 5, 6]
        assert (await reader.hear("caught_up")).seq == 6


async def test_old_events_come_from_store(house: House) -> None:
    """What the room does not hold any more is read in pages, and nobody sees the seam."""
    async with serving(house) as live, live.client() as reader:
        await house.kept.make()
        await asyncio.gather(*(live.live.append("x" * 2000) for _ in range(600)))
        await reader.hello()
        attached = await reader.attach(cursor=f"{await log_of(house)}.1")
        assert attached.recovered
        assert [(await reader.hear("event")).seq for _ in range(600)] == list(range(2, 602))
        await reader.hear("caught_up")


async def test_a_snapshot_reads_older_messages_from_store(house: House) -> None:
    """A tail is as long as was asked for, wherever its messages are."""
    async with serving(house) as live, live.client() as reader:
        await house.kept.make()
        await asyncio.gather(*(live.live.append("x" * 2000) for _ in range(600)))
        await reader.hello()
        await reader.attach(tail=500)
        found: list[int] = []
        while True:
            part = await reader.hear("snapshot")
            found.extend(message.seq for message in part.messages.messages)
            if part.last:
                break
        assert found == list(range(102, 602))


async def test_a_reader_that_is_overtaken_gets_a_snapshot_instead(house: House) -> None:
    """What it missed while it caught up is too much to keep for it; it is told, and is whole."""
    async with serving(house) as live, live.client() as reader:
        await house.kept.make()
        for _ in range(40):
            await live.live.append("x" * 200_000)
        await reader.hello()
        await reader.attach(cursor=f"{await log_of(house)}.1")
        # It reads no further: what gRPC and the outbox take is far less than what there is.
        for _ in range(10):
            await live.live.append("y" * 200_000)
        seqs: list[int] = []
        while (frame := await reader.frame()).WhichOneof("frame") == "event":
            seqs.append(frame.event.seq)
        assert seqs == list(range(2, 2 + len(seqs)))
        assert frame.reset.reason == "SLOW_READER"
        whole: list[int] = []
        while (frame := await reader.frame()).WhichOneof("frame") != "caught_up":
            if frame.reset.reason:
                whole.clear()  # overtaken again
            elif frame.snapshot.last:
                whole.append(frame.snapshot.seq)
        assert (whole, frame.caught_up.seq) == ([51], 51)


@pytest.mark.parametrize(
    ("cursor", "reason"),
    [
        ("damaged", "CURSOR_INVALID"),
        ("", "CURSOR_INVALID"),
        ("0123456789abcdef.1", "LOG_CHANGED"),
        ("{log_id}.77", "CURSOR_INVALID"),
    ],
)
async def test_a_cursor_that_cannot_be_served_gives_a_snapshot(
    house: House, cursor: str, reason: str
) -> None:
    """Never a partial replay: the reader is told why, and gets everything anew."""
    async with serving(house) as live, live.client() as reader:
        await house.kept.make()
        await live.live.append("hello")
        await reader.hello()
        cursor = cursor.format(log_id=await log_of(house))
        attached = await reader.attach(cursor=cursor)
        assert not attached.recovered
        assert (await reader.hear("reset")).reason == reason
        assert (await reader.hear("snapshot")).seq == 2


@pytest.mark.parametrize("session_id", ["s1", "never-made"])
async def test_not_yours_and_not_there_look_the_same(house: House, session_id: str) -> None:
    """A stranger learns nothing by attaching."""
    async with serving(house) as live, live.client("mallory") as stranger:
        await house.kept.make()
        await stranger.hello()
        await stranger.say(pb.ClientFrame(attach=pb.Attach(session_id=session_id)))
        goaway = await stranger.hear("goaway")
        assert (goaway.session_id, goaway.reason, goaway.reconnect, goaway.detail) == (
            session_id,
            "SESSION_NOT_FOUND",
            False,
            "There is no such session.",
        )


async def test_a_change_is_answered_once_however_often_it_is_sent(house: House) -> None:
    """The same operation id is the same change, on any stream."""
    async with serving(house) as live, live.client() as one, live.client() as two:
        await house.kept.make()
        for client in (one, two):
            await client.follow()
            await client.append("hello", "op1")
        assert (await one.until("reply")).seq == 2
        assert (await two.until("reply")).seq == 2
        await two.append("other", "op1")
        assert (await two.until("reply")).error.code == "IDEMPOTENCY_MISMATCH"


async def test_a_repeat_from_long_ago_is_found_by_since(house: House) -> None:
    """However many changes there were since, a stream's retry is answered as the first try."""
    async with serving(house) as live, live.client() as client:
        await house.kept.make()
        first = await live.live.append("first", "op1")
        for _ in range(2):  # more than wait in a room at once
            await asyncio.gather(*(live.live.append(f"m{n}") for n in range(600)))
        await client.follow()
        request = pb.AppendMessageRequest(session_id="s1", content="first", op_id="op1")
        await client.say(pb.ClientFrame(append=request, since=1))
        assert (await client.until("reply")).seq == first
        async with live.client("boss", role="admin") as other:
            await other.follow()
            await other.say(pb.ClientFrame(append=request, since=1))
            assert (await other.until("reply")).seq > 1200  # an equal key of another actor's
        request.content = "another"
        await client.say(pb.ClientFrame(append=request, since=1))
        assert (await client.until("reply")).error.code == "IDEMPOTENCY_MISMATCH"


async def test_a_repeat_that_names_no_since_is_known_after_a_takeover(house: House) -> None:
    """The next owner was loaded with fewer records, and recalls the others when it is asked."""
    await house.kept.make()
    async with serving(house) as live:
        first = await live.live.append("first", "op1")
        await asyncio.gather(*(live.live.append(f"m{n}") for n in range(RECENT + 50)))
    async with serving(house) as taker, taker.client() as client:
        await client.follow()
        await client.append("first", "op1")
        assert (await client.until("reply")).seq == first
        await client.append("new", "op2")
        assert (await client.until("reply")).seq == first + RECENT + 51


async def share(owner: Client, role: session_pb2.MemberRole.ValueType) -> None:
    """Make bob a member, or of another role."""
    request = pb.ShareSessionRequest(session_id="s1", user_id="bob", role=role, op_id=f"{role}")
    await owner.say(pb.ClientFrame(share=request))
    assert (await owner.until("reply")).seq


async def no_records(*span: Any, **more: Any) -> NoReturn:
    raise AssertionError("the past was read")


async def test_the_past_is_looked_through_for_who_may_make_the_change(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Access comes first: an editor who is a viewer by now is refused, whatever they did before.

    Or every change that a viewer may not make would let us read up to the whole session.
    """
    await house.kept.make()
    async with serving(house) as live, live.client() as alice:
        await alice.follow()
        await share(alice, session_pb2.MEMBER_ROLE_EDITOR)
        async with live.client("bob") as editor:
            await editor.follow()
            await editor.append("first", "b1")
            assert (await editor.until("reply")).seq == 3
        await share(alice, session_pb2.MEMBER_ROLE_VIEWER)
        await asyncio.gather(*(live.live.append(f"m{n}") for n in range(RECENT + 50)))
    async with serving(house) as taker, taker.client("bob") as viewer:
        await viewer.follow()
        monkeypatch.setattr(taker.live.store, "records", no_records)
        request = pb.AppendMessageRequest(session_id="s1", content="first", op_id="b1")
        for since in (1, 0):
            await viewer.say(pb.ClientFrame(append=request, since=since))
            assert (await viewer.until("reply")).error.code == "PERMISSION_DENIED"


async def test_who_may_do_it_no_more_once_the_past_was_read_is_refused(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading takes time, in which their role may have become another one."""
    await house.kept.make()
    async with serving(house) as live, live.client() as alice:
        await alice.follow()
        await share(alice, session_pb2.MEMBER_ROLE_EDITOR)
        async with live.client("bob") as bob:
            await bob.follow()
            await bob.append("first", "b1")
            await bob.until("reply")
        await asyncio.gather(*(live.live.append(f"m{n}") for n in range(RECENT + 50)))
    async with serving(house) as taker, taker.client() as alice, taker.client("bob") as bob:
        await alice.follow()
        await bob.follow()
        records, gate = taker.live.store.records, Gate()

        async def slowly(*span: Any, **more: Any) -> Sequence[bytes]:
            await gate()
            return await records(*span, **more)

        monkeypatch.setattr(taker.live.store, "records", slowly)
        request = pb.AppendMessageRequest(session_id="s1", content="first", op_id="b1")
        await bob.say(pb.ClientFrame(append=request, since=1))
        await gate.reached.wait()
        change = ShareSession("bob", MemberRole.VIEWER)
        asked = Request(change, Identity("alice"), "demote")
        held = await taker.live.rooms.enter("s1")
        await taker.live.rooms.submit("s1", held, asked)
        gate.opened.set()
        assert (await bob.until("reply")).error.code == "PERMISSION_DENIED"


async def test_a_repeat_is_found_however_much_lies_before_it(house: House) -> None:
    """The past is read about a MiB at a time, until the answer is there."""
    async with serving(house) as live, live.client() as client:
        await house.kept.make()
        for number in range(30):
            await live.live.append("x" * 100_000, f"large{number}")
        for _ in range(2):
            await asyncio.gather(*(live.live.append(f"m{n}") for n in range(600)))
        await client.follow()
        for number in (0, 15, 29):
            request = pb.AppendMessageRequest(
                session_id="s1", content="x" * 100_000, op_id=f"large{number}"
            )
            await client.say(pb.ClientFrame(append=request, since=1))
            assert (await client.until("reply")).seq == number + 2


async def test_large_messages_do_not_send_a_reader_away_that_catches_up(house: House) -> None:
    """What is shown of the past waits for room, however large its pieces are."""
    async with serving(house) as live, live.client() as reader:
        await house.kept.make()
        for _ in range(12):
            await live.live.append("x" * 500_000)
        await reader.hello()
        await reader.attach(cursor=f"{await log_of(house)}.1")
        assert [(await reader.hear("event")).seq for _ in range(12)] == list(range(2, 14))
        await reader.hear("caught_up")


async def test_one_that_floods_is_told_to_come_back_later(house: House) -> None:
    """Changes beyond a caller's rate are refused one by one, and other callers do not notice."""
    few = Rate(per_second=0.001, burst=2)
    async with serving(house, rate=few) as live, live.client() as client:
        await house.kept.make()
        await client.follow()
        for _ in range(3):
            await client.append("hello")
        replies = [await client.until("reply") for _ in range(3)]
        refused = [reply.error for reply in replies if reply.HasField("error")]
        assert [(error.code, error.retryable) for error in refused] == [("RATE_LIMITED", True)]
        assert refused[0].retry_after_ms > 0


async def test_a_refused_change_says_why_and_the_stream_goes_on(house: House) -> None:
    """An error is an answer like another."""
    async with serving(house) as live, live.client() as client:
        await house.kept.make()
        await client.follow()
        request = pb.AppendMessageRequest(session_id="s1", content="", op_id="op1")
        await client.say(pb.ClientFrame(append=request))
        reply = await client.hear("reply")
        assert reply.error.code == "INVALID_ARGUMENT"
        assert [error.field for error in reply.error.errors] == ["content"]
        await client.append("hello")
        assert (await client.until("reply")).seq == 2


async def test_a_deleted_session_is_gone_for_those_who_watch_it(house: House) -> None:
    """They are told, and the stream stays."""
    async with serving(house) as live, live.client() as client:
        await house.kept.make()
        await client.follow()
        await live.live.delete("d1")
        goaway = await client.hear("goaway")
        assert (goaway.reason, goaway.reconnect) == ("SESSION_NOT_FOUND", False)
        await client.say(pb.ClientFrame(ping=pb.Ping(payload="still here")))
        assert (await client.hear("pong")).payload == "still here"


async def test_a_detached_session_is_followed_no_longer(house: House) -> None:
    """Its goaway is the last that is heard of it, and it may be attached again."""
    async with serving(house) as live, live.client() as client:
        await house.kept.make()
        await client.follow()
        await client.say(pb.ClientFrame(detach=pb.Detach(session_id="s1")))
        assert (await client.hear("goaway")).reason == "NOT_ATTACHED"
        await live.live.append("unseen")
        assert (await client.attach()).head_seq == 2


async def test_a_client_that_never_reads_is_sent_away_alone(house: House) -> None:
    """Nobody else waits for it, and nothing of it stays behind."""
    async with serving(house) as live, live.client() as slow, live.client() as quick:
        await house.kept.make()
        await slow.follow()
        await quick.follow()
        for number in range(40):
            await live.live.append("x" * 200_000)
            assert (await quick.hear("event")).seq == number + 2
        # What gRPC holds for the reader comes first; then it learns where to resume.
        goaway = await slow.until("goaway")
        assert (goaway.session_id, goaway.reason, goaway.reconnect) == ("s1", "SLOW_READER", True)
        assert (await slow.hear("goaway")).session_id == ""
        assert await slow.ends() is grpc.StatusCode.UNAVAILABLE


async def test_a_client_that_does_not_even_read_its_farewell_is_cut(house: House) -> None:
    """Its call ends all the same, and what it held with it."""
    async with serving(house, farewell_seconds=0.05) as live, live.client() as slow:
        await house.kept.make()
        await slow.follow()
        for _ in range(40):
            await live.live.append("x" * 200_000)
        async with asyncio.timeout(PATIENCE):
            await live.streams.none()


async def test_a_client_that_vanishes_leaves_nothing_behind(house: House) -> None:
    """No subscriber, no task: the fixture looks for those."""
    async with serving(house) as live:
        await house.kept.make()
        async with live.client() as client:
            await client.follow()
            held = await live.live.rooms.enter("s1")
            assert (len(held.room.audience), held.users) == (1, 1)
        async with asyncio.timeout(PATIENCE):
            await live.streams.none()
        assert (len(held.room.audience), held.users) == (0, 0)


async def test_a_call_that_is_cancelled_again_while_it_ends_leaves_nothing_behind(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It happens when a client goes while its replica drains, and the drain waits for it."""
    carriers: list[asyncio.Task[object]] = []
    begin, close = Stream.begin, Stream.close

    def noted_begin(self: Stream, requests: AsyncIterator[bytes]) -> None:
        carrier = asyncio.current_task()
        assert carrier is not None
        carriers.append(carrier)
        begin(self, requests)

    async def slow_close(self: Stream) -> None:
        carriers[0].cancel()
        await asyncio.sleep(0)
        await close(self)

    monkeypatch.setattr(Stream, "begin", noted_begin)
    monkeypatch.setattr(Stream, "close", slow_close)
    async with serving(house) as live:
        await house.kept.make()
        async with live.client() as client:
            await client.follow()
            held = await live.live.rooms.enter("s1")
        async with asyncio.timeout(PATIENCE):
            await live.streams.none()
        assert (len(held.room.audience), held.users) == (0, 0)


async def test_goodbye_ends_the_stream_well(house: House) -> None:
    """A close is an end like any other's: OK."""
    async with serving(house) as live, live.client() as client:
        await client.hello()
        await client.say(pb.ClientFrame(close=pb.Close()))
        assert await client.ends() is grpc.StatusCode.OK


@pytest.mark.parametrize("data", [b"\xff\xff", b"", b"\x1a\x00" * 700_000])
async def test_what_is_no_frame_ends_the_stream_with_its_reason(house: House, data: bytes) -> None:
    """The client is told what is wrong, in a frame and in the status."""
    async with serving(house) as live, live.client() as client:
        await client.hello()
        await client.raw(data)
        goaway = await client.hear("goaway")
        assert (goaway.reason, goaway.reconnect) == ("INVALID_ARGUMENT", False)
        assert await client.ends() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_token_that_expires_ends_the_stream(house: House) -> None:
    """A right that has ended is none on an open stream either."""
    shift = [0.0]
    async with (
        serving(house, clock=lambda: time.time() + shift[0]) as live,
        live.client(exp=int(time.time()) + 600) as client,
    ):
        shift[0] = 604.9  # with the leeway of 5 seconds it is good for a tenth of one
        await client.hello()
        goaway = await client.hear("goaway")
        assert (goaway.reason, goaway.reconnect) == ("UNAUTHENTICATED", False)
        assert await client.ends() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_fresh_hello_keeps_the_stream(house: House) -> None:
    """A client that brings a new token in time goes on."""
    shift = [0.0]
    async with (
        serving(house, clock=lambda: time.time() + shift[0]) as live,
        live.client(exp=int(time.time()) + 600) as client,
    ):
        await client.hello()
        fresh = token("alice", exp=int(time.time()) + 5000)
        await client.say(pb.ClientFrame(hello=pb.Hello(token=fresh)))
        await client.hear("welcome")
        shift[0] = 1000.0
        again = token("alice", exp=int(time.time()) + 6000)
        await client.say(pb.ClientFrame(hello=pb.Hello(token=again)))
        await client.hear("welcome")


async def test_a_fresh_token_must_be_of_the_same_caller(house: House) -> None:
    """A stream is somebody's; it cannot become somebody else's."""
    async with serving(house) as live, live.client() as client:
        await client.hello()
        await client.say(pb.ClientFrame(hello=pb.Hello(token=token("mallory"))))
        assert (await client.hear("goaway")).reason == "PERMISSION_DENIED"


async def test_a_turn_over_streams(house: House) -> None:
    """A worker writes, a reader sees it grow, and the message is what counts."""
    agent = {"role": "agent", "agents": ["writer"]}
    async with serving(house) as live, live.client("w", **agent) as worker, live.client() as reader:
        await house.kept.make()
        await worker.follow()
        await reader.follow()
        begin = pb.ClientFrame(begin_turn=pb.BeginTurn(session_id="s1", op_id="b1"))
        await worker.say(begin)
        turn = (await worker.until("reply")).turn
        assert (turn.offset, turn.ended) == (0, False)
        for offset, text in ((0, "Hel"), (3, "lo")):
            piece = pb.WriteToken(session_id="s1", turn_id=turn.turn_id, offset=offset, text=text)
            await worker.say(pb.ClientFrame(token=piece))
        assert (await reader.until("token")).text == "Hello"
        hole = pb.WriteToken(session_id="s1", turn_id=turn.turn_id, offset=9, text="!")
        await worker.say(pb.ClientFrame(token=hole))
        refused = await worker.until("reply")
        assert (refused.op_id, refused.error.code) == ("b1", "INVALID_ARGUMENT")
        await worker.say(begin)
        assert (await worker.until("reply")).turn.offset == 5
        end = pb.EndTurn(session_id="s1", op_id="e1", turn_id=turn.turn_id, length=5)
        await worker.say(pb.ClientFrame(end_turn=end))
        assert (await worker.until("reply")).seq == 3
        ended = await reader.until("event")
        assert ended.turn_ended.message.content == "Hello"


async def test_who_joins_in_the_middle_of_a_turn_gets_the_text_so_far(house: House) -> None:
    """And then the rest, without a repeat."""
    agent = {"role": "agent", "agents": ["writer"]}
    async with serving(house) as live, live.client("w", **agent) as worker, live.client() as late:
        await house.kept.make()
        await worker.follow()
        await worker.say(pb.ClientFrame(begin_turn=pb.BeginTurn(session_id="s1", op_id="b1")))
        turn_id = (await worker.until("reply")).turn.turn_id
        piece = pb.WriteToken(session_id="s1", turn_id=turn_id, offset=0, text="Hello")
        await worker.say(pb.ClientFrame(token=piece))
        await worker.until("token")
        attached = await late.follow()
        assert [(turn.turn_id, turn.text) for turn in attached.turns] == [(turn_id, "Hello")]
        piece = pb.WriteToken(session_id="s1", turn_id=turn_id, offset=5, text=", you")
        await worker.say(pb.ClientFrame(token=piece))
        rest = await late.until("token")
        assert (rest.offset, rest.text) == (5, ", you")


@pytest.mark.parametrize("done", [True, False])
async def test_a_draft_of_unknown_fate_is_written_again_as_it_was(house: House, done: bool) -> None:
    """Stored or not at the first try: the pieces in etcd make the text, without a repeat."""
    agent = {"role": "agent", "agents": ["writer"]}
    async with serving(house) as live, live.client("w", **agent) as worker:
        await house.kept.make()
        await worker.follow()
        await worker.say(pb.ClientFrame(begin_turn=pb.BeginTurn(session_id="s1", op_id="b1")))
        turn_id = (await worker.until("reply")).turn.turn_id
        # A commit without records passes where releases do.
        losses = Losses(2, done)
        house.kept.before_release, house.kept.after_release = losses.before, losses.after

        async def stored() -> str:
            snapshot = await house.kept.snapshot("s1")
            assert snapshot is not None
            found = await house.kept.drafts("s1", turn_id, revision=snapshot.revision)
            return "".join(text for _, text in map(decode_draft, found))

        for offset in range(0, 50, 5):
            token = pb.WriteToken(session_id="s1", turn_id=turn_id, offset=offset, text="piece")
            await worker.say(pb.ClientFrame(token=token))

        async def whole() -> bool:
            return await stored() == "piece" * 10

        await house.kept.until(whole)
        end = pb.EndTurn(session_id="s1", op_id="e1", turn_id=turn_id, length=50)
        await worker.say(pb.ClientFrame(end_turn=end))
        assert (await worker.until("reply")).seq == 3
        assert (await stored(), losses.times) == ("", 0)


async def test_nothing_is_shown_or_answered_past_the_deadline(house: House) -> None:
    """Another may own the session by then. What was stored is seen by who comes back."""
    async with serving(house) as live, live.client() as client:
        await house.kept.make()
        await client.follow()
        house.kept.before_commit = gate = Gate()
        op_id = await client.append("late")
        await gate.reached.wait()
        live.live.clock.by += 1000
        gate.opened.set()
        goaway = await client.hear("goaway")
        assert (goaway.session_id, goaway.reason, goaway.reconnect) == ("s1", "SESSION_MOVED", True)
        assert (await client.attach(cursor=f"{await log_of(house)}.1")).recovered
        assert (await client.hear("event")).op_id == op_id
        await client.hear("caught_up")
        await client.append("late", op_id)
        assert (await client.hear("reply")).seq == 2


async def test_presence_is_told_to_those_who_are_here(house: House) -> None:
    """Who is here, who types, and who has gone."""
    async with serving(house) as live, live.client() as one:
        await house.kept.make()
        one.presence = True
        await one.follow()
        async with live.client("boss", role="admin") as two:
            await two.follow()
            typing = pb.UpdatePresence(session_id="s1", typing=True)
            await two.say(pb.ClientFrame(presence=typing))
            while True:
                here = await one.until("presence")
                if any(member.typing for member in here.members):
                    break
            assert {member.subject for member in here.members} == {"alice", "boss"}
        while (await one.until("presence")).count != 1:
            pass


async def test_a_drain_sends_everybody_elsewhere(house: House) -> None:
    """Clients are told to come back, and the drain waits until they have gone."""
    async with serving(house) as live, live.client() as client:
        await house.kept.make()
        await client.follow()
        draining = asyncio.create_task(live.streams.drain(Draining()))
        goaway = await client.until("goaway")
        assert (goaway.session_id, goaway.reason, goaway.reconnect) == ("", "DRAINING", True)
        await draining
        assert await client.ends() is grpc.StatusCode.UNAVAILABLE


async def test_a_thousand_attaches_and_no_more(house: House) -> None:
    """Each has its answer; those beyond the limit say so."""
    async with serving(house, attached_sessions=5) as live, live.client() as client:
        await client.hello()
        frames = [pb.ClientFrame(attach=pb.Attach(session_id=f"s{n}")) for n in range(10_000)]
        await client.say(*frames)
        reasons: dict[str, int] = {}
        for _ in frames:
            goaway = await client.hear("goaway")
            reasons[goaway.reason] = reasons.get(goaway.reason, 0) + 1
        assert set(reasons) <= {"SESSION_NOT_FOUND", "TOO_MANY_ATTACHED"}
        assert reasons["SESSION_NOT_FOUND"] >= 5


async def test_a_rewind_shows_everybody_the_session_anew(house: House) -> None:
    """Who asked gets the seq of it; all see it happen, then the session, and what follows."""
    async with serving(house) as live, live.client() as reader, live.client() as writer:
        await house.kept.make()
        for content in ("one", "two", "three"):
            await live.live.append(content)
        await reader.follow()
        await writer.follow()
        rewind = pb.RewindSessionRequest(session_id="s1", to_seq=2, op_id="r")
        await writer.say(pb.ClientFrame(rewind=rewind))
        assert (await writer.until("reply")).seq == 5
        for client in (reader, writer):
            if client is reader:
                assert (await client.hear("event")).rewound.to_seq == 2
            assert (await client.hear("reset")).reason == "REWOUND"
            state = await client.hear("snapshot")
            assert (state.seq, state.state.message_count, state.state.rewound_seq) == (5, 1, 5)
            messages = await client.hear("snapshot")
            assert [each.content for each in messages.messages.messages] == ["one"]
            assert messages.last
            assert (await client.hear("caught_up")).seq == 5
        await live.live.append("another way")
        for client in (reader, writer):
            assert (await client.hear("event")).seq == 6
        # Said again, it was done already, however far the session is by now.
        await writer.say(pb.ClientFrame(rewind=rewind, since=4))
        assert (await writer.hear("reply")).seq == 5


async def test_a_rewind_that_the_rules_refuse_changes_nothing(house: House) -> None:
    """No such event, a running turn, another revision, another's session: each has its name."""
    async with (
        serving(house) as live,
        live.client() as owner,
        live.client("w", role="agent", agents=["writer"]) as agent,
    ):
        await house.kept.make()
        await live.live.append("one")
        await owner.follow()
        await agent.follow()

        async def refused(client: Client, **fields: Any) -> str:
            asked: dict[str, Any] = {"session_id": "s1", "to_seq": 1, "op_id": secrets.token_hex(8)}
            asked |= fields
            await client.say(pb.ClientFrame(rewind=pb.RewindSessionRequest(**asked)))
            reply = await client.until("reply")
            return str(reply.error.code)

        for to_seq in (-1, 0, 3, 1 << 60):
            assert await refused(owner, to_seq=to_seq) == "INVALID_ARGUMENT"
        assert await refused(owner, expected_revision=1) == "STALE_REVISION"
        assert await refused(agent) == "PERMISSION_DENIED"
        begin = pb.BeginTurn(session_id="s1", op_id="t")
        await agent.say(pb.ClientFrame(begin_turn=begin))
        assert (await agent.until("reply")).turn.turn_id
        assert await refused(owner) == "TURN_ACTIVE"
        assert live.live.rooms.held("s1") is not None
        assert (await house.kept.head()).seq == 3
