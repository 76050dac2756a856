"""A session over a WebSocket: who may open it, and what goes both ways."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs
from websockets.exceptions import InvalidStatus

from services.serving.addresses import HostPort
from tests.gateway.conftest import ORIGIN, token
from tests.gateway.raw import exchange
from tests.gateway.sockets import Standing, append, attached, browsing, by_hand, gateway_over


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def gateway(keys: Path) -> AsyncIterator[Standing]:
    """One gateway for the tests that leave it as it was."""
    async with gateway_over(keys) as standing:
        yield standing


@pytest.fixture
def address(gateway: Standing) -> HostPort:
    return gateway.address


async def test_the_first_frames_are_those_of_the_stream(gateway: Standing) -> None:
    """welcome, attached, a snapshot, caughtUp: what a client of gRPC hears, for one session."""
    async with attached(gateway.address) as browser:
        kinds = [next(iter(frame)) for frame in browser.heard.frames]
        assert kinds == ["welcome", "attached", *["snapshot"] * 3, "caughtUp"]
        limits = browser.heard.last("welcome")["limits"]
        assert (limits["attachedSessions"], limits["frameBytes"]) == (1, 2**20)
        assert browser.heard.last("attached")["sessionId"] == "s1"
        assert browser.heard.last("snapshot")["last"]


async def test_the_upstream_is_asked_in_the_callers_name(gateway: Standing) -> None:
    """With the caller's own token, and the request id of the handshake."""
    given = {"X-Request-Id": "abc.DEF-1_2"}
    ends_at = int(time.time()) + 600
    async with browsing(gateway.address, additional_headers=given) as browser:
        await browser.hello("bob", claims={"exp": ends_at})
        await browser.hears("attached")
        assert browser.socket.response is not None
        assert browser.socket.response.headers["X-Request-Id"] == "abc.DEF-1_2"
    metadata = gateway.live.newest.metadata
    assert metadata["x-request-id"] == "abc.DEF-1_2"
    assert metadata["authorization"] == f"Bearer {token('bob', exp=ends_at)}"
    assert gateway.live.newest.heard[0].hello.token == ""


async def test_a_change_is_answered_and_shown(gateway: Standing) -> None:
    """One reply, one event, in either order."""
    async with attached(gateway.address) as browser, attached(gateway.address) as other:
        await browser.say(append("one", "hello"))
        reply = await browser.hears("reply")
        event = await browser.hears("event")
        assert (reply["opId"], reply["seq"]) == ("one", event["seq"])
        assert event["messageAppended"]["message"]["content"] == "hello"
        assert await other.hears("event") == event
        assert other.heard.of("reply") == []


async def test_changes_carry_what_had_been_seen(gateway: Standing) -> None:
    """`since` is filled in where the browser left it out."""
    seen = gateway.session.head
    async with attached(gateway.address) as browser:
        await browser.say(append("seen-1"), append("seen-2", since=seen - 1))
        await browser.hears("reply", 2)
    assert gateway.session.sinces["seen-1"] == {seen}
    assert gateway.session.sinces["seen-2"] == {seen - 1}


async def test_a_batch_is_its_frames_in_order(gateway: Standing) -> None:
    """Also when the first of them is hello."""
    async with browsing(gateway.address) as browser:
        await browser.say(
            {"hello": {"token": token()}},
            append("batch-1", "1"),
            {"ping": {"payload": "p"}},
            append("batch-2", "2"),
            batch=True,
        )
        await browser.hears("reply", 2)
        assert [reply["opId"] for reply in browser.heard.of("reply")] == ["batch-1", "batch-2"]
        assert (await browser.hears("pong")) == {"payload": "p"}


async def test_a_session_is_resumed_by_its_cursor(gateway: Standing) -> None:
    """hello{cursor} gives what came after it, and no snapshot."""
    head = gateway.session.head
    gateway.session.append("while away")
    cursor = f"{gateway.session.log_id}.{head}"
    async with attached(gateway.address, cursor=cursor) as browser:
        assert browser.heard.last("attached")["recovered"]
        assert browser.heard.seqs == [head + 1]
        assert browser.heard.of("snapshot") == []


async def test_a_snapshot_has_as_many_messages_as_asked_for(gateway: Standing) -> None:
    """hello{tail}."""
    gateway.session.append("a")
    gateway.session.append("b")
    async with attached(gateway.address, tail=1) as browser:
        (last,) = [part for part in browser.heard.of("snapshot") if part["last"]]
        assert [message["content"] for message in last["messages"]["messages"]] == ["b"]


async def test_a_turn_is_written_and_read(gateway: Standing) -> None:
    """begin, tokens, end from one; tokens and the ending event for both."""
    async with attached(gateway.address) as worker, attached(gateway.address) as reader:
        await worker.say({"beginTurn": {"opId": "turn"}})
        turn_id = (await worker.hears("reply"))["turn"]["turnId"]
        await worker.say(
            {"token": {"turnId": turn_id, "offset": 0, "text": "hel"}},
            {"token": {"turnId": turn_id, "offset": 3, "text": "lo"}},
            {"endTurn": {"opId": "end", "turnId": turn_id, "length": 5}},
        )
        ended = (await reader.hears("event", 2))["turnEnded"]
        assert (ended["outcome"], ended["message"]["content"]) == ("completed", "hello")
        assert "".join(each["text"] for each in reader.heard.of("token")) == "hello"


async def test_presence_goes_up(gateway: Standing) -> None:
    """It has no reply."""
    async with attached(gateway.address) as browser:
        await browser.say({"presence": {"typing": True}})
        await gateway.live.newest.hears("presence", 1)
    assert gateway.session.presence[-1] is True


async def test_goodbye_is_said_both_ways(gateway: Standing) -> None:
    """`close` is passed on; what was under way still comes, and then 1000."""
    async with attached(gateway.address) as browser:
        connection = gateway.live.newest
        await browser.say(append("bye"), {"close": {}})
        await connection.hears("close", 1)
        connection.cut()
        assert await browser.closes() == (1000, "")
        assert browser.heard.of("reply")[-1]["opId"] == "bye"


# --- who may -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frame",
    [
        {"hello": {}},
        {"hello": {"token": ""}},
        {"hello": {"token": "not.a.token"}},
        {"hello": {"token": "x" * 20_000}},
        {"hello": {"token": token(exp=int(time.time()) - 60)}},
        {"hello": {"token": token(aud="others")}},
        append("early"),
        {"ping": {}},
        {"close": {}},
    ],
)
async def test_the_first_frame_must_be_a_hello_with_a_good_token(
    gateway: Standing, frame: dict[str, Any]
) -> None:
    """Else nothing is asked upstream, and the code says: do not come back like this."""
    before = len(gateway.live.connections)
    async with browsing(gateway.address) as browser:
        await browser.say(frame)
        assert await browser.closes() == (4501, "UNAUTHENTICATED")
        goaway = browser.heard.last("goaway")
        assert (goaway["reason"], goaway["reconnect"]) == ("UNAUTHENTICATED", False)
    assert len(gateway.live.connections) == before


async def test_hello_must_come_in_time(keys: Path) -> None:
    """Who opens a WebSocket and says nothing does not keep it."""
    async with (
        gateway_over(keys, hello_seconds=0.05) as standing,
        browsing(standing.address) as browser,
    ):
        assert await browser.closes() == (4501, "UNAUTHENTICATED")
        assert "within 0.05 s" in browser.heard.last("goaway")["detail"]


async def test_a_hello_with_bad_fields_hears_of_each(address: HostPort) -> None:
    """In the farewell's sentence."""
    async with browsing(address) as browser:
        await browser.say({"hello": {"token": 1, "cursr": "x", "tail": "5"}})
        assert await browser.closes() == (4500, "INVALID_ARGUMENT")
        detail = browser.heard.last("goaway")["detail"]
        assert all(field in detail for field in ("token", "cursr", "tail"))


async def test_a_token_in_the_url_is_refused(address: HostPort) -> None:
    """URLs are written into logs: nobody shall get used to it."""
    with pytest.raises(InvalidStatus) as caught:
        async with browsing(address, f"s1?token={token()}"):
            pass
    assert caught.value.response.status_code == 400
    problem = json.loads(caught.value.response.body or b"")
    assert [each["field"] for each in problem["errors"]] == ["query"]


@pytest.mark.parametrize("origin", [ORIGIN, None, "http://{host}", "HTTP://{host}"])
async def test_pages_that_may_call_may_connect(address: HostPort, origin: str | None) -> None:
    """Those of the list, our own, and who is no browser."""
    given = origin.format(host=address) if origin else None
    async with browsing(address, origin=given) as browser:
        await browser.hello()
        await browser.hears("attached")


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "https://{host}", "http://{host}.evil.example", ""]
)
async def test_other_pages_may_not(address: HostPort, origin: str) -> None:
    """A problem instead of a WebSocket, before any frame."""
    headers = {"Origin": origin.format(host=address)}
    with pytest.raises(InvalidStatus) as caught:
        async with browsing(address, additional_headers=headers):
            pass
    answer = caught.value.response
    assert answer.status_code == 403
    assert json.loads(answer.body or b"")["code"] == "PERMISSION_DENIED"
    assert answer.headers["Cache-Control"] == "no-store"


async def test_a_service_acts_for_a_user(gateway: Standing) -> None:
    """The handshake's header names the user."""
    given = {"Sessiond-User": "auth0%7C%E2%82%AC"}
    async with browsing(gateway.address, additional_headers=given) as browser:
        await browser.hello("billing", claims={"role": "service"})
        await browser.hears("attached")
    assert gateway.live.newest.metadata["sessiond-user"] == "auth0%7C%E2%82%AC"


async def test_only_a_service_acts_for_others(address: HostPort) -> None:
    """4503: this caller may not."""
    given = {"Sessiond-User": "bob"}
    async with browsing(address, additional_headers=given) as browser:
        await browser.hello()
        assert await browser.closes() == (4503, "PERMISSION_DENIED")


async def test_a_session_that_is_not_there_closes_for_good(address: HostPort) -> None:
    """As one that is not the caller's: the goaway of Live, and its close code."""
    async with browsing(address, "nowhere") as browser:
        await browser.hello()
        assert await browser.closes() == (4504, "SESSION_NOT_FOUND")
        goaway = browser.heard.last("goaway")
        assert (goaway["reconnect"], goaway["sessionId"]) == (False, "nowhere")
        assert len(browser.heard.of("goaway")) == 1


# --- how long ------------------------------------------------------------------------------------


async def test_a_token_that_expires_ends_the_stream(address: HostPort) -> None:
    """With the reason. 5 s of leeway are granted to every token."""
    async with browsing(address) as browser:
        await browser.hello(claims={"exp": time.time() - 4})
        await browser.hears("caughtUp")
        assert await browser.closes() == (4501, "UNAUTHENTICATED")
        assert browser.heard.last("goaway")["detail"] == "The token has expired."


async def test_a_fresh_hello_keeps_the_stream(gateway: Standing) -> None:
    """It is passed on, answered by a welcome, and what it outlives is over."""
    async with browsing(gateway.address) as browser:
        await browser.hello(claims={"exp": time.time() - 4})
        await browser.hears("caughtUp")
        fresh = token(exp=int(time.time()) + 600)
        await browser.say({"hello": {"token": fresh}})
        await browser.hears("welcome", 2)
        await gateway.live.newest.hears("hello", 2)
        assert gateway.live.newest.heard[-1].hello.token == fresh
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.5):
                await browser.closes()
        await browser.say(append("kept"))
        assert (await browser.hears("reply"))["opId"] == "kept"


async def test_a_fresh_token_that_ends_sooner_counts(address: HostPort) -> None:
    """Whoever gives a shorter one means it."""
    async with attached(address) as browser:
        await browser.hello(claims={"exp": time.time() - 4})
        await browser.hears("welcome", 2)
        assert await browser.closes() == (4501, "UNAUTHENTICATED")


async def test_a_fresh_token_must_be_of_the_same_caller(address: HostPort) -> None:
    """A WebSocket never changes hands."""
    async with attached(address) as browser:
        await browser.hello("bob")
        assert await browser.closes() == (4503, "PERMISSION_DENIED")


async def test_a_bad_fresh_token_ends_the_stream(address: HostPort) -> None:
    """As it does over gRPC."""
    async with attached(address) as browser:
        await browser.say({"hello": {"token": "not.a.token"}})
        assert await browser.closes() == (4501, "UNAUTHENTICATED")


async def test_a_later_hello_cannot_resume(address: HostPort) -> None:
    """There is nothing to resume; the stream stays."""
    async with attached(address) as browser:
        await browser.hello(cursor="0.1")
        assert (await browser.hears("reply"))["error"]["errors"][0]["field"] == "cursor"
        await browser.say({"ping": {}})
        await browser.hears("pong")


# --- bad frames ----------------------------------------------------------------------------------


async def test_a_bad_change_is_refused_by_a_reply(address: HostPort) -> None:
    """Under its operation id, with every bad field; nothing else is harmed."""
    async with attached(address) as browser:
        await browser.say({"append": {"opId": "bad", "contnt": "x", "sender": 1}})
        reply = await browser.hears("reply")
        assert (reply["opId"], reply["error"]["code"]) == ("bad", "INVALID_ARGUMENT")
        assert {each["field"] for each in reply["error"]["errors"]} == {
            "contnt",
            "content",
            "sender",
        }
        await browser.say(append("good"))
        assert (await browser.hears("reply", 2))["opId"] == "good"


async def test_an_empty_operation_id_is_refused_by_its_json_name(address: HostPort) -> None:
    """By whichever part of ours that looks at it."""
    async with attached(address) as browser:
        await browser.say(append(""))
        reply = await browser.hears("reply")
        assert [each["field"] for each in reply["error"]["errors"]] == ["opId"]


async def test_another_sessions_frame_is_refused(gateway: Standing) -> None:
    """The path names the session, and its own id may stand in a frame."""
    async with attached(gateway.address) as browser:
        await browser.say({"append": {"opId": "a-s2", "content": "x", "sessionId": "s2"}})
        reply = await browser.hears("reply")
        assert [each["field"] for each in reply["error"]["errors"]] == ["sessionId"]
        await browser.say({"append": {"opId": "a-s1", "content": "x", "sessionId": "s1"}})
        assert (await browser.hears("reply", 2))["seq"] == gateway.session.head


async def test_the_same_operation_id_for_another_change_is_a_mismatch(gateway: Standing) -> None:
    """While the first waits for its reply, the second is refused here."""
    async with attached(gateway.address) as browser:
        gateway.live.newest.reads.clear()
        await browser.say(append("twice", "1"), append("twice", "2"))
        reply = await browser.hears("reply")
        assert reply["error"]["code"] == "IDEMPOTENCY_MISMATCH"
        gateway.live.newest.reads.set()
        assert (await browser.hears("reply", 2))["seq"] > 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        ("", "say something"),
        ("[]", "must be a JSON object"),
        ('{"nothing": {}}', "nothing is not a frame"),
        ('{"ping": {}, "close": {}}', "close must not stand beside ping"),
        ('{"ping": ' * 80 + "1" + "}" * 80, "nested deeper"),
        ('{"ping": {"payload": "a", "payload": "b"}}', "ping.payload must be given once"),
        ('{"\\ud800": {}}', "is not a frame"),
    ],
)
async def test_what_is_no_frame_closes(address: HostPort, text: str, words: str) -> None:
    """Nobody can answer it; the reason comes first, at length."""
    async with attached(address) as browser:
        await browser.socket.send(text)
        assert await browser.closes() == (4500, "INVALID_ARGUMENT")
        assert words in browser.heard.last("goaway")["detail"]


async def test_every_name_that_is_unknown_is_told(address: HostPort) -> None:
    """In a reply that belongs to no operation, before the goaway."""
    async with attached(address) as browser:
        await browser.say({"hallo": {}, "welt": 1})
        assert (await browser.closes())[0] == 4500
        reply = browser.heard.last("reply")
        assert [each["field"] for each in reply["error"]["errors"]] == ["hallo", "welt"]


async def test_binary_messages_close(address: HostPort) -> None:
    """Frames are text."""
    async with attached(address) as browser:
        await browser.socket.send(b'{"ping": {}}')
        assert await browser.closes() == (4500, "INVALID_ARGUMENT")


async def test_text_that_is_not_utf8_closes(address: HostPort) -> None:
    """1007, as WebSocket has it."""
    async with attached(address) as browser:
        await browser.socket.send(b"\xff\xfe", text=True)
        assert (await browser.closes())[0] == 1007


async def test_a_message_that_is_too_large_closes(gateway: Standing) -> None:
    """1009, as WebSocket has it, even while more of it is on its way; one at the limit passes."""
    async with attached(gateway.address) as browser:
        frame = json.dumps(append("large", "x" * (2**20 - 1000)))
        await browser.socket.send(frame + " " * (2**20 - len(frame)))
        assert (await browser.hears("reply"))["opId"] == "large"
        await browser.socket.send("x" * (2**20 + 1))
        assert (await browser.closes())[0] == 1009
    reader, writer = await by_hand(gateway.address)
    writer.write(b"\x81\xff" + (2**24).to_bytes(8) + bytes(4) + bytes(2**22))
    async with asyncio.timeout(10):
        closing = await reader.read()
    assert closing[:1] == b"\x88"
    assert int.from_bytes(closing[2:4]) == 1009
    writer.close()


async def test_a_frame_that_live_would_not_take_is_refused(address: HostPort) -> None:
    """It is a little larger there than here, and must not end the stream that all share."""
    async with attached(address) as browser:
        await browser.say(append("larger", "x" * (2**20 - 100)))
        reply = await browser.hears("reply")
        assert reply["error"]["code"] == "PAYLOAD_TOO_LARGE"


# --- the paths -----------------------------------------------------------------------------------


async def test_a_path_without_a_websocket_is_not_found(address: HostPort) -> None:
    """A problem, as for any request."""
    with pytest.raises(InvalidStatus) as caught:
        async with browsing(address, "s1/more"):
            pass
    problem = json.loads(caught.value.response.body or b"")
    assert (problem["status"], problem["code"]) == (404, "ROUTE_NOT_FOUND")


async def test_a_plain_request_is_told_to_upgrade(address: HostPort) -> None:
    """400, since the path is there."""
    answer = await exchange(address, "GET", "/api/ws/s1")
    assert (answer.status, answer.json()["code"]) == (400, "INVALID_ARGUMENT")
    assert "upgrade" in answer.json()["detail"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-WebSocket-Version": "12", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="},
        {"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "short"},
        {"Sec-WebSocket-Version": "13"},
    ],
)
async def test_a_handshake_that_is_none_gets_a_problem(
    address: HostPort, headers: dict[str, str]
) -> None:
    """In our words, and not in a library's."""
    asked = {"Connection": "Upgrade", "Upgrade": "websocket"} | headers
    answer = await exchange(address, "GET", "/api/ws/s1", headers=asked)
    assert answer.status in (400, 426)
    assert answer.json()["code"] == "INVALID_ARGUMENT"
    assert "RFC 6455" in answer.json()["detail"]


# --- what we learn of it -------------------------------------------------------------------------


async def test_a_websocket_is_told_in_one_line_and_counted(keys: Path) -> None:
    """When it has ended: who it was, for how long, with which code."""
    with capture_logs() as lines:
        async with gateway_over(keys) as standing:
            registry = standing.running.registry
            async with attached(standing.address):
                kind = {"kind": "websocket"}
                assert registry.get_sample_value("sessiond_http_streams_open", kind) == 1
            async with browsing(standing.address, "nowhere") as browser:
                await browser.hello("bob")
                await browser.closes()
    assert registry.get_sample_value("sessiond_http_streams_open", kind) == 0
    route = "/api/ws/{session_id}"
    for code in ("4504", "1000"):
        labels = {"route": route, "code": code}
        assert registry.get_sample_value("sessiond_http_websockets_total", labels) == 1
    (line,) = [each for each in lines if each["event"] == "websocket" and each["code"] == 4504]
    assert (line["route"], line["caller"], line["role"]) == (route, "bob", "user")
    assert "nowhere" not in json.dumps(lines)
    assert token()[:20] not in json.dumps(lines)
