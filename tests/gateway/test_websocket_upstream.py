"""A WebSocket while what is behind it, or before it, comes and goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from websockets.frames import Frame

from gateway.connections import BoundedHttp
from gateway.following import UNANSWERED_BYTES
from gateway.websocket_connections import BoundedWebSocket
from sessiond.v1 import store_pb2
from sessiond.v1.live_pb2 import Goaway, ServerFrame
from tests.gateway.conftest import token
from tests.gateway.sockets import (
    append,
    attached,
    browsing,
    by_hand,
    gateway_over,
    tasks,
    until,
)


async def test_a_live_that_dies_costs_nobody_anything(keys: Path) -> None:
    """The socket stays; every event comes once; what had no reply is said again, and answered."""
    async with gateway_over(keys, lives=2) as gateway:
        async with attached(gateway.address) as browser:
            await browser.say(append("before"))
            await browser.hears("reply")
            gateway.live.newest.deaf = True
            await browser.say(append("in doubt"))
            await gateway.session.reached(3)
            gateway.session.append("by another")
            await browser.say(append("not heard"))
            await gateway.live.stop()
            await browser.hears("reply", 3)
            await browser.hears("event", 4)
        assert browser.heard.seqs == [2, 3, 4, 5]
        replies = {reply["opId"]: reply["seq"] for reply in browser.heard.of("reply")}
        assert sorted(replies) == ["before", "in doubt", "not heard"]
        assert replies["in doubt"] == 3
        assert gateway.session.head == 5
        for once in ("welcome", "attached", "caughtUp"):
            assert len(browser.heard.of(once)) == 1
        assert browser.heard.of("goaway") == []
        resumed = gateway.lives[1].newest.heard[1].attach
        assert resumed.cursor == f"{gateway.session.log_id}.2"


async def test_a_session_that_moves_is_attached_again(keys: Path) -> None:
    """A goaway for the session that says "come back" never reaches the browser."""
    async with gateway_over(keys) as gateway, attached(gateway.address) as browser:
        for round_ in range(3):
            gateway.session.move()
            gateway.session.append("moved")
            await browser.say(append(f"r{round_}"))
            await browser.hears("reply", round_ + 1)
        await browser.hears("event", 6)
        assert browser.heard.seqs == [2, 3, 4, 5, 6, 7]
        assert browser.heard.of("goaway") == []


async def test_a_live_that_drains_is_left_for_another(keys: Path) -> None:
    """A goaway for the stream, and nobody there any more: the next replica is asked."""
    async with gateway_over(keys, lives=2) as gateway, attached(gateway.address) as browser:
        gateway.live.newest.goaway("DRAINING", retry_after_ms=1)
        await gateway.live.stop()
        await browser.say(append("a"))
        await browser.hears("reply")
        assert browser.heard.of("goaway") == []


async def test_a_live_that_says_nothing_is_left_for_another(keys: Path) -> None:
    """It may be stopped, and would take a connection all the same."""
    async with gateway_over(keys, lives=2, upstream_seconds=0.1) as gateway:
        gateway.live.silent = True
        gateway.sessions["s1"].refuse["attach"] = []
        async with browsing(gateway.address) as browser:
            gateway.live.connections.clear()
            await browser.hello()
            await gateway.live.came.wait()
            gateway.live.newest.deaf = True
            await browser.hears("caughtUp")
        assert len(gateway.lives[1].connections) == 1


async def test_a_browser_waits_for_a_live_as_long_as_it_likes(keys: Path) -> None:
    """Whatever it says meanwhile is done when one comes."""
    async with gateway_over(keys) as gateway:
        await gateway.live.stop()
        async with browsing(gateway.address) as browser:
            await browser.hello()
            await browser.say(append("early"), {"ping": {"payload": "here"}})
            assert (await browser.hears("pong")) == {"payload": "here"}
            await gateway.live.start()
            assert (await browser.hears("reply"))["seq"] == 2


async def test_a_browser_may_leave_while_there_is_no_live(keys: Path) -> None:
    """Nobody is there to say goodbye to."""
    async with gateway_over(keys) as gateway:
        await gateway.live.stop()
        async with browsing(gateway.address) as browser:
            await browser.hello()
            await browser.say({"close": {}})
            assert await browser.closes() == (1000, "")


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("PERMISSION_DENIED", 4503),
        ("SESSION_NOT_FOUND", 4504),
        ("UNAUTHENTICATED", 4501),
        ("INVALID_ARGUMENT", 4500),
        ("A_NEW_ONE", 4500),
    ],
)
async def test_a_goaway_for_good_closes_with_its_code(keys: Path, reason: str, code: int) -> None:
    """A reason that this gateway does not know yet still says "do not come back"."""
    async with gateway_over(keys) as gateway, attached(gateway.address) as browser:
        gateway.live.newest.goaway(reason, reconnect=False)
        assert await browser.closes() == (code, reason)
        assert [each["reason"] for each in browser.heard.of("goaway")] == [reason]


async def test_who_is_too_slow_for_live_is_told_to_come_back(keys: Path) -> None:
    """4007, with the cursor to resume from."""
    async with gateway_over(keys) as gateway, attached(gateway.address) as browser:
        gateway.session.append("a")
        await browser.hears("event")
        gateway.live.newest.goaway("SLOW_READER", retry_after_ms=100)
        assert await browser.closes() == (4007, "SLOW_READER")
        goaway = browser.heard.last("goaway")
        assert goaway["cursor"] == f"{gateway.session.log_id}.2"
        assert (goaway["reconnect"], goaway["retryAfterMs"]) == (True, 100)


async def test_another_log_means_a_reset(keys: Path) -> None:
    """What the browser holds is void, and it hears so before the snapshot."""
    async with gateway_over(keys) as gateway, attached(gateway.address) as browser:
        gateway.session.log_id = "00000000000000bb"
        gateway.session.move()
        await browser.hears("caughtUp", 2)
        kinds = [next(iter(frame)) for frame in browser.heard.frames]
        assert kinds[6:] == ["attached", "reset", *["snapshot"] * 3, "caughtUp"]
        assert browser.heard.last("reset")["reason"] == "LOG_CHANGED"


async def test_a_fresh_token_may_cross_with_the_end_of_the_old_one(keys: Path) -> None:
    """Live ended the stream for the old one: another is opened with the fresh one."""
    async with gateway_over(keys) as gateway, attached(gateway.address) as browser:
        first = gateway.live.newest
        fresh = token(nonce=1)
        await browser.say({"hello": {"token": fresh}})
        await browser.hears("welcome", 2)
        first.goaway("UNAUTHENTICATED", reconnect=False)
        await browser.say(append("a"))
        await browser.hears("reply")
        assert gateway.live.newest is not first
        assert gateway.live.newest.metadata["authorization"] == f"Bearer {fresh}"


async def test_a_token_is_the_streams_also_where_the_owner_minds_it(keys: Path) -> None:
    """An owner behind the Live that we speak to says so for the session alone."""
    async with gateway_over(keys) as gateway, attached(gateway.address) as browser:
        first = gateway.live.newest
        fresh = token(nonce=1)
        await browser.say({"hello": {"token": fresh}})
        await browser.hears("welcome", 2)
        for connection in (first, first):
            gone = Goaway(session_id="s1", reason="UNAUTHENTICATED", reconnect=False)
            connection.say(ServerFrame(goaway=gone))
        await browser.say(append("a"))
        await browser.hears("reply")
        gone = Goaway(session_id="s1", reason="UNAUTHENTICATED", reconnect=False)
        gateway.live.newest.say(ServerFrame(goaway=gone))
        assert await browser.closes() == (4501, "UNAUTHENTICATED")


async def test_a_turn_goes_on_at_another_live(keys: Path) -> None:
    """The begin is said again, and its reply says where to go on; nobody reads anything twice."""
    async with (
        gateway_over(keys, lives=2) as gateway,
        attached(gateway.address) as worker,
        attached(gateway.address) as reader,
    ):
        await worker.say({"beginTurn": {"opId": "turn"}})
        turn_id = (await worker.hears("reply"))["turn"]["turnId"]
        await worker.say({"token": {"turnId": turn_id, "offset": 0, "text": "hello "}})
        await reader.hears("token")
        assert gateway.session.turn is not None
        gateway.session.turn.stored = 3
        gateway.session.turn.text = "hel"
        await gateway.live.stop()
        again = (await worker.hears("reply", 2))["turn"]
        assert (again["turnId"], again["offset"], again["ended"]) == (turn_id, 3, False)
        await until(lambda: len(gateway.session.attachments) == 2)
        await worker.say(
            {"token": {"turnId": turn_id, "offset": 3, "text": "lo world"}},
            {"endTurn": {"opId": "end", "turnId": turn_id, "length": 11}},
        )
        await reader.hears("event", 2)
        assert "".join(each["text"] for each in reader.heard.of("token")) == "hello world"


# --- slow, flooding, vanishing -------------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who reads nothing for a fifth of a second has stalled."""
    monkeypatch.setattr(BoundedWebSocket, "stall_seconds", 0.2)


async def test_a_browser_that_does_not_read_is_sent_away_alone(keys: Path, impatient: None) -> None:
    """4007 says "come back"; its neighbour on the same upstream connection misses nothing."""
    async with (
        gateway_over(keys) as gateway,
        attached(gateway.address) as slow,
        attached(gateway.address) as reader,
    ):
        stalled = gateway.live.connections[0]
        sent = 0
        while not stalled.closed.is_set():
            gateway.session.append("x" * 200_000)
            sent += 1
            await reader.hears("event", sent)
            assert sent < 1000, "nobody minds"
        code, reason = await slow.closes()
        assert (code, reason) == (4007, "SLOW_READER")
        await reader.say(append("still here"))
        await reader.hears("reply")
        assert reader.heard.seqs == [*range(2, sent + 3)]


async def test_a_browser_that_only_pings_is_not_read_either(keys: Path, impatient: None) -> None:
    """Each ping costs an answer, and answers that nobody reads must not pile up here."""
    async with gateway_over(keys) as gateway:
        reader, writer = await by_hand(gateway.address)
        ping = b"\x89\xfd" + bytes(4) + bytes(125)
        with pytest.raises(ConnectionError):
            async with asyncio.timeout(20):
                while True:
                    writer.write(ping * 1000)
                    await writer.drain()
        reader.feed_eof()
        writer.transport.abort()


async def test_a_browser_that_floods_is_not_read(keys: Path) -> None:
    """What Live does not take stays with its sender."""
    async with gateway_over(keys) as gateway, attached(gateway.address) as browser:
        gateway.live.newest.reads.clear()
        text = "x" * 100_000
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 500:
                async with asyncio.timeout(2):
                    await browser.say({"token": {"turnId": "t", "offset": 0, "text": text}})
                sent += 1
        assert sent < 250
        gateway.live.newest.reads.set()
        await gateway.live.newest.hears("token", sent)


async def test_changes_that_wait_for_their_replies_have_a_bound(keys: Path) -> None:
    """Beyond it they are refused, as any that come too fast, and may be said again later."""
    async with gateway_over(keys) as gateway, attached(gateway.address) as browser:
        gateway.live.newest.deaf = True
        size = 500_000
        for number in range(10):
            await browser.say(append(f"n{number}", "x" * size))
        refused = await browser.hears("reply", 10 - UNANSWERED_BYTES // size)
        assert (refused["error"]["code"], refused["error"]["retryable"]) == ("RATE_LIMITED", True)
        gateway.live.newest.cut()
        await browser.until(lambda heard: len(heard.of("reply")) == 10)
        await browser.say(append("n9", "x" * size))
        assert (await browser.hears("reply", 11))["seq"] > 0


async def test_a_browser_that_vanishes_leaves_nothing_behind(keys: Path) -> None:
    """No task, no upstream, no count, whether it had said hello, or much, or nothing."""
    async with gateway_over(keys) as gateway:
        before = tasks()
        async with AsyncExitStack() as stack:
            silent = await stack.enter_async_context(browsing(gateway.address))
            still = await stack.enter_async_context(attached(gateway.address))
            busy = await stack.enter_async_context(attached(gateway.address))
            await busy.say(*(append(f"b{number}") for number in range(50)))
            for browser in (silent, still, busy):
                browser.socket.transport.abort()
            for connection in gateway.live.connections:
                await connection.closed.wait()
            await until(lambda: tasks() <= before)
            count = partial(
                gateway.running.registry.get_sample_value,
                "sessiond_http_streams_open",
                {"kind": "websocket"},
            )
            await until(lambda: count() == 0)


async def test_a_browser_that_vanishes_while_it_is_not_read_leaves_nothing_behind(
    keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody hears it go; but a Live that takes nothing is left, and then somebody listens."""
    monkeypatch.setattr("gateway.live_stream.WRITE_SECONDS", 0.3)
    async with gateway_over(keys) as gateway:
        before = tasks()
        async with attached(gateway.address) as browser:
            gateway.live.newest.reads.clear()
            text = "x" * 100_000
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    while True:
                        await browser.say({"token": {"turnId": "t", "offset": 0, "text": text}})
            browser.socket.transport.abort()
            await until(lambda: tasks() <= before)


async def test_a_browser_that_leaves_properly_leaves_nothing_behind(keys: Path) -> None:
    """By WebSocket's own close, without a frame."""
    async with gateway_over(keys) as gateway:
        before = tasks()
        async with attached(gateway.address):
            pass
        await gateway.live.newest.closed.wait()
        await until(lambda: tasks() <= before)


async def test_a_browser_that_does_not_answer_pings_is_gone(keys: Path) -> None:
    """Its machine may have lost power."""
    async with gateway_over(keys, ping_seconds=0.05, pong_seconds=0.05) as gateway:
        reader, writer = await by_hand(gateway.address)
        async with asyncio.timeout(10):
            received = b""
            with pytest.raises(ConnectionError):
                while chunk := await reader.read(1000):
                    received += chunk
                raise ConnectionError
        assert received.startswith(b"\x89\x04"), "no ping"
        writer.close()


async def test_a_browser_that_answers_pings_stays(
    keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it says nothing."""
    pongs = []
    answered = BoundedWebSocket.handle_pong

    def handle_pong(self: BoundedWebSocket, event: Frame) -> None:
        pongs.append(event)
        answered(self, event)

    monkeypatch.setattr(BoundedWebSocket, "handle_pong", handle_pong)
    # The times of HTTP are over with the handshake.
    monkeypatch.setattr(BoundedHttp, "head_seconds", 0.1)
    async with (
        gateway_over(keys, ping_seconds=0.02, pong_seconds=5.0) as gateway,
        attached(gateway.address) as browser,
    ):
        await until(lambda: len(pongs) > 10)
        await browser.say({"ping": {}})
        await browser.hears("pong")


@pytest.mark.parametrize("fragment", [b"", b"x"])
async def test_a_message_in_endless_pieces_is_refused(keys: Path, fragment: bytes) -> None:
    """Empty ones weigh nothing, and must not come without an end."""
    async with gateway_over(keys) as gateway, attached(gateway.address) as browser:

        def pieces() -> Iterator[bytes]:
            yield b"{"
            for _ in range(10_000):
                yield fragment

        async def slices() -> AsyncIterator[bytes]:
            for piece in pieces():
                yield piece

        with pytest.raises(Exception, match="1009"):
            await browser.socket.send(slices(), text=True)
            await browser.socket.recv()


async def test_a_handshake_waits_for_the_answer_before_it(keys: Path) -> None:
    """On one connection: the answer comes whole, and then the connection ends."""
    async with gateway_over(keys) as gateway:
        come, answer = asyncio.Event(), asyncio.Event()

        async def answers(_: object) -> store_pb2.GetSessionResponse:
            come.set()
            await answer.wait()
            return store_pb2.GetSessionResponse()

        gateway.stores[0].answers["GetSession"] = answers
        reader, writer = await asyncio.open_connection(gateway.address.host, gateway.address.port)
        writer.write(
            f"GET /api/sessions/s1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token()}\r\n\r\n"
            "GET /api/ws/s1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {'A' * 22}==\r\n\r\n".encode()
        )
        async with asyncio.timeout(10):
            await come.wait()
            answer.set()
            found = await reader.read()
        assert found.startswith(b"HTTP/1.1 200 OK")
        assert found.endswith(b"}")
        writer.close()


# --- drains --------------------------------------------------------------------------------------


@asynccontextmanager
async def draining(gateway: AsyncExitStack) -> AsyncIterator[None]:
    """The gateway stops beside the block."""
    stopping = asyncio.create_task(gateway.aclose())
    try:
        yield
    finally:
        await stopping


async def test_a_gateway_that_stops_sends_its_browsers_elsewhere(keys: Path) -> None:
    """4008, with the cursor; those that had not said hello as well; and nobody waits long."""
    stack = AsyncExitStack()
    gateway = await stack.enter_async_context(gateway_over(keys))
    async with attached(gateway.address) as browser, browsing(gateway.address) as early:
        gateway.running.health.begin_drain(5.0)
        async with asyncio.timeout(4), draining(stack):
            assert await browser.closes() == (4008, "DRAINING")
            assert await early.closes() == (4008, "DRAINING")
        goaway = browser.heard.last("goaway")
        assert (goaway["reconnect"], goaway["cursor"]) == (True, f"{gateway.session.log_id}.1")


async def test_a_browser_that_does_not_read_cannot_hold_up_the_stop(
    keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has as long as the drain."""
    stuck = asyncio.Event()
    pause = BoundedWebSocket.pause_writing

    def pause_writing(self: BoundedWebSocket) -> None:
        stuck.set()
        pause(self)

    monkeypatch.setattr(BoundedWebSocket, "pause_writing", pause_writing)
    stack = AsyncExitStack()
    gateway = await stack.enter_async_context(gateway_over(keys))
    async with attached(gateway.address) as slow:
        while not stuck.is_set():
            gateway.session.append("x" * 500_000)
            await asyncio.sleep(0)
        gateway.running.health.begin_drain(1.0)
        async with asyncio.timeout(10):
            await stack.aclose()
        slow.socket.transport.abort()
