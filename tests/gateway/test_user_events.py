"""A user's list as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message

from sessiond.errors import InvalidArgument, PermissionDenied, Unauthenticated, Unavailable
from sessiond.v1 import session_pb2
from sessiond.v1.store_pb2 import WatchSessionsResponse
from tests.gateway.listeners import listening
from tests.gateway.parts import Dropped, Stream
from tests.gateway.raw import exchange
from tests.gateway.sockets import gateway_over, tasks, until

EVENTS = "/api/users/alice/events"


def session(name: str, cursor: str = "") -> WatchSessionsResponse:
    summary = session_pb2.SessionSummary(id=name, user_id="alice")
    return WatchSessionsResponse(session=summary, cursor=cursor)


def listed(cursor: str) -> WatchSessionsResponse:
    return WatchSessionsResponse(listed=WatchSessionsResponse.Listed(), cursor=cursor)


def removed(name: str, cursor: str) -> WatchSessionsResponse:
    return WatchSessionsResponse(removed_id=name, cursor=cursor)


RESET = WatchSessionsResponse(reset=WatchSessionsResponse.Reset())


def watch(*told: Message | Exception, after: asyncio.Event | None = None) -> Stream:
    """A watch that tells this, and then waits; an exception ends it."""

    async def stream(request: Any) -> AsyncIterator[Message]:
        for each in told:
            if isinstance(each, Exception):
                raise each
            yield each
        await (after or asyncio.Event()).wait()

    return stream


def watches(*streams: Stream) -> Stream:
    """One after the other, as the watch is asked for again."""
    left = iter(streams)

    def stream(request: Any) -> AsyncIterator[Message]:
        return next(left)(request)

    return stream


async def test_a_list_is_told_and_then_its_changes(keys: Path) -> None:
    """By their kinds; the id is the watch's own position, where it has one."""
    async with gateway_over(keys) as gateway:
        gateway.stores[0].streams["WatchSessions"] = watch(
            session("a"), session("b"), listed("c1"), session("a", "c2"), removed("b", "c3")
        )
        async with listening(gateway.address, EVENTS) as listener:
            await listener.hears("removedId")
    assert listener.kinds == ["session", "session", "listed", "session", "removedId"]
    assert [event.id for event in listener.events] == [None, None, "c1", "c2", "c3"]
    assert listener.of("session")[0]["session"]["id"] == "a"
    assert listener.of("removedId")[0] == {"removedId": "b", "cursor": "c3"}
    assert listener.retries == [1000]
    asked = gateway.stores[0].last()
    assert (asked.request.user_id, asked.request.HasField("cursor")) == ("alice", False)
    assert asked.metadata["authorization"].startswith("Bearer ")


async def test_a_reader_resumes_and_chooses(keys: Path) -> None:
    """Last-Event-ID, else ?cursor; ?status."""
    async with gateway_over(keys) as gateway:
        store = gateway.stores[0]
        store.streams["WatchSessions"] = watch(session("a", "c9"))
        path = f"{EVENTS}?status=paused&cursor=old"
        async with listening(gateway.address, path, headers={"Last-Event-ID": "c8"}) as listener:
            await listener.hears("session")
        assert store.last().request.cursor == "c8"
        assert store.last().request.status == session_pb2.SESSION_STATUS_PAUSED
        async with listening(gateway.address, path) as listener:
            await listener.hears("session")
        assert store.last().request.cursor == "old"


async def test_a_watch_with_nothing_to_tell_begins_all_the_same(
    keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that is up to date must not wait for its headers until something happens."""
    monkeypatch.setattr("gateway.user_events.FIRST_SECONDS", 0.05)
    async with gateway_over(keys, keep_alive_seconds=0.05) as gateway:
        gateway.stores[0].streams["WatchSessions"] = watch()
        async with listening(gateway.address, f"{EVENTS}?cursor=c1") as listener:
            await listener.until(lambda heard: heard.comments)


async def test_a_store_that_goes_away_is_left_for_another(keys: Path) -> None:
    """The watch goes on by its cursor; nobody hears of it."""
    async with gateway_over(keys, stores=2) as gateway:
        first, second = gateway.stores
        first.streams["WatchSessions"] = watch(session("a"), listed("c1"), session("a", "c2"))
        second.streams["WatchSessions"] = watch(session("b", "c3"))
        async with listening(gateway.address, EVENTS) as listener:
            await listener.hears("session", 2)
            await first.stop()
            await listener.hears("session", 3)
        assert second.last().request.cursor == "c2"
    assert listener.kinds == ["session", "listed", "session", "session"]


@pytest.mark.parametrize("end", [Unavailable(), Dropped()])
async def test_a_listing_that_breaks_begins_anew(keys: Path, end: Exception) -> None:
    """What came of it is void, and the reader hears so."""
    async with gateway_over(keys) as gateway:
        gateway.stores[0].streams["WatchSessions"] = watches(
            watch(session("a"), end), watch(session("b"), listed("c1"))
        )
        async with listening(gateway.address, EVENTS) as listener:
            await listener.hears("listed")
    assert listener.kinds == ["session", "reset", "session", "listed"]


async def test_a_reset_of_the_store_is_passed_on(keys: Path) -> None:
    """And a break after it resumes nothing."""
    async with gateway_over(keys) as gateway:
        store = gateway.stores[0]
        store.streams["WatchSessions"] = watches(
            watch(RESET, Unavailable()), watch(session("b"), listed("c9"))
        )
        async with listening(gateway.address, f"{EVENTS}?cursor=c1") as listener:
            await listener.hears("listed")
        assert [ask.request.cursor for ask in store.asked] == ["c1", ""]
    assert listener.kinds == ["reset", "session", "listed"]


@pytest.mark.parametrize(
    ("error", "status", "field"),
    [
        (PermissionDenied(), 403, ""),
        (Unauthenticated(), 401, ""),
        (InvalidArgument.of("user_id", "is bad"), 400, "userId"),
    ],
)
async def test_a_failure_that_comes_first_is_a_plain_problem(
    keys: Path, error: Exception, status: int, field: str
) -> None:
    """With its fields named as in HTTP."""
    async with gateway_over(keys) as gateway:
        gateway.stores[0].streams["WatchSessions"] = watch(error)
        answer = await exchange(gateway.address, "GET", EVENTS)
        assert answer.status == status
        assert [each["field"] for each in answer.json().get("errors", [])] == [field] * bool(field)


async def test_without_a_store_it_is_not_available(
    keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 after the time that Store may take."""
    monkeypatch.setattr("gateway.user_events.FIRST_SECONDS", 0.05)
    async with gateway_over(keys, upstream_seconds=0.2) as gateway:
        await gateway.stores[0].stop()
        answer = await exchange(gateway.address, "GET", EVENTS)
        assert (answer.status, answer.json()["code"]) == (503, "UNAVAILABLE")


@pytest.mark.parametrize("query", ["status=open", "tail=5", "cursor=a&cursor=b"])
async def test_a_bad_request_is_refused(keys: Path, query: str) -> None:
    """Every bad field is named."""
    async with gateway_over(keys) as gateway:
        answer = await exchange(gateway.address, "GET", f"{EVENTS}?{query}")
        assert answer.status == 400
        assert len(answer.json()["errors"]) == 1


async def test_a_failure_that_comes_later_is_a_goaway(keys: Path) -> None:
    """And then the response is complete."""
    async with gateway_over(keys) as gateway:
        gateway.stores[0].streams["WatchSessions"] = watch(
            listed("c1"), Unauthenticated("The token has expired.")
        )
        async with listening(gateway.address, EVENTS) as listener:
            await listener.ends()
    goaway = listener.events[-1].data["goaway"]
    assert (goaway["reason"], goaway["reconnect"]) == ("UNAUTHENTICATED", False)
    assert goaway["detail"] == "The token has expired."


async def test_a_reader_that_leaves_leaves_nothing_behind(keys: Path) -> None:
    """No task, and no call at Store."""
    async with gateway_over(keys) as gateway:
        left = asyncio.Event()

        async def stream(request: Any) -> AsyncIterator[Message]:
            try:
                yield listed("c1")
                await asyncio.Event().wait()
            finally:
                left.set()

        gateway.stores[0].streams["WatchSessions"] = stream
        before = tasks()
        async with listening(gateway.address, EVENTS) as listener:
            await listener.hears("listed")
        async with asyncio.timeout(10):
            await left.wait()
        await until(lambda: tasks() <= before)
