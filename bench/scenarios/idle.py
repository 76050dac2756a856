"""Thousands of streams that wait: what they cost Live, and how they come back after a restart."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from typing import Any

from bench.bench import Bench
from bench.clients.running import Client, client
from bench.measuring import Sample
from bench.memory import resident_kb
from bench.product import Product, together
from bench.rows import Case, Row
from bench.system import OTHERS, System, cpu_seconds

OURS = "Live, streams"
_USERS = 50
_CHANNELS = 8
_OWN = "clients"


async def idle(bench: Bench) -> list[Row]:
    """Measure streams that wait, once: memory, how fast they attach, and again after a restart."""
    plan = bench.plan
    named = {"streams": plan.idle_streams, "sessions": plan.idle_sessions}
    async with bench.running(gateways=0) as system:
        product = Product(system, content_bytes=plan.content_bytes)
        bench.told(f"idle: creating {plan.idle_sessions} sessions")
        users = [f"user-{number % _USERS}" for number in range(plan.idle_sessions)]
        ids = await together(product.create, users)
        sessions = [(each, system.token(user)) for each, user in zip(ids, users, strict=True)]
        async with AsyncExitStack() as clients:
            before, used = resident_kb(_live(system)), system.usage()
            began = time.perf_counter()
            bench.told(f"idle: opening {plan.idle_streams} streams")
            crowd = []
            for number in range(plan.idle_clients):
                each = plan.idle_streams // plan.idle_clients
                first = number * each % len(sessions)
                told = {
                    "address": system.cluster.address("live-1"),
                    "channels": _CHANNELS,
                    "streams": each,
                    "sessions": sessions[first:] + sessions[:first],
                }
                crowd.append(await clients.enter_async_context(client("bench.clients.idle", told)))
            opened = await _all_stand(crowd, after=began)
            attached = _sample(opened, began, plan.idle_streams)
            cpu = {name: seconds - used[name] for name, seconds in system.usage().items()}
            cpu[_OWN] = sum(cpu_seconds(each.pid) for each in crowd)
            cpu[OTHERS] -= cpu[_OWN]
            kb = (resident_kb(_live(system)) - before) / plan.idle_streams

            bench.told("idle: restarting Live")
            stopped = time.perf_counter()
            await system.cluster.restart("live-1")
            ready = time.perf_counter()
            back = await _all_stand(crowd, after=stopped)
            again = max(each["at"] for each in back)
    sample = Sample(
        attached.rate,
        attached.latencies,
        {name: seconds / plan.idle_streams for name, seconds in cpu.items()},
        {
            "KB per stream": kb,
            "s to re-attach": max(0.0, again - ready),
            "s from the order to stop until all are back": again - stopped,
        },
    )
    case = Case(OURS, _never, named, "attaches")
    return bench.rows({case: [sample]})


async def _all_stand(crowd: list[Client], *, after: float) -> list[dict[str, Any]]:
    """Return what each client said when all its streams stood, first after this moment."""

    async def one(each: Client) -> dict[str, Any]:
        while (said := await each.hear())["at"] < after:
            pass
        return said

    return list(await asyncio.gather(*map(one, crowd)))


def _sample(opened: list[dict[str, Any]], began: float, streams: int) -> Sample:
    took = [each for said in opened for each in said["took"]]
    return Sample(streams / (max(said["at"] for said in opened) - began), took)


def _live(system: System) -> int:
    return system.cluster.pid("live-1")


async def _never(_: object) -> Sample:
    raise NotImplementedError("it is measured once, with its restart")
