"""Reading a history over calls that break: every event once, or a failure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from sessiond import Client, SyncClient
from sessiond.errors import Internal, SessionNotFound, Unavailable
from sessiond.v1.event_pb2 import Event
from sessiond.v1.session_pb2 import SessionSummary
from sessiond.v1.store_pb2 import HistoryEvent, ReadHistoryRequest, ReadHistoryResponse
from sessiond.v1.store_pb2_grpc import add_StoreServiceServicer_to_server
from tests.client.conftest import token


class Kept:
    """A Store that has a session of ten events; each call ends as the next of `ends` says.

    An end is how many events come before the call breaks, and by what.
    """

    def __init__(self) -> None:
        self.ends: list[tuple[int, grpc.StatusCode]] = []
        self.asked: list[ReadHistoryRequest] = []
        self.created = 1
        self.port = 0

    def __getattr__(self, name: str) -> Any:
        if name[0].isupper():
            return None  # the other methods, which nobody calls
        raise AttributeError(name)

    async def ReadHistory(  # noqa: N802
        self, request: ReadHistoryRequest, context: Any
    ) -> AsyncIterator[ReadHistoryResponse]:
        self.asked.append(request)
        session = SessionSummary(id="s", revision=10)
        session.created_at.seconds = self.created
        yield ReadHistoryResponse(session=session)
        left, code = self.ends.pop(0) if self.ends else (100, None)
        for seq in range(request.first_seq or 1, (request.last_seq or 10) + 1):
            if left == 0:
                break
            left -= 1
            yield ReadHistoryResponse(events=[HistoryEvent(event=Event(seq=seq))])
        if code is not None:
            await context.abort(code, "")


@pytest.fixture
async def store() -> AsyncIterator[Kept]:
    server = grpc.aio.server()
    kept = Kept()
    servicer: Any = kept
    add_StoreServiceServicer_to_server(servicer, server)
    kept.port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield kept
    await server.stop(None)


def settings(store: Kept, **more: Any) -> dict[str, Any]:
    address = f"127.0.0.1:{store.port}"
    return {"live": "127.0.0.1:1", "store": address, "token": token(), "chance": lambda: 0.0} | more


def sync_history(store: Kept, **more: Any) -> list[ReadHistoryResponse]:
    with SyncClient(**settings(store, sleep=lambda _: None, **more)) as client:
        return list(client.history("s"))


async def async_history(store: Kept, **more: Any) -> list[ReadHistoryResponse]:
    async with Client(**settings(store, **more)) as client:
        return [response async for response in client.history("s")]


async def history(store: Kept, kind: str, **more: Any) -> list[ReadHistoryResponse]:
    if kind == "async":
        return await async_history(store, **more)
    with ThreadPoolExecutor(1) as pool:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(pool, lambda: sync_history(store, **more))


KINDS = pytest.mark.parametrize("kind", ["async", "sync"])


def seqs(responses: list[ReadHistoryResponse]) -> list[int]:
    return [event.event.seq for response in responses for event in response.events]


@KINDS
async def test_a_history_begins_with_its_session_and_holds_every_event(
    store: Kept, kind: str
) -> None:
    found = await history(store, kind)
    assert found[0].session.revision == 10
    assert seqs(found) == list(range(1, 11))
    assert len(store.asked) == 1


@KINDS
async def test_a_reading_that_breaks_goes_on_after_what_it_has(store: Kept, kind: str) -> None:
    """Up to where the session stood when it began, and the session is told once."""
    broken = grpc.StatusCode.UNAVAILABLE
    store.ends = [(0, broken), (3, broken), (4, broken), (3, broken)]
    found = await history(store, kind)
    assert seqs(found) == list(range(1, 11))
    assert [response.HasField("session") for response in found] == [True] + [False] * 10
    assert [asked.first_seq for asked in store.asked] == [0, 0, 4, 8, 11]
    assert [asked.last_seq for asked in store.asked] == [0, 10, 10, 10, 10]


@KINDS
async def test_another_session_under_the_id_is_not_taken_for_the_rest(
    store: Kept, kind: str
) -> None:
    store.ends = [(3, grpc.StatusCode.UNAVAILABLE)]

    class Later(list[ReadHistoryRequest]):
        def append(self, request: ReadHistoryRequest) -> None:
            super().append(request)
            store.created = len(self)

    store.asked = Later()
    with pytest.raises(SessionNotFound):
        await history(store, kind)


@KINDS
async def test_a_reading_that_is_refused_or_never_answered_ends(store: Kept, kind: str) -> None:
    store.ends = [(3, grpc.StatusCode.NOT_FOUND)]
    with pytest.raises(Internal):  # a status without one of our names
        await history(store, kind)
    store.ends = [(0, grpc.StatusCode.UNAVAILABLE)] * 1000
    with pytest.raises(Unavailable):
        await history(store, kind, deadline=0.5)
