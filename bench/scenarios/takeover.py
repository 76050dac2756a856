"""The owner of many sessions is killed: how long until another Live serves each of them."""

from __future__ import annotations

import asyncio
import time
from functools import partial

import grpc

from bench.bench import Bench
from bench.filling import fill
from bench.frames import Author
from bench.measuring import Sample, Timing
from bench.product import Product, together
from bench.rows import Case, Row
from bench.streams import Lane
from bench.system import System
from sessiond.v1.live_pb2_grpc import LiveServiceStub
from sessiond.v1.ownership_pb2 import ReadHeadRequest
from sessiond.v1.ownership_pb2_grpc import OwnershipServiceStub

OURS = "Live, unary"
_LIVES = ("live-1", "live-2")
_USER = "one-who-is-moved"
_RETRY_SECONDS = 0.005
_PATIENCE_SECONDS = 60.0


async def takeover(bench: Bench) -> list[Row]:
    """Measure how long sessions whose owner was killed wait for their next append."""
    plan = bench.plan
    async with bench.running(lives=len(_LIVES), gateways=0) as system:
        product = Product(system, content_bytes=plan.content_bytes)
        cases: list[Case] = []
        for messages in plan.takeover_histories:
            user = f"{_USER}-{messages}"
            authors = await product.authors(user, plan.takeover_sessions)
            lane = Lane(system.calling(user), authors)
            bench.told(f"takeover: storing {messages} messages in each session")
            await fill(product.road, [lane], max(1, messages))
            named = {"sessions": plan.takeover_sessions, "history": messages}
            beside = {f"history of {plan.takeover_histories[0]}": cases[0]} if cases else {}
            case = Case(OURS, partial(_killed, product, lane), named, "sessions", beside=beside)
            cases.append(case)
        return await bench.in_turn(system, cases)


async def _killed(product: Product, lane: Lane, _: Timing) -> Sample:
    """Kill the Live that owns most of these sessions, and append to each of its own again."""
    system = product.system
    # Once more where they are, so that all of them are held when it happens.
    await together(partial(_append, system, _LIVES[0], lane), lane.authors)
    owners = await together(partial(_owner, system), lane.authors)
    victim = max(_LIVES, key=lambda name: owners.count(system.cluster.address(name)))
    heir = next(name for name in _LIVES if name != victim)
    orphans = [
        author
        for author, owner in zip(lane.authors, owners, strict=True)
        if owner == system.cluster.address(victim)
    ]
    began = time.perf_counter()
    await system.cluster.kill(victim)

    async def served(author: Author) -> float:
        await _append(system, heir, lane, author)
        return time.perf_counter() - began

    latencies = await together(served, orphans, at_once=len(orphans))
    await system.cluster.start(victim)
    await product.check([lane])
    longest = max(latencies)
    return Sample(
        len(orphans) / longest,
        latencies,
        also={"sessions that moved": len(orphans), "s until all are served": longest},
    )


async def _append(system: System, name: str, lane: Lane, author: Author) -> None:
    """Append through this Live, and repeat the same until it is done."""
    live = LiveServiceStub(system.channel(name))
    request = author.request()
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while True:
            try:
                await live.AppendMessage(request, metadata=lane.metadata)
            except grpc.aio.AioRpcError:
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                author.acknowledged += 1
                return


async def _owner(system: System, author: Author) -> str:
    store = OwnershipServiceStub(system.channel("store-1"))
    request = ReadHeadRequest(session_id=author.session_id)
    answer = await store.ReadHead(request, metadata=system.as_a_part())
    return answer.owner_address
