"""The command line of rounds."""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import random
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from itertools import islice, takewhile
from multiprocessing.queues import SimpleQueue

import orjson

from cluster.etcd_binary import find_etcd, in_package, spelled
from cluster.ports import free_ports
from cluster.processes import CHECKOUT
from tests.faults import campaign
from tests.faults.plan import plan
from tests.faults.round import play
from tests.faults.verdict import Verdict

DATA = CHECKOUT / "build" / "faults"
"""Inside the checkout, because the folder for temporary files is in memory on many machines."""

CAMPAIGN = DATA / "campaign.jsonl"

_LIMIT_SECONDS = 300.0
"""No round takes so long, unless something hangs."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Play rounds with consecutive seeds; return 1 if something was wrong in any."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seed", type=int, default=None, help="of the first; default: chance")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin none after")
    parser.add_argument("--jobs", type=int, default=1, help="rounds at once")
    parser.add_argument(
        "--report", action="store_true", help="play nothing; sum all rounds on the present tree"
    )
    asked = parser.parse_args(arguments)
    if asked.report:
        _report(campaign.read(CAMPAIGN, campaign.tree()))
        return 0
    seed = asked.seed if asked.seed is not None else random.SystemRandom().randrange(10**6)
    lines: list[campaign.Line] = []
    for line in play_all(_in_time(range(seed, seed + asked.rounds), asked.seconds), asked.jobs):
        lines.append(line)
        _tell(f"{_bar(len(lines), asked.rounds)} {_spelled(line)}")
    _report(lines)
    return 0 if all(not line["violations"] and not line["stuck"] for line in lines) else 1


def _in_time(seeds: Iterable[int], seconds: float) -> Iterator[int]:
    ends = time.monotonic() + seconds
    return takewhile(lambda _: time.monotonic() < ends, seeds)


def play_all(seeds: Iterable[int], jobs: int) -> Iterator[campaign.Line]:
    """Play the rounds of these seeds, so many at once; yield the line of each when it is over.

    A seed is taken when its round begins. Each of so many processes plays one after the other.
    """
    spawn = multiprocessing.get_context("spawn")
    slots = spawn.SimpleQueue()
    for slot in range(jobs):
        slots.put(slot)
    waiting = iter(seeds)
    with ProcessPoolExecutor(jobs, spawn, initializer=_take, initargs=(slots, jobs)) as workers:
        under_way = {workers.submit(play_one, seed) for seed in islice(waiting, jobs)}
        while under_way:
            done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            for each in done:
                yield each.result()
                under_way |= {workers.submit(play_one, seed) for seed in islice(waiting, 1)}


_slot, _slots = 0, 1


def _take(slots: SimpleQueue[int], jobs: int) -> None:
    """Take this process's share of all ports: others look for free ones at the same time."""
    global _slot, _slots
    _slot, _slots = slots.get(), jobs


def _ports() -> Iterator[int]:
    for port in free_ports(random.SystemRandom()):
        if port % _slots == _slot:
            yield port


def play_one(seed: int) -> campaign.Line:
    """Play the round of a seed, add its line to the campaign, and return it."""
    binary = find_etcd(os.environ, in_package())
    before, made = campaign.tree(), plan(seed)
    try:
        verdict = asyncio.run(asyncio.wait_for(play(made, binary, _ports(), DATA), _LIMIT_SECONDS))
    except Exception as error:
        verdict = Verdict(made, stuck=[f"the round broke: {error!r}"])
    after = campaign.tree()
    line = {
        **after,
        "dirty": before != after or after["dirty"],
        "etcd": spelled(binary.version),
        **verdict.line(),
    }
    campaign.append(CAMPAIGN, line)
    return line


def _bar(done: int, of: int) -> str:
    return f"[{'#' * (20 * done // of):20}] {done}/{of}"


def _spelled(line: campaign.Line) -> str:
    """Return a round in a few lines."""
    word = "counts" if line["counted"] else "DOES NOT COUNT"
    if line["violations"] or line["stuck"]:
        word = "WRONG"
    rows = [
        f"seed {line['seed']} {word} in {line['seconds']:.0f} s: {line['ok']} of "
        f"{line['operations']} well, {line['unknown']} unknown"
    ]
    for strike in line["strikes"]:
        did = ", ".join(f"{name} {times}" for name, times in strike["done"].items())
        rows.append(f"    {strike['kind']} {strike['against']}: {did or 'no effect'}")
    rows += [f"    {why}" for why in line["why"]]
    if not line["counted"]:
        rows.append(f"    again: make faults ROUNDS=1 SEED={line['seed']}")
    return "\n".join(rows)


def _tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _report(lines: Sequence[campaign.Line]) -> None:
    sums = campaign.summed(lines)
    _tell(campaign.table(sums))
    _tell(orjson.dumps(sums).decode())
