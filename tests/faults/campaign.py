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
    lines = [orjson.loads(line) for line in file.read_bytes().splitlines() if line]
    if of is None:
        return lines
    return [line for line in lines if all(line[name] == of[name] for name in of)]


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value that so many percent do not exceed."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(len(ranked) * percent / 100))]


def summed(lines: Sequence[Line]) -> Line:
    """Return the figures of rounds.

    Only what counts is a proof: the faults, overlaps and unknown outcomes of a kind are those of
    rounds that count, and a fault without effect is not used.
    """
    counted = [line for line in lines if line["counted"]]
    kinds: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for line in counted:
        for strike in line["strikes"]:
            told = kinds[strike["kind"]]
            told["used"] += strike["used"]
            told["idle"] += not strike["used"]
            told["overlapped"] += strike["overlapped"] if strike["used"] else 0
        for kind in {strike["kind"] for strike in line["strikes"] if strike["used"]}:
            kinds[kind]["unknown"] += line["unknown"]
    well: Counter[str] = Counter()
    for line in lines:
        well.update(line["well_by_kind"])
    times: defaultdict[str, list[float]] = defaultdict(list)
    for line in counted:
        for cause, found in line["failover"].items():
            times[cause] += found
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
        "kinds": {kind: dict(kinds[kind]) for kind in sorted(kinds)},
        "failover_s": {
            cause: {
                "sessions": len(times[cause]),
                "p50": round(percentile(times[cause], 50), 2),
                "p99": round(percentile(times[cause], 99), 2),
            }
            for cause in sorted(times)
        },
        "wrong": [line["seed"] for line in lines if line["violations"] or line["stuck"]],
        "not_counted": {str(line["seed"]): line["why"] for line in lines if not line["counted"]},
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
        figures = (told.get(name, 0) for name in ("used", "idle", "overlapped", "unknown"))
        rows.append(f"| {kind} | " + " | ".join(f"{figure:,}" for figure in figures) + " |")
    rows += ["", "| cause | sessions | p50 | p99 |", "|---|---:|---:|---:|"]
    for cause, told in sums["failover_s"].items():
        rows.append(f"| {cause} | {told['sessions']} | {told['p50']:.2f} s | {told['p99']:.2f} s |")
    rows += ["", "| all rounds | |", "|---|---:|"]
    for name in (*_SUMS, "violations", "stuck"):
        rows.append(f"| {name} | {sums[name]:,} |")
    return "\n".join(rows)


_SUMS = ("rounds", "counted", "seconds", "operations", "ok", "failed", "unknown", "shown")
