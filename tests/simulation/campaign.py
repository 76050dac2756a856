"""Many schedules on all cores, with their progress, a summary, and one last line of JSON."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field

from tests.simulation.play import play

CHUNK = 25
"""Schedules that one process plays before it tells."""


@dataclass(slots=True)
class Tally:
    """What some schedules came to."""

    schedules: int = 0
    operations: int = 0
    unknown: int = 0
    virtual_seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    violated: dict[int, str] = field(default_factory=dict)
    """The story of each that broke a promise, by its seed."""

    def add(self, other: Tally) -> None:
        """Count what another one counted."""
        self.schedules += other.schedules
        self.operations += other.operations
        self.unknown += other.unknown
        self.virtual_seconds += other.virtual_seconds
        self.faults += other.faults
        self.violated |= other.violated


def play_all(seeds: Sequence[int]) -> Tally:
    """Play these."""
    tally = Tally()
    for seed in seeds:
        verdict = play(seed)
        tally.schedules += 1
        tally.operations += len(verdict.history.operations)
        tally.unknown += verdict.unknown
        tally.virtual_seconds += verdict.seconds
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
    asked = parser.parse_args(arguments)
    if os.environ.get("PYTHONHASHSEED") != "0":
        # The order in sets of names is chance, too, unless it is taken from the seed.
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)
    if asked.show:
        sys.stdout.write(f"{play(asked.seed)}\n")
        return 0
    begun = time.monotonic()
    tally = Tally()
    for part in _parts(range(asked.seed, asked.seed + asked.schedules), begun + asked.seconds):
        for seed, story in part.violated.items():
            if len(tally.violated) < 3:
                sys.stderr.write(f"\n{story}\n\n")
            sys.stderr.write(f"\nseed {seed} breaks a promise\n")
        tally.add(part)
        minutes = (time.monotonic() - begun) / 60
        sys.stderr.write(
            f"\r{tally.schedules} of {asked.schedules} schedules, "
            f"{tally.schedules / minutes:.0f} a minute, {len(tally.violated)} violated "
        )
        sys.stderr.flush()
    sys.stderr.write("\n")
    return _summary(tally, asked.seed, time.monotonic() - begun)


def _parts(seeds: range, ends_at: float) -> Iterator[Tally]:
    """Yield what came of the seeds, chunk by chunk, from as many processes as there are cores."""
    workers = os.cpu_count() or 1
    chunks = iter([seeds[at : at + CHUNK] for at in range(0, len(seeds), CHUNK)])
    with ProcessPoolExecutor(workers) as pool:
        waiting: set[Future[Tally]] = set()
        while True:
            if time.monotonic() < ends_at:
                for chunk in itertools.islice(chunks, 2 * workers - len(waiting)):
                    waiting.add(pool.submit(play_all, chunk))
            if not waiting:
                return
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for each in done:
                yield each.result()


def _summary(tally: Tally, seed: int, seconds: float) -> int:
    for kind, count in sorted(tally.faults.items()):
        sys.stdout.write(f"{kind:14} {count:8}\n")
    told = {
        "schedules": tally.schedules,
        "first_seed": seed,
        "operations": tally.operations,
        "unknown": tally.unknown,
        "virtual_seconds": round(tally.virtual_seconds),
        "seconds": round(seconds, 1),
        "schedules_per_minute": round(60 * tally.schedules / seconds),
        "faults": dict(sorted(tally.faults.items())),
        "violated": len(tally.violated),
        "violated_seeds": sorted(tally.violated)[:20],
    }
    sys.stdout.write(f"{json.dumps(told)}\n")
    return 1 if tally.violated else 0
