"""The same appends with an etcd of three members, all on this machine."""

from __future__ import annotations

from bench.bench import Bench
from bench.rows import Case, Row, by_name
from bench.scenarios.road import BATCHES, Road

_MEMBERS = 3


async def cluster(bench: Bench) -> list[Row]:
    """Measure appends over streams, with a three-member etcd."""
    plan = bench.plan
    sessions = plan.history_sessions
    async with bench.running(etcds=_MEMBERS, gateways=0) as system:
        road = await Road.opened(bench, system)
        batches = road.floor(BATCHES, road.raw.batches, sessions)
        cases: list[Case] = [batches]
        for streams in dict.fromkeys((sessions, min(sessions, plan.streams))):
            bare = road.bare(sessions, streams)
            cases += [bare, road.ours(sessions, streams, by_name(bare, batches))]
        return await bench.in_turn(system, cases)
