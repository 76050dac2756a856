"""The command line of rounds."""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import orjson

from cluster.etcd_binary import find_etcd, in_package, spelled
from cluster.ports import free_ports
from cluster.processes import CHECKOUT
from tests.faults.plan import plan
from tests.faults.round import Verdict, play

DATA = CHECKOUT / "build" / "faults"
"""Inside the checkout, because the folder for temporary files is in memory on many machines."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Play rounds with consecutive seeds; return 1 if something was wrong in any."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seed", type=int, default=None, help="of the first; default: chance")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin none after")
    asked = parser.parse_args(arguments)
    seed = asked.seed if asked.seed is not None else random.SystemRandom().randrange(10**6)
    return asyncio.run(_play_all(asked.rounds, seed, asked.seconds))


async def _play_all(rounds: int, seed: int, seconds: float) -> int:
    binary = find_etcd(os.environ, in_package())
    ports = free_ports(random.SystemRandom())
    begin, verdicts = time.monotonic(), list[Verdict]()
    for number in range(rounds):
        if time.monotonic() - begin > seconds:
            break
        made = plan(seed + number)
        faults = "; ".join(map(str, made.strikes))
        _tell(f"[{number + 1}/{rounds}] seed {made.seed}: {faults}")
        verdict = await play(made, binary, ports, DATA, told=lambda line: None)
        verdicts.append(verdict)
        word = "well" if verdict.well else "WRONG"
        _tell(
            f"    {word} in {verdict.seconds:.0f} s: {verdict.oks} of {verdict.operations} well, "
            f"{verdict.unknowns} unknown, longest {max(verdict.waits.values()):.2f} s",
        )
        for line in (*map(str, verdict.violations[:10]), *verdict.complaints):
            _tell(f"    {line[:600]}")
        if not verdict.well:
            _tell(f"    again: make faults ROUNDS=1 SEED={made.seed}")
    summary = summarised(verdicts, spelled(binary.version), time.monotonic() - begin)
    _print_table(summary)
    _tell(orjson.dumps(summary).decode())
    return 0 if summary["wrong"] == [] else 1


def summarised(verdicts: Sequence[Verdict], etcd: str, seconds: float) -> dict[str, Any]:
    """Return the figures of all rounds."""
    waits: defaultdict[str, list[float]] = defaultdict(list)
    for verdict in verdicts:
        for kind, longest in verdict.waits.items():
            waits[kind].append(longest)
    return {
        "rounds": len(verdicts),
        "counted": sum(verdict.well for verdict in verdicts),
        "seconds": round(seconds),
        "etcd": etcd,
        "operations": sum(verdict.operations for verdict in verdicts),
        "ok": sum(verdict.oks for verdict in verdicts),
        "unknown": sum(verdict.unknowns for verdict in verdicts),
        "shown": sum(verdict.shown for verdict in verdicts),
        "violations": sum(len(verdict.violations) for verdict in verdicts),
        "faults": dict(Counter(s.kind for v in verdicts for s in v.plan.strikes)),
        "longest_wait_s": {
            kind: {
                "p50": round(sorted(found)[len(found) // 2], 2),
                "max": round(max(found), 2),
            }
            for kind, found in sorted(waits.items())
        },
        "wrong": [verdict.plan.seed for verdict in verdicts if not verdict.well],
    }


def _tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _print_table(summary: dict[str, Any]) -> None:
    _tell(f"{'fault':30} {'times':>5} {'wait p50':>9} {'longest':>8}")
    for kind, found in summary["longest_wait_s"].items():
        times = summary["faults"][kind]
        _tell(f"{kind:30} {times:5} {found['p50']:8.2f}s {found['max']:7.2f}s")
    for name in ("rounds", "counted", "operations", "ok", "unknown", "shown", "violations"):
        _tell(f"{name:30} {summary[name]:5}")
