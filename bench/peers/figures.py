"""From the samples of all turns to the rows of the document."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from bench.peers.plan import Case, Sample

Row = dict[str, Any]


def rows(samples: Mapping[str, Iterable[Sample]]) -> list[Row]:
    """Return one row per case and peer, from the samples of each peer in all turns."""
    found: dict[tuple[Case, str], list[Sample]] = {}
    for peer, own in samples.items():
        for sample in own:
            found.setdefault((sample.case, peer), []).append(sample)
    return [_row(case, peer, own) for (case, peer), own in found.items()]


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value that so many percent of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def table(found: Sequence[Row], names: Mapping[str, str]) -> Iterable[str]:
    """Yield the rows in Markdown."""
    titles = ("what", "messages", "sessions", "in flight", "who", "a second", "least..most")
    yield _line(*titles, "p50 ms", "p99 ms", "CPU ms")
    yield "|---" * 10 + "|"
    for row in found:
        rate = row["per_second"]
        yield _line(
            *(str(row[name]) for name in ("group", "messages", "sessions", "in_flight")),
            names[row["peer"]],
            f"{rate['median']:.4g}",
            f"{rate['least']:.4g}..{rate['most']:.4g}",
            f"{row['p50_ms']:.2f}",
            f"{row['p99_ms']:.2f}",
            " + ".join(f"{ms:.2f} {name}" for name, ms in row["cpu_ms"].items()),
        )


def _line(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _row(case: Case, peer: str, samples: Sequence[Sample]) -> Row:
    rates = [len(sample.latencies) / sample.seconds for sample in samples]
    latencies = [latency for sample in samples for latency in sample.latencies]
    return {
        **asdict(case),
        "peer": peer,
        "per_second": {"median": median(rates), "least": min(rates), "most": max(rates)},
        "p50_ms": percentile(latencies, 50) * 1000,
        "p99_ms": percentile(latencies, 99) * 1000,
        "cpu_ms": {
            name: median(s.cpu[name] / len(s.latencies) for s in samples) * 1000
            for name in samples[0].cpu
        },
        "calls": len(latencies),
    }
