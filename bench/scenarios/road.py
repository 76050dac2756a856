"""What groups that append have in common: our parts, the shape of an append, and the floors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial

from bench.bench import Bench
from bench.floors.etcd import Raw
from bench.measuring import Sample, Timing
from bench.pipeline import Pipeline
from bench.product import Product
from bench.rows import Case, Parameters
from bench.shaping import shape_of_an_append
from bench.streams import append_over
from bench.system import System

STREAMS = "Live, streams"
PIPELINE = "bare pipeline"
BATCHES = "etcd: nested batches"
PUTS = "etcd: put of the record"


@dataclass(frozen=True, slots=True)
class Road:
    """Both ways to etcd."""

    system: System
    product: Product
    raw: Raw
    pipeline: Pipeline

    @classmethod
    async def opened(cls, bench: Bench, system: System) -> Road:
        """Look how large our appends are, and start floors that carry as much."""
        product = Product(system, content_bytes=bench.plan.content_bytes)
        shape = await shape_of_an_append(product)
        raw = Raw(system.channel("etcd-1"), shape)
        pipeline = await Pipeline.started(
            system, raw, shape, content_bytes=bench.plan.content_bytes
        )
        return cls(system, product, raw, pipeline)

    def floor(
        self, what: str, measure: Callable[[int, Timing], Awaitable[Sample]], sessions: int
    ) -> Case:
        """Return something that is asked by so many at once."""
        return Case(what, partial(measure, sessions), {"sessions": sessions}, floor=True)

    def bare(self, sessions: int, streams: int) -> Case:
        """Return appends through the bare pipeline."""

        async def measure(timing: Timing) -> Sample:
            return await self.pipeline.appends(sessions, streams, timing)

        return Case(PIPELINE, measure, _named(sessions, streams), floor=True)

    def ours(self, sessions: int, streams: int, beside: Mapping[str, Case]) -> Case:
        """Return appends in new sessions through Live and Store."""

        async def measure(timing: Timing) -> Sample:
            lanes = await self.product.lanes(sessions, streams)
            sample = await append_over(self.product.road, lanes, timing)
            await self.product.check(lanes)
            return sample

        return Case(STREAMS, measure, _named(sessions, streams), beside=beside)


def _named(sessions: int, streams: int) -> Parameters:
    return {"sessions": sessions, "streams": streams}
