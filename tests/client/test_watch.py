"""Following a list over calls that break: by its cursor, or from the beginning and saying so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from sessiond import Client
from sessiond.errors import PermissionDenied, Unauthenticated
from sessiond.session.state import Status
from sessiond.v1.session_pb2 import SESSION_STATUS_ACTIVE, SessionSummary
from sessiond.v1.store_pb2 import WatchSessionsRequest, WatchSessionsResponse
from sessiond.v1.store_pb2_grpc import add_StoreServiceServicer_to_server
from tests.client.conftest import token


class Watched:
    """Plays one list of responses to each call; at its end the call breaks."""

    def __init__(self) -> None:
        self.plays: list[list[WatchSessionsResponse]] = []
        self.ends: list[grpc.StatusCode] = []
        self.asked: list[WatchSessionsRequest] = []
        self.left = asyncio.Event()
        self.port = 0

    def __getattr__(self, name: str) -> Any:
        if name[0].isupper():
            return None  # the other methods, which nobody calls
        raise AttributeError(name)

    async def WatchSessions(  # noqa: N802
        self, request: WatchSessionsRequest, context: Any
    ) -> AsyncIterator[WatchSessionsResponse]:
        self.asked.append(request)
        if not self.plays:
            try:
                await asyncio.Event().wait()
            finally:
                self.left.set()
        for response in self.plays.pop(0):
            yield response
        await context.abort(self.ends.pop(0) if self.ends else grpc.StatusCode.UNAVAILABLE, "")


@pytest.fixture
async def store() -> AsyncIterator[Watched]:
    server = grpc.aio.server()
    watched = Watched()
    servicer: Any = watched
    add_StoreServiceServicer_to_server(servicer, server)
    watched.port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield watched
    await server.stop(None)


def client_of(store: Watched, **more: Any) -> Client:
    settings: dict[str, Any] = {"token": token(), "chance": lambda: 0.0, **more}
    return Client(live="127.0.0.1:1", store=f"127.0.0.1:{store.port}", **settings)


def summary(session_id: str, cursor: str = "") -> WatchSessionsResponse:
    return WatchSessionsResponse(session=SessionSummary(id=session_id), cursor=cursor)


LISTED = WatchSessionsResponse(listed=WatchSessionsResponse.Listed(), cursor="c1")
RESET = WatchSessionsResponse(reset=WatchSessionsResponse.Reset())


async def test_a_watch_goes_on_at_its_cursor(store: Watched) -> None:
    store.plays = [[summary("a"), LISTED, summary("b", "c2")], [summary("c", "c3")]]
    async with client_of(store) as client:
        watching = client.watch(status=Status.ACTIVE)
        seen = [await anext(watching) for _ in range(4)]
        await watching.aclose()
    assert seen == [summary("a"), LISTED, summary("b", "c2"), summary("c", "c3")]
    assert [request.cursor for request in store.asked[:2]] == ["", "c2"]
    assert store.asked[0].user_id == "alice"
    assert store.asked[0].status == SESSION_STATUS_ACTIVE


async def test_a_listing_that_was_cut_begins_anew_and_says_so(store: Watched) -> None:
    store.plays = [[summary("a")], [], [summary("a"), LISTED]]
    async with client_of(store) as client:
        watching = client.watch()
        seen = [await anext(watching) for _ in range(4)]
        await watching.aclose()
    assert seen == [summary("a"), RESET, summary("a"), LISTED]
    assert all(not request.HasField("cursor") for request in store.asked[:3])


async def test_a_reset_of_the_server_makes_the_old_cursor_void(store: Watched) -> None:
    store.plays = [[LISTED, RESET, summary("a")], [summary("a"), LISTED]]
    async with client_of(store) as client:
        watching = client.watch(cursor="c0")
        seen = [await anext(watching) for _ in range(6)]
        await watching.aclose()
    assert seen == [LISTED, RESET, summary("a"), RESET, summary("a"), LISTED]
    assert [request.cursor for request in store.asked[:2]] == ["c0", ""]


async def test_a_watch_for_agents_names_them(store: Watched) -> None:
    store.plays = [[LISTED]]
    async with client_of(store) as client:
        watching = client.watch(agents=["assistant"])
        assert await anext(watching) == LISTED
        await watching.aclose()
    assert list(store.asked[0].agents.names) == ["assistant"]


async def test_a_refused_watch_is_told(store: Watched) -> None:
    store.plays, store.ends = [[]], [grpc.StatusCode.PERMISSION_DENIED]
    async with client_of(store) as client:
        with pytest.raises(PermissionDenied):
            await anext(client.watch("bob"))


async def test_an_expired_token_is_replaced(store: Watched) -> None:
    given = iter([token(n=1), token(n=2)])
    store.plays = [[LISTED], [summary("a", "c2")]]
    store.ends = [grpc.StatusCode.UNAUTHENTICATED]
    async with client_of(store, token=lambda: next(given)) as client:
        watching = client.watch("alice")
        assert [await anext(watching) for _ in range(2)] == [LISTED, summary("a", "c2")]
        await watching.aclose()
    store.plays, store.ends = [[]], [grpc.StatusCode.UNAUTHENTICATED]
    async with client_of(store) as client:
        with pytest.raises(Unauthenticated):
            await anext(client.watch())


async def test_a_watch_that_is_left_is_cancelled_at_the_server(store: Watched) -> None:
    async with client_of(store) as client:
        watching = client.watch()
        first = asyncio.create_task(anext(watching))
        while not store.asked:
            await asyncio.wait([first], timeout=0.01)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await watching.aclose()
        await store.left.wait()
