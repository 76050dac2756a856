"""The stream of commits to one Store, when there is no Store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import grpc

from services.live.commits import UNKNOWN, CommitStream
from sessiond.v1.ownership_pb2 import Commit
from sessiond.v1.ownership_pb2_grpc import OwnershipServiceStub


@asynccontextmanager
async def silent_server() -> AsyncIterator[str]:
    """An address where connections are taken, and nobody says a word."""

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


def leftovers(before: set[asyncio.Task[object]]) -> set[str]:
    """The names of the stream's tasks that are still there."""
    return {name for task in asyncio.all_tasks() - before if "commit" in (name := task.get_name())}


async def test_a_stream_without_a_server_breaks_and_leaves_no_task(ports: Iterator[int]) -> None:
    """Its commits are unknown, it says once that it broke, and it closes at once, twice too."""
    before = asyncio.all_tasks()
    broken: list[CommitStream] = []
    async with grpc.aio.insecure_channel(f"127.0.0.1:{next(ports)}") as channel:
        stream = CommitStream(OwnershipServiceStub(channel).Commit(), broken.append)
        async with asyncio.timeout(10):
            commits = [stream.send(b"i" * 16, Commit(session_id=f"s{n}")) for n in range(3)]
            assert await asyncio.gather(*commits) == [UNKNOWN] * 3
            assert await stream.send(b"i" * 16, Commit(session_id="later")) == UNKNOWN
            await stream.close()
            await stream.close()
    assert broken == [stream]
    assert leftovers(before) == set()


async def test_a_stream_is_closed_while_it_still_connects() -> None:
    """A write that waits for the connection does not hold up the end."""
    before = asyncio.all_tasks()
    async with silent_server() as address, grpc.aio.insecure_channel(address) as channel:
        stream = CommitStream(OwnershipServiceStub(channel).Commit(), lambda _: None)
        sending = asyncio.create_task(stream.send(b"i" * 16, Commit(session_id="s")))
        for _ in range(10):  # passes of the loop, in which the write begins
            await asyncio.sleep(0)
        async with asyncio.timeout(10):
            await stream.close()
            assert await sending == UNKNOWN
    assert leftovers(before) == set()
