"""A session as server-sent events."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from gateway.connections import BoundedHttp
from gateway.event_stream import ServerSent
from services.serving.addresses import HostPort
from sessiond.v1 import event_pb2
from tests.client.sessions import Attachment, RunningTurn
from tests.gateway.conftest import ORIGIN, client_of
from tests.gateway.listeners import listening
from tests.gateway.raw import exchange
from tests.gateway.sockets import Standing, gateway_over, tasks, until

EVENTS = "/api/sessions/s1/events"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def gateway(keys: Path) -> AsyncIterator[Standing]:
    """One gateway for the tests that leave it as it was."""
    async with gateway_over(keys) as standing:
        yield standing


@pytest.fixture
def address(gateway: Standing) -> HostPort:
    return gateway.address


async def test_a_session_is_told_in_the_frames_of_the_stream(gateway: Standing) -> None:
    """The same JSON as over a WebSocket; ids stand where a reader can resume, and nowhere else."""
    async with listening(gateway.address, EVENTS) as listener:
        await listener.hears("caughtUp")
        head = gateway.session.head
        gateway.session.append("hello")
        event = await listener.hears("event")
    assert listener.kinds == ["attached", *["snapshot"] * 3, "caughtUp", "event"]
    log_id = gateway.session.log_id
    ids = [event.id for event in listener.events]
    assert ids == [None, None, None, f"{log_id}.{head}", None, f"{log_id}.{head + 1}"]
    assert event["event"]["messageAppended"]["message"]["content"] == "hello"
    assert listener.retries == [1000]
    assert listener.response.headers["x-accel-buffering"] == "no"
    assert listener.response.headers["cache-control"] == "no-store"


async def test_tokens_and_presence_have_no_id(gateway: Standing) -> None:
    """Nobody can resume from what is not kept."""
    async with listening(gateway.address, EVENTS) as listener:
        await listener.hears("caughtUp")
        begun = event_pb2.TurnBegun(turn_id="t", agent_id="assistant")
        nobody = Attachment(gateway.session, lambda _: None, lambda: None)
        seq = gateway.session.happen(event_pb2.Event(turn_begun=begun))
        gateway.session.turn = RunningTurn("t", "op", seq, nobody)
        gateway.session.write("hel")
        gateway.session.write("lo")
        gateway.session.end_turn(event_pb2.TURN_OUTCOME_COMPLETED)
        await listener.hears("event", 2)
    assert [event.id for event in listener.events if event.kind == "token"] == [None] * 2
    assert "".join(each["token"]["text"] for each in listener.of("token")) == "hello"


@pytest.mark.parametrize("how", ["header", "query", "both"])
async def test_a_reader_resumes_after_its_last_event(gateway: Standing, how: str) -> None:
    """By the header, else by the cursor in the URL, which is older."""
    head = gateway.session.append("seen")
    gateway.session.append("new")
    cursor = f"{gateway.session.log_id}.{head}"
    query = {"query": f"?cursor={cursor}", "both": f"?cursor={gateway.session.log_id}.1"}
    headers = {} if how == "query" else {"Last-Event-ID": cursor}
    path = EVENTS + query.get(how, "")
    async with listening(gateway.address, path, headers=headers) as listener:
        await listener.hears("caughtUp")
    assert listener.of("attached")[0]["attached"]["recovered"]
    assert [each["event"]["seq"] for each in listener.of("event")] == [head + 1]
    assert listener.of("snapshot") == []


async def test_a_snapshot_has_as_many_messages_as_asked_for(gateway: Standing) -> None:
    """?tail."""
    gateway.session.append("a")
    gateway.session.append("b")
    async with listening(gateway.address, f"{EVENTS}?tail=1") as listener:
        await listener.hears("caughtUp")
    messages = listener.of("snapshot")[-1]["snapshot"]["messages"]["messages"]
    assert [message["content"] for message in messages] == ["b"]


def test_line_breaks_in_an_object_that_is_kept_as_text_do_not_break_an_event() -> None:
    """A gRPC caller may have written it over several lines."""
    event = ServerSent("event", b'{"a":\r\n 1,\n"b":"x\\ny"}', "c.1")
    assert event.encoded() == b'event: event\nid: c.1\ndata: {"a":   1, "b":"x\\ny"}\n\n'


async def test_such_an_object_arrives(gateway: Standing) -> None:
    """As one event, and as the object that it was."""
    async with listening(gateway.address, EVENTS) as listener:
        await listener.hears("caughtUp")
        updated = event_pb2.SessionUpdated()
        updated.user_inputs.text = '{\n  "a": 1\r\n}'
        gateway.session.happen(event_pb2.Event(session_updated=updated))
        event = await listener.hears("event")
    assert event["event"]["sessionUpdated"]["userInputs"] == {"a": 1}


# --- refusals ------------------------------------------------------------------------------------


async def test_a_session_that_is_not_there_is_a_plain_404(address: HostPort) -> None:
    """A failure that comes first is an answer like any other."""
    async with client_of(address) as client:
        answer = await client.get("/api/sessions/nowhere/events")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "SESSION_NOT_FOUND"


async def test_without_a_token_nothing_is_told(address: HostPort) -> None:
    """401, as everywhere; the token stands in the header and never in the URL."""
    answer = await exchange(address, "GET", EVENTS, headers={"Authorization": ""})
    assert answer.status == 401


@pytest.mark.parametrize(
    ("path", "field"),
    [
        (f"{EVENTS}?tail=-1", "tail"),
        (f"{EVENTS}?tail=1001", "tail"),
        (f"{EVENTS}?tail=x", "tail"),
        (f"{EVENTS}?token=x", "token"),
        ("/api/sessions/a%20b/events", "sessionId"),
        ("/api/sessions/%ff/events", "sessionId"),
    ],
)
async def test_a_bad_request_names_every_bad_field(
    address: HostPort, path: str, field: str
) -> None:
    """As everywhere."""
    answer = await exchange(address, "GET", path)
    assert answer.status == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_without_a_live_it_is_not_available(keys: Path) -> None:
    """503 after the time that Live may take, instead of a stream that tells nothing."""
    async with gateway_over(keys, upstream_seconds=0.2) as gateway:
        await gateway.live.stop()
        answer = await exchange(gateway.address, "GET", EVENTS)
        assert (answer.status, answer.json()["code"]) == (503, "UNAVAILABLE")


async def test_an_allowed_page_may_read(address: HostPort) -> None:
    """CORS as on every answer."""
    async with listening(address, EVENTS, headers={"Origin": ORIGIN}) as listener:
        assert listener.response.headers["access-control-allow-origin"] == ORIGIN


async def test_head_asks_for_the_headers_alone(address: HostPort) -> None:
    """And gets an end."""
    async with client_of(address) as client:
        answer = await client.head(EVENTS)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")


# --- how it goes on, and ends --------------------------------------------------------------------


async def test_a_live_that_dies_costs_nobody_anything(keys: Path) -> None:
    """The response goes on, with each event once."""
    async with (
        gateway_over(keys, lives=2) as gateway,
        listening(gateway.address, EVENTS) as listener,
    ):
        await listener.hears("caughtUp")
        gateway.session.append("before")
        await listener.hears("event")
        await gateway.live.stop()
        gateway.session.append("while nobody was there")
        await gateway.lives[1].came.wait()
        gateway.session.append("after")
        await listener.hears("event", 3)
        assert [each["event"]["seq"] for each in listener.of("event")] == [2, 3, 4]
        assert len(listener.of("attached")) == 1


async def test_what_ends_for_good_ends_with_a_goaway(keys: Path) -> None:
    """And then the response is complete."""
    async with gateway_over(keys) as gateway, listening(gateway.address, EVENTS) as listener:
        await listener.hears("caughtUp")
        gateway.live.newest.goaway("SESSION_NOT_FOUND", reconnect=False)
        await listener.ends()
        goaway = listener.events[-1]
        assert (goaway.kind, goaway.id) == ("goaway", None)
        assert goaway.data["goaway"]["reason"] == "SESSION_NOT_FOUND"
        assert not goaway.data["goaway"]["reconnect"]


async def test_a_token_that_expires_ends_the_stream(keys: Path) -> None:
    """With the reason; 5 s of leeway are granted to every token."""
    async with gateway_over(keys) as gateway:
        async with listening(gateway.address, EVENTS, exp=time.time() - 4) as listener:
            await listener.ends()
        assert listener.events[-1].data["goaway"]["reason"] == "UNAUTHENTICATED"


async def test_silence_is_filled_with_comments(keys: Path) -> None:
    """So that nothing between us and the reader takes it for dead."""
    async with (
        gateway_over(keys, keep_alive_seconds=0.02) as gateway,
        listening(gateway.address, EVENTS) as listener,
    ):
        await listener.until(lambda heard: heard.comments >= 3)


async def test_a_gateway_that_stops_sends_its_readers_elsewhere(keys: Path) -> None:
    """A goaway that says "come back", and an end."""
    stack = AsyncExitStack()
    gateway = await stack.enter_async_context(gateway_over(keys))
    async with listening(gateway.address, EVENTS) as listener:
        await listener.hears("caughtUp")
        gateway.running.health.begin_drain(5.0)
        stopping = asyncio.create_task(stack.aclose())
        await listener.ends()
        goaway = listener.events[-1].data["goaway"]
        assert (goaway["reason"], goaway["reconnect"]) == ("DRAINING", True)
        async with asyncio.timeout(4):
            await stopping


async def test_a_reader_that_leaves_leaves_nothing_behind(keys: Path) -> None:
    """No task, no upstream, no count; one line says that it was here."""
    with capture_logs() as lines:
        async with gateway_over(keys) as gateway:
            before = tasks()
            async with listening(gateway.address, EVENTS) as listener:
                await listener.hears("caughtUp")
                registry = gateway.running.registry

                def count() -> float | None:
                    kind = {"kind": "events"}
                    return registry.get_sample_value("sessiond_http_streams_open", kind)

                assert count() == 1
            await gateway.live.newest.closed.wait()
            # The request itself ends after what it had made: the server's task, not one of ours.
            await until(lambda: tasks() <= before and count() == 0)
    (line,) = [line for line in lines if line["event"] == "request"]
    assert (line["route"], line["code"]) == ("/api/sessions/{session_id}/events", 200)


async def test_a_reader_that_does_not_read_is_cut_off_alone(
    keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits for it must not wait for ever, and its neighbour misses nothing."""
    monkeypatch.setattr(BoundedHttp, "stall_seconds", 0.2)
    async with (
        gateway_over(keys) as gateway,
        listening(gateway.address, EVENTS) as slow,
        listening(gateway.address, EVENTS) as reader,
    ):
        await slow.hears("attached")
        await reader.hears("caughtUp")
        stalled = gateway.live.connections[0]
        sent = 0
        while not stalled.closed.is_set():
            gateway.session.append("x" * 200_000)
            sent += 1
            await reader.hears("event", sent)
            assert sent < 1000, "nobody minds"
        with pytest.raises(httpx.HTTPError):
            await slow.ends()
