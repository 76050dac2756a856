"""The change feed as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message

from sessiond.errors import InvalidArgument, PermissionDenied, SlowReader, Unauthenticated
from sessiond.v1.store_pb2 import WatchChangesResponse
from tests.gateway.listeners import listening
from tests.gateway.parts import Dropped
from tests.gateway.raw import exchange
from tests.gateway.sockets import gateway_over, tasks, until
from tests.gateway.test_user_events import watch, watches

CHANGES = "/api/changes"


def moved(cursor: str) -> WatchChangesResponse:
    return WatchChangesResponse(moved=WatchChangesResponse.Moved(), cursor=cursor)


def paused(session_id: str, seq: int, cursor: str) -> WatchChangesResponse:
    response = WatchChangesResponse(cursor=cursor)
    response.changed.user_id = "alice"
    response.changed.workflow_id = "chat"
    response.changed.event.session_id = session_id
    response.changed.event.seq = seq
    response.changed.event.session_paused.SetInParent()
    return response


def deleted(session_id: str, cursor: str) -> WatchChangesResponse:
    response = WatchChangesResponse(cursor=cursor)
    response.deleted.session_id = session_id
    return response


async def test_changes_are_told_by_their_kinds(keys: Path) -> None:
    """The id is the cursor, on each."""
    async with gateway_over(keys) as gateway:
        gateway.stores[0].streams["WatchChanges"] = watch(
            moved("c1"), paused("a", 2, "c2"), deleted("b", "c3")
        )
        async with listening(gateway.address, CHANGES) as listener:
            await listener.hears("deleted")
    assert listener.kinds == ["moved", "changed", "deleted"]
    assert [event.id for event in listener.events] == ["c1", "c2", "c3"]
    changed = listener.of("changed")[0]["changed"]
    assert (changed["userId"], changed["workflowId"]) == ("alice", "chat")
    assert (changed["event"]["seq"], changed["event"]["sessionPaused"]) == (2, {})
    assert listener.of("deleted")[0]["deleted"]["sessionId"] == "b"
    assert listener.of("moved")[0] == {"moved": {}, "cursor": "c1"}


async def test_a_reader_resumes_and_chooses(keys: Path) -> None:
    """Last-Event-ID, else ?cursor; each filter as often as one likes."""
    async with gateway_over(keys) as gateway:
        store = gateway.stores[0]
        store.streams["WatchChanges"] = watch(moved("c9"))
        path = (
            f"{CHANGES}?cursor=old&userId=alice&userId=b%2Fob&workflowId=chat"
            "&eventType=message_appended&eventType=session_paused"
        )
        async with listening(gateway.address, path, headers={"Last-Event-ID": "c8"}) as listener:
            await listener.hears("moved")
        asked = store.last().request
        assert asked.cursor == "c8"
        assert list(asked.user_ids) == ["alice", "b/ob"]
        assert list(asked.workflow_ids) == ["chat"]
        assert list(asked.event_types) == ["message_appended", "session_paused"]
        async with listening(gateway.address, path) as listener:
            await listener.hears("moved")
        assert store.last().request.cursor == "old"


@pytest.mark.parametrize("end", [SlowReader(), Dropped()])
async def test_a_feed_that_breaks_goes_on_at_another_store(keys: Path, end: Exception) -> None:
    """By its cursor, which the reader's own is too."""
    async with gateway_over(keys, stores=2) as gateway:
        first, second = gateway.stores
        first.streams["WatchChanges"] = watch(moved("c1"), paused("a", 2, "c2"), end)
        second.streams["WatchChanges"] = watch(moved("c2"), paused("a", 3, "c3"))
        async with listening(gateway.address, CHANGES) as listener:
            await listener.hears("changed", 2)
        assert second.last().request.cursor == "c2"
    assert listener.kinds == ["moved", "changed", "moved", "changed"]


@pytest.mark.parametrize(
    ("error", "status", "field"),
    [
        (PermissionDenied(), 403, ""),
        (Unauthenticated(), 401, ""),
        (InvalidArgument.of("event_types", "is bad"), 400, "eventType"),
        (InvalidArgument.of("cursor", "is bad"), 400, "cursor"),
    ],
)
async def test_a_failure_that_comes_first_is_a_plain_problem(
    keys: Path, error: Exception, status: int, field: str
) -> None:
    """With its fields named as the query names them."""
    async with gateway_over(keys) as gateway:
        gateway.stores[0].streams["WatchChanges"] = watch(error)
        answer = await exchange(gateway.address, "GET", CHANGES)
        assert answer.status == status
        assert [each["field"] for each in answer.json().get("errors", [])] == [field] * bool(field)


async def test_without_a_store_it_is_not_available(keys: Path) -> None:
    """503 after the time that Store may take."""
    async with gateway_over(keys, upstream_seconds=0.2) as gateway:
        await gateway.stores[0].stop()
        answer = await exchange(gateway.address, "GET", CHANGES)
        assert (answer.status, answer.json()["code"]) == (503, "UNAVAILABLE")


@pytest.mark.parametrize("query", ["userIds=alice", "cursor=a&cursor=b", "userId=%FF", "tail=5"])
async def test_a_bad_query_is_refused(keys: Path, query: str) -> None:
    """Every bad parameter is named, and Store is not asked."""
    async with gateway_over(keys) as gateway:
        answer = await exchange(gateway.address, "GET", f"{CHANGES}?{query}")
        assert answer.status == 400
        assert len(answer.json()["errors"]) == 1
        assert gateway.stores[0].asked == []


async def test_without_a_token_there_is_no_feed(keys: Path) -> None:
    """As everywhere."""
    async with gateway_over(keys) as gateway:
        answer = await exchange(gateway.address, "GET", CHANGES, headers={"Authorization": ""})
        assert answer.status == 401


async def test_a_failure_that_comes_later_is_a_goaway(keys: Path) -> None:
    """And then the response is complete."""
    async with gateway_over(keys) as gateway:
        gateway.stores[0].streams["WatchChanges"] = watches(
            watch(moved("c1"), Unauthenticated("The token has expired."))
        )
        async with listening(gateway.address, CHANGES) as listener:
            await listener.ends()
    goaway = listener.events[-1].data["goaway"]
    assert (goaway["reason"], goaway["reconnect"]) == ("UNAUTHENTICATED", False)


async def test_a_reader_that_leaves_leaves_nothing_behind(keys: Path) -> None:
    """No task, and no call at Store."""
    async with gateway_over(keys) as gateway:
        left = asyncio.Event()

        async def stream(request: Any) -> AsyncIterator[Message]:
            try:
                yield moved("c1")
                await asyncio.Event().wait()
            finally:
                left.set()

        gateway.stores[0].streams["WatchChanges"] = stream
        before = tasks()
        async with listening(gateway.address, CHANGES) as listener:
            await listener.hears("moved")
        async with asyncio.timeout(10):
            await left.wait()
        await until(lambda: tasks() <= before)
