"""Chunks of work on all cores, each in a process of its own.

Nothing collects garbage there: a process ends before what it leaves lying about is much, and takes
all of it along. Who is told to stop, by SIGINT or SIGTERM, ends what it is at and tells of it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from typing import Any, TypeVar, cast

T = TypeVar("T")

CHUNK = 25
"""Schedules of one process."""

STOPS = (signal.SIGINT, signal.SIGTERM)


class _Stop:
    """Whether somebody asked for an end."""

    asked = False


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some of the seeds, and until when there is time for them."""

    seeds: range
    ends_at: float

    def left(self) -> Iterator[int]:
        """Yield one after the other, while there is time."""
        for seed in self.seeds:
            if _over(self.ends_at):
                return
            yield seed


def carried_out(work: Callable[[Chunk], T], chunks: Sequence[range], ends_at: float) -> Iterator[T]:
    """Yield what comes of each, in any order, from as many processes as there are cores.

    Raises:
        RuntimeError: a process died.
    """
    fork = multiprocessing.get_context("fork")
    waiting = iter(chunks)
    at_work: dict[Connection, tuple[ForkProcess, range]] = {}

    def stop(*_: object) -> None:
        _Stop.asked = True
        for child, _seeds in at_work.values():
            child.terminate()

    before = {number: signal.signal(number, stop) for number in STOPS}
    _Stop.asked = False
    try:
        while True:
            while len(at_work) < (os.cpu_count() or 1) and not _over(ends_at):
                if (seeds := next(waiting, None)) is None:
                    break
                here, there = fork.Pipe(duplex=False)
                process = fork.Process(target=_work, args=(work, Chunk(seeds, ends_at), there))
                process.start()
                there.close()
                at_work[here] = process, seeds
            if not at_work:
                return
            for told in wait(tuple(at_work)):
                here = cast(Connection, told)
                process, seeds = at_work.pop(here)
                try:
                    done = here.recv()
                except EOFError:
                    raise RuntimeError(f"who played from {seeds.start} on died") from None
                process.join()
                yield done
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _over(ends_at: float) -> bool:
    return _Stop.asked or time.monotonic() >= ends_at


def _work(work: Callable[[Chunk], Any], chunk: Chunk, there: Connection) -> None:
    def stop(*_: object) -> None:
        _Stop.asked = True

    for number in STOPS:
        signal.signal(number, stop)
    there.send(work(chunk))
    there.close()
