"""Appends that arrive at a part of what can be done, as they do from people who do not wait."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from bench.arrivals import arriving_over
from bench.bench import Bench
from bench.measuring import Sample, Timing
from bench.rows import Case, Parameters, Row, by_name
from bench.scenarios.road import PIPELINE, STREAMS, Road
from bench.streams import Lane, append_over
from bench.streams import Road as Way


async def open_loop(bench: Bench) -> list[Row]:
    """Measure the latency of appends that arrive at 70 % of the capacity just measured."""
    plan = bench.plan
    sessions = plan.open_sessions
    streams = min(plan.streams, sessions)
    named: Parameters = {
        "sessions": sessions,
        "streams": streams,
        "load": f"{plan.load:.0%} of its capacity",
    }
    async with bench.running(gateways=0) as system:
        road = await Road.opened(bench, system)

        async def bare_lanes() -> list[Lane]:
            return await road.pipeline.lanes(sessions, streams)

        async def own_lanes() -> list[Lane]:
            return await road.product.lanes(sessions, streams)

        bare = Case(
            PIPELINE,
            _at_a_part(road.pipeline.road, bare_lanes, plan.load, road.pipeline.check),
            named,
            floor=True,
        )
        ours = Case(
            STREAMS,
            _at_a_part(road.product.road, own_lanes, plan.load, road.product.check),
            named,
            beside=by_name(bare),
        )
        return await bench.in_turn(system, [bare, ours])


def _at_a_part(
    way: Way,
    lanes: Callable[[], Awaitable[list[Lane]]],
    part: float,
    check: Callable[[list[Lane]], Awaitable[None]],
) -> Callable[[Timing], Awaitable[Sample]]:
    async def measure(timing: Timing) -> Sample:
        taken = await lanes()
        most = await append_over(way, taken, timing)
        sample = await arriving_over(way, taken, part * (most.rate or 0.0), timing)
        await check(taken)
        return sample

    return measure
