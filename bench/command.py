"""The command line of the benches."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import uvloop

from bench.bench import Bench, reason
from bench.document import Result, document, write
from bench.environment import environment_of
from bench.groups import GROUPS
from bench.peer_rows import read
from bench.plan import Plan
from bench.rows import Row
from bench.tables import lines
from cluster.etcd_binary import EtcdBinary, EtcdNotFound, find_etcd, in_package

CHECKOUT = Path(__file__).resolve().parent.parent
# Inside the checkout, because the folder for temporary files is in memory on many machines.
DATA = CHECKOUT / "build" / "bench"
RESULTS = CHECKOUT / "bench" / "results"
LATEST = RESULTS / "latest.json"
SOME = RESULTS / "some.local.json"
PEERS = RESULTS / "peers.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; return the exit code."""
    asked = _parser().parse_args(arguments)
    if asked.list:
        for name, group in GROUPS.items():
            print(f"{name:10} {(group.__doc__ or '').partition('.')[0]}.")
        return 0
    given = {"repeats": asked.repeats, "seconds": asked.seconds}
    plan = replace(Plan(), **{name: value for name, value in given.items() if value is not None})
    try:
        binary = find_etcd(os.environ, in_package())
    except EtcdNotFound as failure:
        _say(str(failure))
        return 2
    if binary.warning:
        _say(binary.warning)
    DATA.mkdir(parents=True, exist_ok=True)
    names = asked.only or list(GROUPS)
    environment = environment_of(binary, DATA)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            rows = runner.run(_measure(names, plan, binary))
    except Exception as failure:
        _say(f"There are no figures: {reason(failure)}")
        return 1
    made = document(Result(plan, environment, rows, read(PEERS)))
    write(made, asked.output or (SOME if asked.only else LATEST))
    print("\n".join(lines(made)))
    return 0


async def _measure(names: Sequence[str], plan: Plan, binary: EtcdBinary) -> list[Row]:
    cores = len(os.sched_getaffinity(0))
    return [
        row
        for name in names
        for row in await GROUPS[name](Bench(name, plan, binary, DATA, cores, _say))
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--only", nargs="+", choices=GROUPS, metavar="NAME", help="these groups: see --list"
    )
    parser.add_argument("--repeats", type=int, help="how often everything is measured")
    parser.add_argument("--seconds", type=float, help="the length of a window")
    parser.add_argument("--output", type=Path, help="where the JSON goes")
    parser.add_argument("--list", action="store_true", help="name the groups, and do nothing")
    return parser


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
