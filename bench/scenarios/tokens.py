"""Agents write, and readers see it appear: how late, and at what cost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from secrets import token_hex
from typing import Any

from bench.bench import Bench
from bench.floors.serving import method
from bench.frames import Refused
from bench.measuring import Sample, Timing
from bench.product import Lost, Product, together
from bench.rows import Case, Row, by_name
from bench.streams import Lane, read
from bench.system import System
from bench.turning import TOKEN, Pace, Seen, Turn, as_shown, to_live, watch, write
from sessiond.v1.live_pb2 import BeginTurn, ClientFrame, EndTurn, Reply, ServerFrame
from sessiond.v1.store_pb2 import GetSessionRequest

OURS, BARE = "Live, streams", "gRPC: bare fan-out, joined"
_PROGRAM = "fan-out"
_USER = "reader"


async def tokens(bench: Bench) -> list[Row]:
    """Measure how late tokens reach those who read along, from many agents at once."""
    plan = bench.plan
    named = {
        "turns": plan.turns,
        "readers": plan.readers,
        "tokens a second": plan.tokens_per_second,
    }
    size = (plan.turns, plan.readers, plan.tokens_per_second)
    async with bench.running(gateways=0) as system:
        product = Product(system, content_bytes=plan.content_bytes)
        await system.program(_PROGRAM, "bench.floors.fan_out", "0")
        bare = Case(BARE, partial(_bare, system, *size), named, "tokens", floor=True)
        ours = Case(OURS, partial(_ours, product, *size), named, "tokens", beside=by_name(bare))
        return await bench.in_turn(system, [bare, ours], seconds=plan.token_seconds)


async def _ours(
    product: Product, turns: int, readers: int, per_second: int, timing: Timing
) -> Sample:
    system = product.system
    authors = await product.authors(_USER, turns)
    lane = Lane(system.calling(_USER), authors)
    agent = system.as_agent([author.session_id for author in authors])
    calls = await together(lambda _: product.road.open(lane), range(readers), at_once=4)
    async with worker(await product.road.open(Lane(agent, authors))) as writer:
        begun = []
        for number, author in enumerate(authors):
            begin = BeginTurn(session_id=author.session_id, op_id=token_hex(8))
            reply = await writer.ask(ClientFrame(begin_turn=begin), begin.op_id)
            begun.append(Turn(number, author.session_id, reply.turn.turn_id))
        sample = await _run(writer.call, calls, begun, per_second, frame=to_live, timing=timing)
        for turn in begun:
            end = EndTurn(
                session_id=turn.session_id,
                turn_id=turn.turn_id,
                op_id=token_hex(8),
                length=turn.written * len(TOKEN),
            )
            await writer.ask(ClientFrame(end_turn=end), end.op_id)
            request = GetSessionRequest(session_id=turn.session_id)
            answer = await product.store.GetSession(request, metadata=lane.metadata)
            stored = answer.session.conversation_history[-1].content
            if stored != TOKEN * turn.written:
                raise Lost(f"{end.length} characters were written and {len(stored)} are stored")
    return sample


async def _bare(
    system: System, turns: int, readers: int, per_second: int, timing: Timing
) -> Sample:
    subscribe: Any = system.channel(_PROGRAM).stream_stream(method("Subscribe"))
    publish: Any = system.channel(_PROGRAM).stream_stream(method("Publish"))
    calls = [subscribe() for _ in range(readers)]
    for call in calls:
        await read(call)
    begun = [Turn(number, token_hex(18), token_hex(18)) for number in range(turns)]
    async with worker(publish()) as writer:
        return await _run(writer.call, calls, begun, per_second, frame=as_shown, timing=timing)


async def _run(
    writer: Any,
    calls: Sequence[Any],
    turns: Sequence[Turn],
    per_second: int,
    *,
    frame: Callable[[Turn, int], bytes],
    timing: Timing,
) -> Sample:
    """Write for one window; the readers' calls end with it."""
    window = timing.open()
    pace = Pace(window.begin - timing.warm_up, len(turns), per_second)
    numbers = {turn.session_id: turn.number for turn in turns}
    seen = Seen()
    async with asyncio.TaskGroup() as tasks:
        watching = [tasks.create_task(watch(call, numbers, pace, window, seen)) for call in calls]
        await write(writer, turns, pace, window.end, frame)
        await seen.something.wait()
        for task in watching:
            task.cancel()
    return await window.sample(
        {
            "tokens a frame": seen.tokens / max(1, seen.frames),
            "tokens a message": seen.tokens / max(1, seen.messages),
        }
    )


class Worker:
    """An agent's stream, whose answers are read all the time: it is shown what it writes."""

    def __init__(self, call: Any) -> None:
        self.call = call
        self._asked: dict[str, asyncio.Future[Reply]] = {}

    async def ask(self, frame: ClientFrame, op_id: str) -> Reply:
        """Say one thing, and return the answer to it."""
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._asked[op_id] = answer
        await self.call.write(ClientFrame(batch=[frame]).SerializeToString())
        return await answer

    async def listen(self) -> None:
        """Hand on answers, for ever."""
        while True:
            for each in ServerFrame.FromString(await read(self.call)).batch:
                if each.HasField("goaway"):
                    raise Refused(each.goaway.reason)
                if each.HasField("reply"):
                    if each.reply.HasField("error"):
                        raise Refused(f"{each.reply.error.code}: {each.reply.error.detail}")
                    self._asked.pop(each.reply.op_id).set_result(each.reply)


@asynccontextmanager
async def worker(call: Any) -> AsyncIterator[Worker]:
    """Listen to an agent's stream while the block runs; it ends with it."""
    made = Worker(call)
    async with asyncio.TaskGroup() as tasks:
        listening = tasks.create_task(made.listen())
        yield made
        listening.cancel()
