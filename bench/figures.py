"""From samples to figures: medians, spreads, and ratios inside each repeat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench.load import Sample
from bench.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Spread:
    """A median, and the least and the most it was taken from."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class Figure:
    """What the repeats of one scenario gave.

    Attributes:
        rate: operations a second, over the repeats.
        p50_ms, p99_ms: from call to answer, over all calls of all repeats.
        cpu_ms: milliseconds of CPU per operation, by process; medians.
        of_floors: how many times the rate of each floor beside it, in the same repeat.
    """

    scenario: Scenario
    rate: Spread
    p50_ms: float
    p99_ms: float
    cpu_ms: Mapping[str, float]
    of_floors: Mapping[str, Spread]


def figures_of(measured: Sequence[Scenario], samples: Sequence[Sequence[Sample]]) -> list[Figure]:
    """Return one figure per scenario, in their order."""
    by_scenario = list(zip(measured, samples, strict=True))
    return [_figure(scenario, own, by_scenario) for scenario, own in by_scenario]


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value that so many percent of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def _figure(
    scenario: Scenario,
    own: Sequence[Sample],
    by_scenario: Sequence[tuple[Scenario, Sequence[Sample]]],
) -> Figure:
    latencies = [latency for sample in own for latency in sample.latencies]
    beside = (
        {}
        if scenario.floor
        else {
            floor.what: Spread.of(
                [sample.rate / bare.rate for sample, bare in zip(own, theirs, strict=True)]
            )
            for floor, theirs in by_scenario
            if floor.floor
            and (floor.figure, floor.in_flight) == (scenario.figure, scenario.in_flight)
        }
    )
    return Figure(
        scenario,
        rate=Spread.of([sample.rate for sample in own]),
        p50_ms=percentile(latencies, 50) * 1000,
        p99_ms=percentile(latencies, 99) * 1000,
        cpu_ms={name: median(s.cpu[name] for s in own) * 1000 for name in own[0].cpu},
        of_floors=beside,
    )
