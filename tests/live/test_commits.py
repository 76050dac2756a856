"""The stream of commits to one Store: what travels together, and what becomes of it without one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

from services.live.commits import UNKNOWN, CommitStream, open_call
from sessiond.v1.ownership_pb2 import Commit, CommitOutcome, CommitRequest, CommitResponse

COMMIT = "/sessiond.v1.OwnershipService/Commit"


class Slow(grpc.GenericRpcHandler):
    """A Store that shows each message that comes, and gives the outcomes that it is told to."""

    def __init__(self) -> None:
        self.came: asyncio.Queue[list[str]] = asyncio.Queue()
        self._outcomes: asyncio.Queue[CommitResponse] = asyncio.Queue()
        self._tags: dict[str, int] = {}

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        assert handler_call_details.method == COMMIT
        return grpc.stream_stream_rpc_method_handler(
            self._commit,
            request_deserializer=CommitRequest.FromString,
            response_serializer=CommitResponse.SerializeToString,
        )

    def answer(self, *sessions: str) -> None:
        committed = CommitOutcome.Committed()
        outcomes = [CommitOutcome(tag=self._tags[s], committed=committed) for s in sessions]
        self._outcomes.put_nowait(CommitResponse(outcomes=outcomes))

    async def _commit(
        self, requests: AsyncIterator[CommitRequest], context: Any
    ) -> AsyncGenerator[CommitResponse, None]:
        async def read() -> None:
            async for request in requests:
                self._tags |= {commit.session_id: commit.tag for commit in request.commits}
                self.came.put_nowait([commit.session_id for commit in request.commits])

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(read())
            while True:
                yield await self._outcomes.get()


@asynccontextmanager
async def slow_store() -> AsyncIterator[tuple[Slow, CommitStream]]:
    """A Store under the test's control, and a stream to it."""
    store = Slow()
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((store,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel, asyncio.timeout(10):
        stream = CommitStream(open_call(channel), lambda _: None)
        yield store, stream
        await stream.close()
        await server.stop(None)


@asynccontextmanager
async def silent_server() -> AsyncIterator[str]:
    """An address where connections are taken, and nobody says a word."""

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def outcome_of(stream: CommitStream, session_id: str) -> CommitOutcome:
    """Send a commit of this session, and return its outcome."""
    outcome: asyncio.Future[CommitOutcome] = asyncio.get_running_loop().create_future()
    stream.send(b"i" * 16, Commit(session_id=session_id), outcome.set_result)
    return await outcome


def leftovers(before: set[asyncio.Task[object]]) -> set[str]:
    """The names of the stream's tasks that are still there."""
    return {name for task in asyncio.all_tasks() - before if "commit" in (name := task.get_name())}


async def passes() -> None:
    """Let the loop do what it can do without an event from outside."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_stream_without_a_server_breaks_and_leaves_no_task(ports: Iterator[int]) -> None:
    """Its commits are unknown, it says once that it broke, and it closes at once, twice too."""
    before = asyncio.all_tasks()
    broken: list[CommitStream] = []
    async with grpc.aio.insecure_channel(f"127.0.0.1:{next(ports)}") as channel:
        stream = CommitStream(open_call(channel), broken.append)
        async with asyncio.timeout(10):
            commits = [outcome_of(stream, f"s{n}") for n in range(3)]
            assert await asyncio.gather(*commits) == [UNKNOWN] * 3
            assert await outcome_of(stream, "later") == UNKNOWN
            await stream.close()
            await stream.close()
    assert broken == [stream]
    assert leftovers(before) == set()


async def test_a_stream_is_closed_while_it_still_connects() -> None:
    """A write that waits for the connection does not hold up the end."""
    before = asyncio.all_tasks()
    async with silent_server() as address, grpc.aio.insecure_channel(address) as channel:
        stream = CommitStream(open_call(channel), lambda _: None)
        sending = asyncio.create_task(outcome_of(stream, "s"))
        await passes()  # the write begins
        async with asyncio.timeout(10):
            await stream.close()
            assert await sending == UNKNOWN
    assert leftovers(before) == set()


async def test_what_comes_while_two_messages_wait_travels_in_one() -> None:
    """A lone commit goes at once; many form the next message, which waits for an answered one."""
    async with slow_store() as (store, stream), asyncio.TaskGroup() as tasks:

        def send(session_id: str) -> asyncio.Task[CommitOutcome]:
            return tasks.create_task(outcome_of(stream, session_id))

        send("a")
        assert await store.came.get() == ["a"]
        send("b")
        assert await store.came.get() == ["b"]
        third = [send("c")]
        await passes()
        third += [send("d"), send("e")]
        store.answer("b")
        assert await store.came.get() == ["c", "d", "e"]

        store.answer("e", "c", "a")
        send("f")
        assert await store.came.get() == ["f"]
        store.answer("d", "f")
        outcomes = await asyncio.gather(*third)
    assert {outcome.WhichOneof("outcome") for outcome in outcomes} == {"committed"}


async def test_a_message_waits_until_all_its_outcomes_have_come() -> None:
    """Outcomes come in any order and in parts; the message counts until the last of its own."""
    async with slow_store() as (store, stream), asyncio.TaskGroup() as tasks:

        def send(session_id: str) -> asyncio.Task[CommitOutcome]:
            return tasks.create_task(outcome_of(stream, session_id))

        first = [send("a"), send("b")]
        assert await store.came.get() == ["a", "b"]
        send("c")
        assert await store.came.get() == ["c"]
        store.answer("a")
        await first[0]
        send("d")
        await passes()
        send("e")
        store.answer("b")
        assert await store.came.get() == ["d", "e"]
        store.answer("c", "d", "e")
