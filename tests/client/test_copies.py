"""Forks and imports by both clients: what is sent, and what is repeated."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from sessiond import Client, SyncClient
from sessiond.client.copy_requests import import_session
from sessiond.errors import IdTaken, InvalidArgument, SessiondError, Unavailable
from sessiond.status import DETAILS_KEY, to_status
from sessiond.v1.session_pb2 import Session, SessionSummary
from sessiond.v1.store_pb2 import (
    ForkSessionResponse,
    HistoryEvent,
    ImportHeader,
    ImportSessionResponse,
)
from sessiond.v1.store_pb2_grpc import add_StoreServiceServicer_to_server
from tests.client.conftest import token
from tests.unit.stories import Story
from tests.unit.telling import history_of, said

HEADER = ImportHeader(session_id="s-1", last_seq=41)


class Store:
    """Keeps what it is asked, and fails as often as it is told to."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.failures: list[SessiondError] = []
        self.address = ""

    async def _fail(self, context: Any) -> None:
        if self.failures:
            status = to_status(self.failures.pop(0))
            details = ((DETAILS_KEY, status.SerializeToString()),)
            code = grpc.StatusCode.ABORTED
            await context.abort(code, status.message, trailing_metadata=details)

    def __getattr__(self, name: str) -> Any:
        if name[0].isupper():  # a method that nobody calls here
            return None
        raise AttributeError(name)

    async def ForkSession(self, request: Any, context: Any) -> ForkSessionResponse:  # noqa: N802
        self.asked.append(request)
        await self._fail(context)
        return ForkSessionResponse(session=Session(id="f-1", revision=8), seq=8)

    async def ImportSession(self, request_iterator: Any, context: Any) -> ImportSessionResponse:  # noqa: N802
        self.asked.append([request async for request in request_iterator])
        await self._fail(context)
        return ImportSessionResponse(session=SessionSummary(id="s-1"), imported=True)


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    """A Store that listens."""
    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    store = Store()
    servicer: Any = store
    add_StoreServiceServicer_to_server(servicer, server)
    store.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    yield store
    await server.stop(None)


@pytest.fixture
def events() -> list[HistoryEvent]:
    """A history of 41 events, of about 2 MB."""
    story = Story()
    said(story, *("x" * 50_000 for _ in range(40)))
    return history_of(story.records, "s-1")


def client_of(store: Store) -> Client:
    return Client(live=store.address, store=store.address, token=token(), deadline=20)


def sync_client_of(store: Store) -> SyncClient:
    return SyncClient(live=store.address, store=store.address, token=token(), deadline=20)


async def test_a_fork_is_asked_for_under_one_operation_id(store: Store) -> None:
    """However often it takes; by default of all events, and under an id of Store's."""
    store.failures = [Unavailable(), Unavailable()]
    async with client_of(store) as client:
        assert (await client.fork("p-1")).id == "f-1"
        await client.fork("p-1", at_seq=7, id="f-1", op_id="mine")
    first, second, third, last = store.asked
    assert first == second == third
    assert first.session_id == "p-1" and first.op_id
    assert not first.HasField("at_seq") and not first.HasField("id")
    assert (last.at_seq, last.id, last.op_id) == (7, "f-1", "mine")


async def test_the_synchronous_client_forks_as_well(store: Store) -> None:
    """With the same request."""

    def fork() -> Session:
        with sync_client_of(store) as client:
            return client.fork("p-1", at_seq=7, id="f-1", op_id="mine")

    assert (await asyncio.to_thread(fork)).revision == 8
    (request,) = store.asked
    assert (request.at_seq, request.id, request.op_id) == (7, "f-1", "mine")


def check_sent(store: Store, events: list[HistoryEvent], times: int) -> None:
    assert len(store.asked) == times
    for messages in store.asked:
        assert messages[0].header == HEADER
        assert [each for message in messages for each in message.events] == events
        assert max(message.ByteSize() for message in messages) < 1024 * 1024
        assert not any(message.HasField("header") for message in messages[1:])


async def test_an_import_is_sent_again_from_its_beginning(
    store: Store, events: list[HistoryEvent]
) -> None:
    """Though its events come from an iterator that can be read once."""
    store.failures = [Unavailable()]
    async with client_of(store) as client:
        response = await client.import_session(HEADER, iter(events))
    assert response.imported
    check_sent(store, events, times=2)


async def test_the_synchronous_client_imports_as_well(
    store: Store, events: list[HistoryEvent]
) -> None:
    """With the same messages, and as patiently."""
    store.failures = [Unavailable()]

    def send() -> ImportSessionResponse:
        with sync_client_of(store) as client:
            return client.import_session(HEADER, iter(events))

    assert (await asyncio.to_thread(send)).imported
    check_sent(store, events, times=2)


@pytest.mark.parametrize("error", [IdTaken(), InvalidArgument.of("events.3.seq", "must be 3")])
async def test_what_store_refuses_is_told_once(
    store: Store, events: list[HistoryEvent], error: SessiondError
) -> None:
    """It would be refused again."""
    store.failures = [error]
    async with client_of(store) as client:
        with pytest.raises(type(error)):
            await client.import_session(HEADER, events)
    assert len(store.asked) == 1


def test_a_session_without_events_is_a_header_alone() -> None:
    """Store says that they are missing."""
    (message,) = import_session(HEADER, ())
    assert (message.header, list(message.events)) == (HEADER, [])
