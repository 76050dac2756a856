"""Durable appends: over streams of their own, over shared streams, over unary calls, over REST."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import orjson

from bench.bench import Bench
from bench.floors.serving import method
from bench.frames import SESSION_ID_BYTES, Author
from bench.measuring import Call, Sample, Timing, drive
from bench.product import Product, together
from bench.rows import Case, Row, by_name
from bench.scenarios.road import BATCHES, PUTS, Road
from bench.streams import Lane
from bench.system import System
from sessiond.v1.live_pb2 import AppendMessageRequest, AppendMessageResponse

ECHO = "echo"
UNARY_FLOOR, STREAM_FLOOR = "gRPC: empty server", "gRPC: streams that echo"
UNARY, REST = "Live, unary", "gateway, REST"


async def appends(bench: Bench) -> list[Row]:
    """Measure appends of one message each, in sessions without a history."""
    plan = bench.plan
    async with bench.running() as system:
        road = await Road.opened(bench, system)
        await system.program(ECHO, "bench.floors.echo")
        cases: list[Case] = []
        stored: dict[int, Case] = {}
        for sessions in plan.sessions:
            puts = road.floor(PUTS, road.raw.puts, sessions)
            stored[sessions] = batches = road.floor(BATCHES, road.raw.batches, sessions)
            cases += [puts, batches]
            for streams in dict.fromkeys((sessions, min(sessions, plan.streams))):
                bare = road.bare(sessions, streams)
                cases += [bare, road.ours(sessions, streams, by_name(bare, batches, puts))]
        for callers in plan.callers:
            cases += _unary(road.product, callers, stored.get(callers))
        most = max(plan.callers)
        cases.append(road.floor(STREAM_FLOOR, partial(echoed_streams, system), most))
        return await bench.in_turn(system, cases)


def _unary(product: Product, callers: int, stored: Case | None) -> list[Case]:
    named = {"callers": callers}
    echo = Case(UNARY_FLOOR, partial(_echoes, product, callers), named, floor=True)
    beside = by_name(echo) if stored is None else by_name(echo, stored)
    return [
        echo,
        Case(UNARY, partial(_appends, product, callers, _over_grpc), named, beside=beside),
        Case(REST, partial(_appends, product, callers, _over_rest), named, beside=beside),
    ]


async def _appends(
    product: Product,
    callers: int,
    over: Callable[[Product, str, Author], Awaitable[Call]],
    timing: Timing,
) -> Sample:
    users = [f"caller-{n}" for n in range(callers)]
    authors = await together(product.author, users)
    calls = [await over(product, *each) for each in zip(users, authors, strict=True)]
    # Live takes a session over at its first change: that is not what is measured.
    await together(lambda call: call(), calls)
    sample = await drive(calls, timing)
    await product.check(
        Lane(product.system.calling(user), [author])
        for user, author in zip(users, authors, strict=True)
    )
    return sample


async def _over_grpc(product: Product, user: str, author: Author) -> Call:
    calling = product.system.calling(user)

    async def call() -> int:
        await product.live.AppendMessage(author.request(), metadata=calling)
        author.acknowledged += 1
        return 1

    return call


async def _over_rest(product: Product, user: str, author: Author) -> Call:
    """A connection of the caller's own."""
    connection = await product.system.rest(user)
    path = f"/api/chat/{author.session_id}/messages"
    body = orjson.dumps({"content": author.text})

    async def call() -> int:
        await connection.post(path, body, key=author.op_id())
        author.acknowledged += 1
        return 1

    return call


async def _echoes(product: Product, callers: int, timing: Timing) -> Sample:
    """The same calls to a server that does nothing."""
    ask = product.system.channel(ECHO).unary_unary(
        method("Append"),
        request_serializer=AppendMessageRequest.SerializeToString,
        response_deserializer=AppendMessageResponse.FromString,
    )
    calling = product.system.calling("caller-0")

    def caller(author: Author) -> Call:
        async def call() -> int:
            await ask(author.request(), metadata=calling)
            return 1

        return call

    authors = [Author("-" * SESSION_ID_BYTES, product.texts[0]) for _ in range(callers)]
    return await drive([caller(author) for author in authors], timing)


async def echoed_streams(system: System, streams: int, timing: Timing) -> Sample:
    """Messages that come back as they are, one at a time on each stream."""
    open_stream: Any = system.channel(ECHO).stream_stream(method("Back"))
    calls = [open_stream() for _ in range(streams)]
    message = b"m" * 600

    def caller(stream: Any) -> Call:
        async def call() -> int:
            await stream.write(message)
            await stream.read()
            return 1

        return call

    sample = await drive([caller(stream) for stream in calls], timing)
    for stream in calls:
        stream.cancel()
    return sample
