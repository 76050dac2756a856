"""The table of bugs: what each breaks, how the checker names it, and in how many schedules."""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.simulation.bugs.bug import BUGS, Bug
from tests.simulation.crowd import Chunk, carried_out
from tests.simulation.parts import workflows
from tests.simulation.play import play
from tests.simulation.schedule import Schedule

CHUNK = 20

HEADER = """\
| bug | promise that breaks | violation that names it | caught in | without the bug |
|---|---|---|---|---|
"""


@dataclass(slots=True)
class Found:
    """What some of the tasks came to: by bug, which laws name it, and in how many schedules."""

    played: int = 0
    caught: Counter[str] = field(default_factory=Counter)
    laws: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    violated: set[int] = field(default_factory=set)
    """Seeds that break a promise without any bug."""

    def add(self, other: Found) -> None:
        """Count what another one counted."""
        self.played += other.played
        self.caught += other.caught
        self.violated |= other.violated
        for name, laws in other.laws.items():
            self.laws[name] += laws


@dataclass(frozen=True, slots=True)
class Tasks:
    """What is to be played: each bug on its seeds, and all those seeds without any."""

    seeds: dict[str, list[int]]
    all: list[tuple[Bug | None, int]]

    @classmethod
    def of(cls, schedules: int) -> Tasks:
        """Return those of the first so many schedules that meet each bug."""
        seeds = {bug.name: list(itertools.islice(met(bug), schedules)) for bug in BUGS}
        plain = sorted({seed for each in seeds.values() for seed in each})
        bugged = [(bug, seed) for bug in BUGS for seed in seeds[bug.name]]
        return cls(seeds, [*((None, seed) for seed in plain), *bugged])

    def play(self, chunk: Chunk) -> Found:
        """Play those whose places are given."""
        found = Found()
        for place in chunk.left():
            bug, seed = self.all[place]
            found.played += 1
            if bug is None:
                if play(seed).violations:
                    found.violated.add(seed)
                continue
            with bug.injected():
                laws = bug.caught_by(play(seed).violations)
            if laws:
                found.caught[bug.name] += 1
                found.laws[bug.name].update(law.name for law in laws)
        return found


def met(bug: Bug) -> Iterator[int]:
    """Yield the seeds of the schedules that have what the bug does harm with."""
    return (seed for seed in itertools.count() if bug.meets(Schedule.of(seed)))


def main(arguments: Sequence[str]) -> int:
    """Play all bugs; 1 where one was not caught, or a promise breaks without any."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.bugs")
    parser.add_argument("--schedules", type=int, default=50, help="for each bug")
    asked = parser.parse_args(arguments)
    if os.environ.get("PYTHONHASHSEED") != "0":
        # The order in sets of names is chance, too, unless it is taken from the seed.
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)
    begun = time.monotonic()
    workflows()  # read once, for all
    gc.collect()
    gc.freeze()
    gc.disable()
    tasks, found = Tasks.of(asked.schedules), Found()
    places = range(len(tasks.all))
    chunks = [places[at : at + CHUNK] for at in range(0, len(places), CHUNK)]
    for part in carried_out(tasks.play, chunks, float("inf")):
        found.add(part)
        sys.stderr.write(f"\r{found.played} of {len(places)} schedules ")
        sys.stderr.flush()
    sys.stderr.write("\n")
    return _print(tasks, found, time.monotonic() - begun)


def _print(tasks: Tasks, found: Found, seconds: float) -> int:
    sys.stdout.write(HEADER)
    for bug in BUGS:
        seeds = tasks.seeds[bug.name]
        laws = ", ".join(law for law, _ in found.laws[bug.name].most_common())
        sys.stdout.write(
            f"| {bug.name} | {bug.promise} | {laws or '-'} "
            f"| {found.caught[bug.name]} of {len(seeds)} | {len(found.violated & {*seeds})} |\n"
        )
    missed = [bug.name for bug in BUGS if not found.caught[bug.name]]
    told = {
        "bugs": len(BUGS),
        "caught": len(BUGS) - len(missed),
        "missed": missed,
        "schedules": found.played,
        "violated_without_a_bug": sorted(found.violated),
        "seconds": round(seconds, 1),
    }
    sys.stdout.write(f"\n{json.dumps(told)}\n")
    return 1 if missed or found.violated else 0
