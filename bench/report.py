"""What a run says: tables for people, and one JSON document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from bench.figures import Figure
from bench.run import Result
from bench.scenario import APPEND, LIST, LOAD
from bench.system import PARTS

_QUIET = 0.1


def document(result: Result) -> dict[str, Any]:
    """Return all figures as JSON can hold them."""
    return {
        "environment": asdict(result.environment),
        "cpu_of_others": result.others,
        "plan": asdict(result.plan),
        "stored_bytes": asdict(result.sizes),
        "figures": [
            {
                "figure": figure.scenario.figure,
                "what": figure.scenario.what,
                "in_flight": figure.scenario.in_flight,
                "floor": figure.scenario.floor,
                "per_second": asdict(figure.rate),
                "p50_ms": figure.p50_ms,
                "p99_ms": figure.p99_ms,
                "cpu_ms": figure.cpu_ms,
                "of_floors": {what: asdict(spread) for what, spread in figure.of_floors.items()},
            }
            for figure in result.figures
        ],
    }


def write(result: Result, path: Path) -> None:
    """Write the document, with four significant digits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(orjson.dumps(_rounded(document(result)), option=orjson.OPT_INDENT_2) + b"\n")


def lines(result: Result) -> Iterator[str]:
    """Yield the tables, in Markdown."""
    plan, environment, sizes = result.plan, result.environment, result.sizes
    yield (
        f"{environment.cores} cores, Python {environment.python}, etcd {environment.etcd}, "
        f"4 KiB durable in {environment.sync_ms:.2g} ms; {plan.repeats} repeats of "
        f"{plan.seconds:g} s; stored per append: record {sizes.record} B, head {sizes.head} B, "
        f"entry {sizes.entry} B"
    )
    if result.others > _QUIET:
        yield (
            f"Other programs took {result.others:.0%} of the CPUs meanwhile: these figures are "
            "worth little. Run again when the machine is quiet."
        )
    yield from _appends([f for f in result.figures if f.scenario.figure == APPEND], plan)
    for kind, title in (
        (LIST, f"List {plan.page} of {plan.sessions} sessions"),
        (LOAD, f"Load {plan.messages} messages"),
    ):
        yield from _reads([f for f in result.figures if f.scenario.figure == kind], title)
    yield from _usage(result.figures)


def _appends(figures: Iterable[Figure], plan: Any) -> Iterator[str]:
    yield ""
    yield f"**Durable appends of {plan.content_bytes} bytes**"
    yield ""
    yield "| in flight | what | a second | least..most | p50 ms | p99 ms | of the floors |"
    yield "|---|---|---|---|---|---|---|"
    for figure in figures:
        beside = "; ".join(
            f"{spread.median:.2f} of {what}" for what, spread in figure.of_floors.items()
        )
        yield _row(
            str(figure.scenario.in_flight),
            _named(figure),
            f"{figure.rate.median:,.0f}",
            f"{figure.rate.least:,.0f}..{figure.rate.most:,.0f}",
            f"{figure.p50_ms:.2f}",
            f"{figure.p99_ms:.2f}",
            beside,
        )


def _reads(figures: Iterable[Figure], title: str) -> Iterator[str]:
    yield ""
    yield f"**{title}**, one at a time"
    yield ""
    yield "| what | p50 ms | p99 ms | a second | least..most | times as long as the floor |"
    yield "|---|---|---|---|---|---|"
    for figure in figures:
        yield _row(
            _named(figure),
            f"{figure.p50_ms:.2f}",
            f"{figure.p99_ms:.2f}",
            f"{figure.rate.median:,.0f}",
            f"{figure.rate.least:,.0f}..{figure.rate.most:,.0f}",
            "; ".join(f"{1 / spread.median:.1f}" for spread in figure.of_floors.values()),
        )


def _usage(figures: Iterable[Figure]) -> Iterator[str]:
    shown = ("load", "echo", *reversed(PARTS))
    yield ""
    yield "**Milliseconds of CPU per operation**, by process"
    yield ""
    yield "| figure | in flight | what | " + " | ".join(shown) + " | all |"
    yield "|---|---|---" + "|---" * (len(shown) + 1) + "|"
    for figure in figures:
        used = [figure.cpu_ms[name] for name in shown]
        yield _row(
            figure.scenario.figure,
            str(figure.scenario.in_flight),
            _named(figure),
            *(f"{ms:.3f}" for ms in (*used, sum(used))),
        )


def _named(figure: Figure) -> str:
    return figure.scenario.what if figure.scenario.floor else f"**{figure.scenario.what}**"


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _rounded(value: Any) -> Any:
    match value:
        case float():
            return float(f"{value:.4g}")
        case dict():
            return {name: _rounded(each) for name, each in value.items()}
        case list() | tuple():
            return [_rounded(each) for each in value]
    return value
