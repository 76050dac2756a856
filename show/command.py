"""The command line of the shows."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import uvloop

from cluster.etcd_binary import EtcdNotFound, find_etcd, in_package
from show import authz, fork, idle, kill, retention, roundtrip, stop, term, turn, upheaval
from show.outcome import Outcome


class _Scenario(NamedTuple):
    run: Callable[..., Awaitable[None]]
    seconds: float


SCENARIOS: Mapping[str, _Scenario] = {
    "kill": _Scenario(partial(upheaval.run, kill.SHOW), kill.SECONDS),
    "term": _Scenario(partial(upheaval.run, term.SHOW), term.SECONDS),
    "stop": _Scenario(partial(upheaval.run, stop.SHOW), stop.SECONDS),
    "turn": _Scenario(turn.run, turn.SECONDS),
    "idle": _Scenario(idle.run, idle.SECONDS),
    "retention": _Scenario(retention.run, retention.SECONDS),
    "authz": _Scenario(authz.run, authz.SECONDS),
    "fork": _Scenario(fork.run, fork.SECONDS),
    "roundtrip": _Scenario(roundtrip.run, roundtrip.SECONDS),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one show; return 0 when all was well, 1 when not, 2 when it could not begin.

    Progress goes to stderr. The last line, on stdout, is JSON, also after Ctrl-C.
    """
    parser = argparse.ArgumentParser(prog="python -m show", description=__doc__)
    parser.add_argument("scenario", choices=SCENARIOS)
    parser.add_argument("--duration", type=_seconds, help="seconds of load")
    parser.add_argument("--seed", type=int, default=1, help="of all random choices")
    asked = parser.parse_args(arguments)
    scenario = SCENARIOS[asked.scenario]
    try:
        binary = find_etcd(os.environ, in_package())
    except EtcdNotFound as failure:
        _say(str(failure))
        return 2
    if binary.warning:
        _say(binary.warning)
    outcome = Outcome(asked.scenario, asked.seed)
    begin = time.monotonic()

    def told(line: str) -> None:
        _say(f"{time.monotonic() - begin:5.1f} s  {line}")

    # All that a show records stays to its end. To look through that for garbage, again and again,
    # would stop the load for a second at a time, and be told as the parts' doing.
    gc.set_threshold(100_000, 50, 1000)
    running = scenario.run(binary, outcome, seconds=asked.duration or scenario.seconds, told=told)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_until_asked_to_stop(running, outcome))
    print(outcome.line(), flush=True)
    return 0 if outcome.ok else 1


async def _until_asked_to_stop(running: Awaitable[None], outcome: Outcome) -> None:
    """Run to the end; SIGINT, SIGTERM and SIGHUP end it before that, and clean up."""
    task = asyncio.ensure_future(running)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        outcome.complain(["it was interrupted"])
    except Exception as failure:
        outcome.complain(_spelled(failure))


def _spelled(failure: BaseException) -> list[str]:
    if isinstance(failure, BaseExceptionGroup):
        return [line for each in failure.exceptions for line in _spelled(each)]
    return [f"{type(failure).__name__}: {failure}"]


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 1 <= seconds <= 24 * 3600:
        raise argparse.ArgumentTypeError("must be from 1 second to a day")
    return seconds


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
