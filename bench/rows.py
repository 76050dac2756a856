"""From samples to figures: medians, spreads, and ratios inside each repeat."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from bench.measuring import Sample, Timing
from bench.system import OTHERS

Parameters = Mapping[str, int | str]


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One thing that is measured.

    Attributes:
        what: who is asked.
        measure: does it for one window, and looks afterwards whether all is as it was told.
        parameters: how many of what.
        unit: what the rate counts.
        floor: whether none of our parts takes part.
        beside: what its figures are held against, by the name that it has there.
    """

    what: str
    measure: Callable[[Timing], Awaitable[Sample]]
    parameters: Parameters = field(default_factory=dict)
    unit: str = "appends"
    floor: bool = False
    beside: Mapping[str, Case] = field(default_factory=dict)


def by_name(*cases: Case) -> Mapping[str, Case]:
    """Return cases by what they are."""
    return {case.what: case for case in cases}


@dataclass(frozen=True, slots=True)
class Spread:
    """A median, and the least and the most it was taken from."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        found = list(values)
        return cls(median(found), min(found), max(found))


@dataclass(frozen=True, slots=True)
class Beside:
    """One figure over another one, taken in each repeat."""

    rate: Spread | None
    p50: Spread | None


@dataclass(frozen=True, slots=True)
class Row:
    """What the repeats of one case gave.

    Attributes:
        rate: operations a second, over the repeats.
        p50_ms, p99_ms, p999_ms: from call to answer, over all calls of all repeats.
        cpu_ms: milliseconds of CPU per operation, by process; medians.
        others: the part of all CPU time that programs beside the bench took meanwhile.
        beside: the same figures over those of others, by their names.
        also: whatever else was counted.
    """

    group: str
    what: str
    parameters: Parameters
    unit: str
    floor: bool
    rate: Spread | None
    p50_ms: float | None
    p99_ms: float | None
    p999_ms: float | None
    cpu_ms: Mapping[str, float]
    others: float
    beside: Mapping[str, Beside]
    also: Mapping[str, Spread]


def rows_of(group: str, samples: Mapping[Case, Sequence[Sample]], *, cores: int = 1) -> list[Row]:
    """Return one row per case, in their order."""
    return [_row(group, case, samples, cores) for case in samples]


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value that so many percent of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def _row(group: str, case: Case, samples: Mapping[Case, Sequence[Sample]], cores: int) -> Row:
    own = samples[case]
    latencies = [latency for sample in own for latency in sample.latencies]

    def ms(percent: float) -> float | None:
        return percentile(latencies, percent) * 1000 if latencies else None

    cpu = {name: median(s.cpu[name] for s in own) * 1000 for name in own[0].cpu if name != OTHERS}
    others = [s.cpu[OTHERS] * s.rate / cores for s in own if OTHERS in s.cpu and s.rate]
    return Row(
        group=group,
        what=case.what,
        parameters=case.parameters,
        unit=case.unit,
        floor=case.floor,
        rate=_spread(sample.rate for sample in own),
        p50_ms=ms(50),
        p99_ms=ms(99),
        p999_ms=ms(99.9),
        cpu_ms=cpu,
        others=max(0.0, median(others)) if others else 0.0,
        beside={name: _beside(own, samples[each]) for name, each in case.beside.items()},
        also={name: Spread.of(sample.also[name] for sample in own) for name in own[0].also},
    )


def _beside(own: Sequence[Sample], theirs: Sequence[Sample]) -> Beside:
    pairs = list(zip(own, theirs, strict=True))
    return Beside(
        rate=_spread(a.rate / b.rate if a.rate and b.rate else None for a, b in pairs),
        p50=_spread(
            percentile(a.latencies, 50) / percentile(b.latencies, 50)
            if a.latencies and b.latencies
            else None
            for a, b in pairs
        ),
    )


def _spread(values: Iterable[float | None]) -> Spread | None:
    found = [value for value in values if value is not None]
    return Spread.of(found) if found else None
