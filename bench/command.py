"""The command line of the benches."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import uvloop

from bench.plan import Plan
from bench.report import lines, write
from bench.run import Result, measure
from cluster.etcd_binary import EtcdNotFound, find_etcd, in_package

CHECKOUT = Path(__file__).resolve().parent.parent
# Inside the checkout, because the folder for temporary files is in memory on many machines.
DATA = CHECKOUT / "build" / "bench"
LATEST = CHECKOUT / "bench" / "results" / "latest.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; return the exit code."""
    plan = Plan()
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--repeats", type=int, default=plan.repeats)
    parser.add_argument("--seconds", type=float, default=plan.seconds, help="of a window")
    parser.add_argument("--output", type=Path, default=LATEST, help="where the JSON goes")
    asked = parser.parse_args(arguments)
    plan = Plan(repeats=asked.repeats, seconds=asked.seconds)
    try:
        binary = find_etcd(os.environ, in_package())
    except EtcdNotFound as failure:
        _say(str(failure))
        return 2
    if binary.warning:
        _say(binary.warning)
    DATA.mkdir(parents=True, exist_ok=True)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        result: Result = runner.run(measure(plan, binary, DATA, told=_say))
    write(result, asked.output)
    print("\n".join(lines(result)))
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
