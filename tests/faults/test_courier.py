"""A courier carries every kind of call, and harms just what it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from tests.faults.relays.courier import Courier

PATIENCE = 10.0


class Part(grpc.GenericRpcHandler):
    """A part with a unary method, `Add`, and a stream, `Commit`; it notes what took effect."""

    def __init__(self) -> None:
        self.done: list[bytes] = []
        self.noted = asyncio.Event()

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        if details.method.endswith("/Add"):
            return grpc.unary_unary_rpc_method_handler(self._add)
        return grpc.stream_stream_rpc_method_handler(self._commit)

    async def until(self, count: int) -> list[bytes]:
        async with asyncio.timeout(PATIENCE):
            while len(self.done) < count:
                self.noted.clear()
                await self.noted.wait()
        return self.done

    def _note(self, request: bytes) -> bytes:
        self.done.append(request)
        self.noted.set()
        return b"done " + request

    async def _add(self, request: bytes, context: Any) -> bytes:
        if request == b"bad":
            context.set_trailing_metadata((("reason", "BAD"),))
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "this is bad")
        caller = dict(context.invocation_metadata())["caller"]
        return self._note(request) + b" for " + str(caller).encode()

    async def _commit(self, requests: AsyncIterator[bytes], _: Any) -> AsyncIterator[bytes]:
        async for request in requests:
            yield self._note(request)


@pytest.fixture
async def part() -> Part:
    return Part()


@pytest.fixture
async def courier(part: Part) -> AsyncIterator[Courier]:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((part,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with Courier(f"127.0.0.1:{port}") as started:
        yield started
    await server.stop(None)


@pytest.fixture
async def channel(courier: Courier) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(courier.address) as opened:
        yield opened


def add(channel: grpc.aio.Channel, request: bytes) -> Any:
    call: Any = channel.unary_unary("/a.Part/Add")
    return call(request, metadata=(("caller", "us"),), timeout=PATIENCE)


def stream(channel: grpc.aio.Channel) -> Any:
    call: Any = channel.stream_stream("/a.Part/Commit")
    return call(timeout=PATIENCE)


async def test_calls_are_carried_as_they_are(part: Part, channel: grpc.aio.Channel) -> None:
    """Requests, replies, metadata and failures come through unchanged, for every kind of call."""
    assert await add(channel, b"one") == b"done one for us"
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await add(channel, b"bad")
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.value.details() == "this is bad"
    assert dict(refused.value.trailing_metadata() or ())["reason"] == "BAD"
    call = stream(channel)
    for request in (b"two", b"three"):
        await call.write(request)
        assert await call.read() == b"done " + request
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF
    assert part.done == [b"one", b"two", b"three"]


async def test_a_lost_reply_has_taken_effect(
    part: Part, courier: Courier, channel: grpc.aio.Channel
) -> None:
    """The caller hears that nobody answers, though the part has done what was asked."""
    courier.lose({"Add"})
    with pytest.raises(grpc.aio.AioRpcError) as lost:
        await add(channel, b"one")
    assert lost.value.code() is grpc.StatusCode.UNAVAILABLE
    assert (part.done, courier.lost) == ([b"one"], 1)
    courier.heal()
    assert await add(channel, b"two") == b"done two for us"


async def test_a_request_may_be_delivered_twice(
    part: Part, courier: Courier, channel: grpc.aio.Channel
) -> None:
    """A unary request comes again as another call, one of a stream on the stream itself."""
    courier.repeat({"Add", "Commit"})
    assert await add(channel, b"one") == b"done one for us"
    assert await part.until(2) == [b"one", b"one"]
    call = stream(channel)
    await call.write(b"two")
    assert [await call.read(), await call.read()] == [b"done two", b"done two"]
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF
    assert courier.repeated == 2


@pytest.mark.parametrize("method", ["Add", "Commit"])
async def test_an_old_request_comes_when_its_sender_has_gone(
    part: Part, courier: Courier, channel: grpc.aio.Channel, method: str
) -> None:
    """What was kept back is delivered on release, although its caller waits no longer."""
    courier.keep({method})
    call = add(channel, b"old") if method == "Add" else stream(channel)
    if method == "Commit":
        await call.write(b"old")
    async with asyncio.timeout(PATIENCE):
        await courier.keeping.wait()
    call.cancel()
    async with asyncio.timeout(PATIENCE):
        await courier.orphaned.wait()
    assert part.done == []
    courier.release()
    assert await part.until(1) == [b"old"]
    assert courier.late == 1


async def test_what_is_kept_goes_on_when_its_sender_waits(
    part: Part, courier: Courier, channel: grpc.aio.Channel
) -> None:
    """A caller that is patient gets its answer after the release, and the request comes once."""
    courier.keep({"Add"})
    call = add(channel, b"one")
    async with asyncio.timeout(PATIENCE):
        await courier.keeping.wait()
    courier.release()
    assert await call == b"done one for us"
    assert (part.done, courier.late) == ([b"one"], 0)
