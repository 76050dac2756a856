"""Rounds on the same tree of the product add up: a file of one line a round, and its sum.

A line is what a round's verdict says, with the tree that it was played on: the hashes of the
product's folders, whether they differ from what is committed, and etcd's version.
"""

from __future__ import annotations

import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import orjson

from cluster.processes import CHECKOUT
from tests.faults.plan import KINDS

PRODUCT = ("services", "sessiond", "gateway")
Line = dict[str, Any]


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def tree() -> Line:
    """Return which product stands here."""
    hashes = _git("rev-parse", *(f"HEAD:{name}" for name in PRODUCT)).splitlines()
    return {
        "tree": dict(zip(PRODUCT, hashes, strict=True)),
        "dirty": bool(_git("status", "--porcelain", "--", *PRODUCT)),
    }


def append(file: Path, line: Line) -> None:
    """Add a round."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab") as lines:
        lines.write(orjson.dumps(line) + b"\n")


def read(file: Path, of: Line | None = None) -> list[Line]:
    """Return all rounds in a file, or those of one tree."""
    told = file.read_bytes() if file.exists() else b""
    lines = [orjson.loads(line) for line in told.splitlines()]
    if of is None:
        return lines
    return [line for line in lines if all(line[name] == of[name] for name in of)]


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value that so many percent do not exceed."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(len(ranked) * percent / 100))]


def summed(lines: Sequence[Line]) -> Line:
    """Return the figures of rounds.

    Only what counts is a proof: the faults, failovers and roads are those of rounds that count.
    """
    counted = [line for line in lines if line["counted"]]
    strikes = [strike for line in counted for strike in line["strikes"]]
    well: Counter[str] = Counter()
    for line in lines:
        well.update(line["well_by_kind"])
    return {
        "rounds": len(lines),
        "counted": len(counted),
        "trees": _distinct({**line["tree"], "dirty": line["dirty"]} for line in lines),
        "etcd": _distinct(line["etcd"] for line in lines),
        "seconds": round(sum(line["seconds"] for line in lines)),
        **{
            name: sum(line[name] for line in lines)
            for name in ("operations", "ok", "failed", "unknown", "shown")
        },
        "well_by_kind": dict(sorted(well.items())),
        "violations": sum(len(line["violations"]) for line in lines),
        "stuck": sum(bool(line["stuck"]) for line in lines),
        "kinds": {kind: _of_kind(kind, counted) for kind in KINDS},
        "roads": Counter(
            road
            for strike in strikes
            if strike["kind"].startswith("road")
            for road in sorted(strike["done"])
        ),
        "failover_s": _failover(counted),
        "wrong": [line["seed"] for line in lines if line["violations"] or line["stuck"]],
        "not_counted": {str(line["seed"]): line["why"] for line in lines if not line["counted"]},
    }


def _of_kind(kind: str, lines: Sequence[Line]) -> Line:
    """Return how often a kind was used, and what went on meanwhile."""
    mine = [
        (strike, line["unknown"])
        for line in lines
        for strike in line["strikes"]
        if strike["kind"] == kind
    ]
    used = [(strike, unknown) for strike, unknown in mine if strike["used"]]
    return {
        "used": len(used),
        "idle": len(mine) - len(used),
        "overlapped": sum(strike["overlapped"] for strike, _ in used),
        "unknown": sum(unknown for _, unknown in used),
    }


def _failover(lines: Sequence[Line]) -> dict[str, Line]:
    times: defaultdict[str, list[float]] = defaultdict(list)
    for line in lines:
        for cause, found in line["failover"].items():
            times[cause] += found
    return {
        cause: {
            "sessions": len(times[cause]),
            "p50": round(percentile(times[cause], 50), 2),
            "p99": round(percentile(times[cause], 99), 2),
        }
        for cause in sorted(times)
    }


def _distinct(each: Iterable[Any]) -> list[Any]:
    found: list[Any] = []
    for one in each:
        if one not in found:
            found.append(one)
    return found


def table(sums: Line) -> str:
    """Return the figures as Markdown."""
    rows = [
        "| fault | times used | without effect | operations overlapped | unknown in its rounds |",
        "|---|---:|---:|---:|---:|",
    ]
    for kind, told in sums["kinds"].items():
        figures = (told[name] for name in ("used", "idle", "overlapped", "unknown"))
        rows.append(f"| {kind} | " + " | ".join(f"{figure:,}" for figure in figures) + " |")
    rows += ["", "| cause | sessions | p50 | p99 |", "|---|---:|---:|---:|"]
    for cause, told in sums["failover_s"].items():
        rows.append(f"| {cause} | {told['sessions']} | {told['p50']:.2f} s | {told['p99']:.2f} s |")
    rows += ["", "| all rounds | |", "|---|---:|"]
    for name in (*_SUMS, "violations", "stuck"):
        rows.append(f"| {name} | {sums[name]:,} |")
    return "\n".join(rows)


_SUMS = ("rounds", "counted", "seconds", "operations", "ok", "failed", "unknown", "shown")
