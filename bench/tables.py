"""The tables, in Markdown, from the document of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

Rows = Sequence[dict[str, Any]]

QUIET = 0.1
_SEEN_MS = 0.001


def summary(made: dict[str, Any]) -> Iterator[str]:
    """Yield on what and how it was measured."""
    environment, plan = made["environment"], made["plan"]
    yield (
        f"{environment['cores']} cores, Python {environment['python']}, etcd {environment['etcd']},"
        f" 4 KiB durable in {environment['sync_ms']:.2g} ms; {plan['repeats']} repeats of"
        f" {plan['seconds']:g} s, messages of {plan['content_bytes']} bytes."
    )
    if made["cpu_of_others"] > QUIET:
        yield (
            f"Other programs took up to {made['cpu_of_others']:.0%} of the CPUs meanwhile: these"
            " figures are worth little. Run again when the machine is quiet."
        )
    if made["peers"] is None:
        yield "The peers were not measured: `make bench-peers` does that."


def targets(made: dict[str, Any]) -> Iterator[str]:
    """Yield each line of the specification's section 8, and what became of it."""
    yield "| what is asked for | who | figure | measured | met |"
    yield "|---|---|---|---|---|"
    for row in made["rows"]:
        for verdict in row["targets"]:
            named = ", ".join(f"{value} {name}" for name, value in row["parameters"].items())
            yield _line(
                verdict["line"],
                f"{row['what']}: {named}",
                verdict["asked"],
                _number(verdict["value"]),
                {True: "yes", False: "**no**", None: "not measured"}[verdict["met"]],
            )


def groups(made: dict[str, Any]) -> list[str]:
    """Return the names of the groups that were measured."""
    return list(dict.fromkeys(row["group"] for row in made["rows"]))


def figures(made: dict[str, Any], group: str) -> Iterator[str]:
    """Yield the figures of one group, ours in bold."""
    rows = [row for row in made["rows"] if row["group"] == group]
    parameters = _names(rows, "parameters")
    also = _names(rows, "also")
    beside = any(row["beside"] or row["peers"] for row in rows)
    timed = any(row["p50_ms"] is not None for row in rows)
    rated = any(row["rate"] is not None for row in rows)
    units = {row["unit"] for row in rows if row["rate"] is not None}
    head = [*parameters, "what"]
    if rated:
        head += [f"{'/'.join(sorted(units))} a second", "least..most"]
    head += ["p50 ms", "p99 ms", "p99.9 ms"] if timed else []
    head += also
    head += ["over what stands beside it"] if beside else []
    yield _line(*head)
    yield "|" + "---|" * len(head)
    for row in rows:
        cells = [str(row["parameters"].get(name, "")) for name in parameters] + [_who(row)]
        if rated:
            cells += _rate(row["rate"])
        if timed:
            cells += [_number(row[name]) for name in ("p50_ms", "p99_ms", "p999_ms")]
        cells += [_number(row["also"].get(name, {}).get("median")) for name in also]
        if beside:
            cells.append("; ".join(_beside(row)))
        yield _line(*cells)


def usage(made: dict[str, Any], group: str) -> Iterator[str]:
    """Yield the CPU per operation of one group, by process; nothing where none was counted."""
    rows = [row for row in made["rows"] if row["group"] == group and row["cpu_ms"]]
    names = [
        name
        for name in _names(rows, "cpu_ms")
        if any(row["cpu_ms"].get(name, 0) >= _SEEN_MS for row in rows)
    ]
    if not names:
        return
    parameters = _names(rows, "parameters")
    yield _line(*parameters, "ms of CPU per operation", *names, "all")
    yield "|" + "---|" * (len(parameters) + len(names) + 2)
    for row in rows:
        used = [row["cpu_ms"].get(name, 0.0) for name in names]
        cells = [str(row["parameters"].get(name, "")) for name in parameters]
        yield _line(*cells, _who(row), *(f"{ms:.3f}" for ms in (*used, sum(used))))


def lines(made: dict[str, Any]) -> Iterator[str]:
    """Yield everything."""
    yield from summary(made)
    for group in groups(made):
        yield from ("", f"## {group}", "")
        yield from figures(made, group)
        if used := list(usage(made, group)):
            yield from ("", *used)
    if any(row["targets"] for row in made["rows"]):
        yield from ("", "## What the specification asks for", "")
        yield from targets(made)


def _names(rows: Rows, field: str) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row[field]))


def _who(row: dict[str, Any]) -> str:
    return str(row["what"]) if row["floor"] else f"**{row['what']}**"


def _rate(rate: dict[str, float] | None) -> list[str]:
    if rate is None:
        return ["", ""]
    return [_number(rate["median"]), f"{_number(rate['least'])}..{_number(rate['most'])}"]


def _beside(row: dict[str, Any]) -> Iterator[str]:
    for name, ratio in row["beside"].items():
        p50 = "" if ratio["p50"] is None else f" (p50 {ratio['p50']['median']:.2f}x)"
        if ratio["rate"] is not None:
            yield f"{ratio['rate']['median']:.2f} of {name}{p50}"
    for name, times in row["peers"].items():
        yield f"{times:.1f}x {name}"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _line(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"
