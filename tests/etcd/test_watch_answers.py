"""What a watch makes of answers that a real etcd gives only rarely."""

from __future__ import annotations

from collections.abc import Callable

import grpc
import pytest

from services.store.etcd import etcd_pb2_grpc
from services.store.etcd.client import EtcdClient
from services.store.etcd.errors import InvalidRequest, WatchCancelled
from services.store.etcd.etcd_pb2 import (
    Event,
    KeyValue,
    ResponseHeader,
    WatchCreateRequest,
    WatchRequest,
    WatchResponse,
)

Script = Callable[[WatchCreateRequest], list[WatchResponse]]


class Scripted(etcd_pb2_grpc.WatchServicer):
    """Answers each stream's create request from a script, then ends the stream."""

    def __init__(self, *scripts: Script) -> None:
        self.scripts = iter(scripts)
        self.created: list[WatchCreateRequest] = []

    async def Watch(self, request_iterator, context):  # type: ignore[no-untyped-def]  # noqa: N802
        """Play the next script."""
        request: WatchRequest = await anext(aiter(request_iterator))
        self.created.append(request.create_request)
        for answer in next(self.scripts)(request.create_request):
            yield answer


async def scripted(*scripts: Script) -> tuple[grpc.aio.Server, str, Scripted]:
    """Start a server that plays the scripts, one per stream."""
    server = grpc.aio.server()
    servicer = Scripted(*scripts)
    etcd_pb2_grpc.add_WatchServicer_to_server(servicer, server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    return server, address, servicer


def events(*revisions: int, fragment: bool = False) -> WatchResponse:
    """Return an answer with one event per revision, by a server that is far ahead."""
    return WatchResponse(
        header=ResponseHeader(revision=1000),
        fragment=fragment,
        events=[Event(kv=KeyValue(key=b"a", mod_revision=revision)) for revision in revisions],
    )


CREATED = WatchResponse(header=ResponseHeader(revision=1000), created=True)


async def test_a_stream_resumes_behind_the_last_whole_batch() -> None:
    """Neither the server's own revision nor half a batch moves the place to resume from."""
    server, address, servicer = await scripted(
        lambda _: [CREATED, events(5, 6), events(7, 8, fragment=True), events(8, fragment=True)],
        lambda _: [CREATED],
        lambda _: [CREATED, events(7, 8, fragment=True), events(8, 9)],
    )
    async with EtcdClient([address]) as client, client.watch(b"a", start_revision=5) as watch:
        batches = [await anext(watch), await anext(watch)]
    await server.stop(0)
    assert [batch.revision for batch in batches] == [6, 9]
    assert [[e.kv.mod_revision for e in batch.events] for batch in batches] == [
        [5, 6],
        [7, 8, 8, 9],
    ]
    assert [request.start_revision for request in servicer.created] == [5, 7, 7]


async def test_progress_of_a_server_that_lags_moves_nothing_back() -> None:
    """A member behind the others cannot make a watch repeat what it gave."""
    lagging = WatchResponse(header=ResponseHeader(revision=3))
    server, address, servicer = await scripted(
        lambda _: [CREATED, events(5, 6)],
        lambda _: [CREATED, lagging],
        lambda _: [CREATED, events(7)],
    )
    async with EtcdClient([address]) as client, client.watch(b"a", start_revision=5) as watch:
        batches = [await anext(watch) for _ in range(3)]
    await server.stop(0)
    assert [batch.revision for batch in batches] == [6, 6, 7]
    assert [request.start_revision for request in servicer.created] == [5, 7, 7]


@pytest.mark.parametrize("created", [True, False])
async def test_a_watch_that_etcd_cancels_is_over(created: bool) -> None:
    """A cancellation is raised, also where it comes with the very first answer."""
    cancelled = WatchResponse(created=created, canceled=True, cancel_reason="for no reason")
    first = [] if created else [CREATED]
    server, address, _ = await scripted(lambda _: [*first, cancelled])
    async with EtcdClient([address]) as client, client.watch(b"a", start_revision=5) as watch:
        with pytest.raises(WatchCancelled):
            await anext(watch)
        with pytest.raises(StopAsyncIteration):
            await anext(watch)
    await server.stop(0)


async def test_a_server_without_watches_is_a_failure_and_no_loop() -> None:
    """What no other stream can mend is raised."""
    server = grpc.aio.server()
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    async with EtcdClient([address]) as client, client.watch(b"a", start_revision=5) as watch:
        with pytest.raises(InvalidRequest):
            await anext(watch)
    await server.stop(0)
