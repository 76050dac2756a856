"""Following all changes over calls that break: by the cursor, from either client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from sessiond import Client
from sessiond.errors import PermissionDenied, SlowReader, Unauthenticated
from sessiond.status import DETAILS_KEY, to_status
from sessiond.v1.store_pb2 import WatchChangesRequest, WatchChangesResponse
from sessiond.v1.store_pb2_grpc import add_StoreServiceServicer_to_server
from tests.client.conftest import token
from tests.client.test_sync import STORE, Channel
from tests.client.test_sync import client_of as sync_client_of


def moved(cursor: str) -> WatchChangesResponse:
    return WatchChangesResponse(moved=WatchChangesResponse.Moved(), cursor=cursor)


def deleted(session_id: str, cursor: str) -> WatchChangesResponse:
    response = WatchChangesResponse(cursor=cursor)
    response.deleted.session_id = session_id
    return response


class Fed:
    """Plays one list of responses to each call; at its end the call breaks."""

    def __init__(self) -> None:
        self.plays: list[list[WatchChangesResponse]] = []
        self.ends: list[grpc.StatusCode] = []
        self.asked: list[WatchChangesRequest] = []
        self.tokens: list[str] = []
        self.left = asyncio.Event()
        self.port = 0

    def __getattr__(self, name: str) -> Any:
        if name[0].isupper():
            return None  # the other methods, which nobody calls
        raise AttributeError(name)

    async def WatchChanges(  # noqa: N802
        self, request: WatchChangesRequest, context: Any
    ) -> AsyncIterator[WatchChangesResponse]:
        self.asked.append(request)
        self.tokens.append(dict(context.invocation_metadata())["authorization"])
        if not self.plays:
            try:
                await asyncio.Event().wait()
            finally:
                self.left.set()
        for response in self.plays.pop(0):
            yield response
        await context.abort(self.ends.pop(0) if self.ends else grpc.StatusCode.UNAVAILABLE, "")


@pytest.fixture
async def store() -> AsyncIterator[Fed]:
    server = grpc.aio.server()
    fed = Fed()
    servicer: Any = fed
    add_StoreServiceServicer_to_server(servicer, server)
    fed.port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield fed
    await server.stop(None)


def client_of(store: Fed, **more: Any) -> Client:
    settings: dict[str, Any] = {"token": token(), "chance": lambda: 0.0, **more}
    return Client(live="127.0.0.1:1", store=f"127.0.0.1:{store.port}", **settings)


async def test_a_feed_goes_on_at_its_cursor(store: Fed) -> None:
    told = [moved("c1"), deleted("a", "c2"), moved("c2"), deleted("b", "c3")]
    store.plays = [told[:2], told[2:]]
    async with client_of(store) as client:
        feed = client.changes(
            cursor="c0",
            user_ids=["alice", "bob"],
            workflow_ids=["chat"],
            event_types=["message_appended"],
        )
        assert [await anext(feed) for _ in range(4)] == told
        await feed.aclose()
    assert [request.cursor for request in store.asked[:2]] == ["c0", "c2"]
    for request in store.asked[:2]:
        assert list(request.user_ids) == ["alice", "bob"]
        assert list(request.workflow_ids) == ["chat"]
        assert list(request.event_types) == ["message_appended"]


async def test_without_a_cursor_it_begins_now(store: Fed) -> None:
    store.plays = [[moved("c1")]]
    async with client_of(store) as client:
        feed = client.changes()
        assert await anext(feed) == moved("c1")
        await feed.aclose()
    assert not store.asked[0].HasField("cursor")


async def test_a_refused_feed_is_told(store: Fed) -> None:
    store.plays, store.ends = [[]], [grpc.StatusCode.PERMISSION_DENIED]
    async with client_of(store) as client:
        with pytest.raises(PermissionDenied):
            await anext(client.changes())


async def test_an_expired_token_is_replaced_once(store: Fed) -> None:
    given = iter([token(n=1), token(n=2)])
    store.plays = [[moved("c1")], [moved("c2")]]
    store.ends = [grpc.StatusCode.UNAUTHENTICATED]
    async with client_of(store, token=lambda: next(given)) as client:
        feed = client.changes()
        assert [await anext(feed) for _ in range(2)] == [moved("c1"), moved("c2")]
        await feed.aclose()
    assert store.tokens[:2] == [f"Bearer {token(n=n)}" for n in (1, 2)]
    store.plays, store.ends = [[]], [grpc.StatusCode.UNAUTHENTICATED]
    async with client_of(store) as client:
        with pytest.raises(Unauthenticated):
            await anext(client.changes())


async def test_a_feed_that_is_left_is_cancelled_at_the_server(store: Fed) -> None:
    async with client_of(store) as client:
        feed = client.changes()
        first = asyncio.create_task(anext(feed))
        while not store.asked:
            await asyncio.wait([first], timeout=0.01)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await feed.aclose()
        await store.left.wait()


# --- from plain threads ---------------------------------------------------------------------------


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as made:
        yield made


@pytest.fixture
def channels() -> dict[str, Channel]:
    return {"one": Channel(), "two": Channel()}


def taken(channel: Channel) -> tuple[WatchChangesRequest, str, Any]:
    method = STORE.methods_by_name["WatchChanges"]
    metadata, request, rpc = channel.told.take_unary_stream(method)
    asked = WatchChangesRequest()
    asked.CopyFrom(request)
    return asked, dict(metadata)["authorization"], rpc


def end(rpc: Any, failure: Exception) -> None:
    status = to_status(failure)  # type: ignore[arg-type]
    details = ((DETAILS_KEY, status.SerializeToString()),)
    rpc.terminate(details, grpc.StatusCode.ABORTED, status.message)


def test_the_synchronous_client_goes_on_as_well(
    pool: ThreadPoolExecutor, channels: dict[str, Channel]
) -> None:
    with sync_client_of(channels) as client:
        feed = client.changes(cursor="c0", event_types=["turn_ended"])
        first = pool.submit(next, feed)
        asked, _, rpc = taken(channels["one"])
        assert (asked.cursor, list(asked.event_types)) == ("c0", ["turn_ended"])
        rpc.send_response(deleted("a", "c1"))
        assert first.result(10) == deleted("a", "c1")
        second = pool.submit(next, feed)
        end(rpc, SlowReader())
        asked, _, rpc = taken(channels["two"])
        assert (asked.cursor, list(asked.event_types)) == ("c1", ["turn_ended"])
        rpc.send_response(deleted("b", "c2"))
        assert second.result(10) == deleted("b", "c2")
        third = pool.submit(next, feed)
        end(rpc, PermissionDenied())
        with pytest.raises(PermissionDenied):
            third.result(10)


def test_the_synchronous_client_renews_its_token_until_it_gets_the_same(
    pool: ThreadPoolExecutor, channels: dict[str, Channel]
) -> None:
    given = iter([token(n=1), token(n=2), token(n=2)])
    with sync_client_of(channels, token=lambda: next(given)) as client:
        first = pool.submit(next, client.changes())
        _, bearer, rpc = taken(channels["one"])
        assert bearer == f"Bearer {token(n=1)}"
        end(rpc, Unauthenticated())
        _, bearer, rpc = taken(channels["two"])
        assert bearer == f"Bearer {token(n=2)}"
        end(rpc, Unauthenticated())
        _, bearer, rpc = taken(channels["one"])
        assert bearer == f"Bearer {token(n=2)}"
        end(rpc, Unauthenticated())
        with pytest.raises(Unauthenticated):
            first.result(10)
