"""Appends to sessions that hold much already: what is old must cost nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from bench.bench import Bench
from bench.filling import fill
from bench.measuring import Sample, Timing
from bench.rows import Case, Row, by_name
from bench.scenarios.road import STREAMS, Road
from bench.streams import Lane, append_over


async def history(bench: Bench) -> list[Row]:
    """Measure appends over shared streams to sessions with and without a history."""
    plan = bench.plan
    sessions = plan.history_sessions
    streams = min(plan.streams, sessions)
    async with bench.running(gateways=0) as system:
        road = await Road.opened(bench, system)
        bare = road.bare(sessions, streams)
        cases = [bare]
        for messages in plan.histories:
            lanes = await road.product.lanes(sessions, streams) if messages else []
            if lanes:
                bench.told(f"history: storing {messages} messages in each of {sessions} sessions")
                await fill(road.product.road, lanes, messages)
            beside = {f"history of {plan.histories[0]}": cases[1]} if cases[1:] else {}
            case = Case(
                STREAMS,
                _appends(road, sessions, streams, lanes),
                {"sessions": sessions, "streams": streams, "history": messages},
                beside={**by_name(bare), **beside},
            )
            cases.append(case)
        return await bench.in_turn(system, cases)


def _appends(
    road: Road, sessions: int, streams: int, old: Sequence[Lane]
) -> Callable[[Timing], Awaitable[Sample]]:
    """Append to these sessions, or to new ones each time where there are none."""

    async def measure(timing: Timing) -> Sample:
        lanes = old or await road.product.lanes(sessions, streams)
        sample = await append_over(road.product.road, lanes, timing)
        await road.product.check(lanes)
        return sample

    return measure
