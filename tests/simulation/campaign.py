"""Many schedules on all cores, with their progress, a summary, and one last line of JSON."""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cluster.processes import CHECKOUT
from tests.faults.campaign import append, read, tree
from tests.simulation.crowd import CHUNK, Chunk, carried_out
from tests.simulation.parts import workflows
from tests.simulation.play import play

RUNS = CHECKOUT / "build" / "simulation.jsonl"
"""One line for each run: those on the same tree of the product add up."""


@dataclass(slots=True)
class Tally:
    """What some schedules came to."""

    schedules: int = 0
    operations: int = 0
    unknown: int = 0
    virtual_seconds: float = 0.0
    last_seed: int = -1
    faults: Counter[str] = field(default_factory=Counter)
    violated: dict[int, str] = field(default_factory=dict)
    """The story of each that broke a promise, by its seed."""

    def add(self, other: Tally) -> None:
        """Count what another one counted."""
        self.schedules += other.schedules
        self.operations += other.operations
        self.unknown += other.unknown
        self.virtual_seconds += other.virtual_seconds
        self.last_seed = max(self.last_seed, other.last_seed)
        self.faults += other.faults
        self.violated |= other.violated

    def figures(self, seconds: float) -> dict[str, Any]:
        """Return what adds up, as JSON has it."""
        return {
            "schedules": self.schedules,
            "operations": self.operations,
            "unknown": self.unknown,
            "virtual_seconds": round(self.virtual_seconds),
            "seconds": round(seconds, 1),
            "faults": dict(sorted(self.faults.items())),
            "violated": len(self.violated),
        }


def play_all(chunk: Chunk) -> Tally:
    """Play these, or as many of them as there is time for."""
    tally = Tally()
    for seed in chunk.left():
        verdict = play(seed)
        tally.schedules += 1
        tally.operations += len(verdict.history.operations)
        tally.unknown += verdict.unknown
        tally.virtual_seconds += verdict.seconds
        tally.last_seed = seed
        tally.faults.update(fault.kind for fault in verdict.schedule.faults)
        if verdict.violations:
            tally.violated[seed] = str(verdict)
    return tally


def main(arguments: Sequence[str]) -> int:
    """Play what the arguments ask for; 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--schedules", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long")
    parser.add_argument("--seed", type=int, default=0, help="of the first; the others count up")
    parser.add_argument("--show", action="store_true", help="print the first one's story")
    parser.add_argument("--runs", type=Path, default=RUNS, help="where the runs are kept")
    parser.add_argument(
        "--report", action="store_true", help="play nothing; add up all runs on the present tree"
    )
    asked = parser.parse_args(arguments)
    if os.environ.get("PYTHONHASHSEED") != "0":
        # The order in sets of names is chance, too, unless it is taken from the seed.
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)
    if asked.show:
        sys.stdout.write(f"{play(asked.seed)}\n")
        return 0
    if asked.report:
        return _print(added_up(asked.runs))
    return _play(range(asked.seed, asked.seed + asked.schedules), asked.seconds, asked.runs)


def added_up(runs: Path) -> dict[str, Any]:
    """Return the figures of all runs on the product as it stands here.

    A run that repeats seeds of another one shows nothing new, and does not count.
    """
    sums: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    lines = read(runs, tree())
    last = -1
    for line in sorted(lines, key=lambda line: (line["first_seed"], -line["last_seed"])):
        if line["first_seed"] <= last or not line["schedules"]:
            continue
        last = line["last_seed"]
        faults.update(line["faults"])
        sums["runs"] += 1
        sums.update({name: line[name] for name in Tally().figures(0) if name != "faults"})
    return {**sums, "faults": dict(sorted(faults.items())), **tree()}


def _play(seeds: range, seconds: float, runs: Path) -> int:
    begun, product = time.monotonic(), tree()
    workflows()  # read once, for all
    gc.collect()
    gc.freeze()
    gc.disable()
    tally = Tally()
    chunks = [seeds[at : at + CHUNK] for at in range(0, len(seeds), CHUNK)]
    for part in carried_out(play_all, chunks, begun + seconds):
        for seed, story in part.violated.items():
            if len(tally.violated) < 3:
                sys.stderr.write(f"\n{story}\n\n")
            sys.stderr.write(f"\nseed {seed} breaks a promise\n")
        tally.add(part)
        minutes = (time.monotonic() - begun) / 60
        sys.stderr.write(
            f"\r{tally.schedules} of {len(seeds)} schedules, "
            f"{tally.schedules / minutes:.0f} a minute, {len(tally.violated)} violated "
        )
        sys.stderr.flush()
    sys.stderr.write("\n")
    told = {
        **tally.figures(time.monotonic() - begun),
        **product,
        "first_seed": seeds.start,
        "last_seed": tally.last_seed,
        "violated_seeds": sorted(tally.violated)[:20],
    }
    append(runs, told)
    return _print(told)


def _print(told: dict[str, Any]) -> int:
    for kind, count in told["faults"].items():
        sys.stdout.write(f"{kind:14} {count:8}\n")
    minutes = max(told.get("seconds", 0), 0.1) / 60
    told["schedules_per_minute"] = round(told.get("schedules", 0) / minutes)
    sys.stdout.write(f"{json.dumps(told)}\n")
    return 1 if told.get("violated") else 0
