"""The bench itself: fresh parts for a group, and its cases measured in turn, again and again."""

from __future__ import annotations

import asyncio
import gc
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.measuring import Sample, Timing
from bench.plan import Plan
from bench.rows import Case, Row, rows_of
from bench.system import System, running
from cluster.etcd_binary import EtcdBinary


class NoFigure(Exception):
    """A case could not be measured; its cause says why."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What a group is given.

    Attributes:
        group: its name.
        folder: is there, on a real disk.
        told: hears how it goes.
    """

    group: str
    plan: Plan
    binary: EtcdBinary
    folder: Path
    cores: int
    told: Callable[[str], None]

    @asynccontextmanager
    async def running(
        self, *, etcds: int = 1, lives: int = 1, gateways: int = 1
    ) -> AsyncIterator[System]:
        """Run so many of each part on data of their own while the block runs.

        Raises:
            ExceptionGroup: a part died; then there are no figures.
        """
        gc.collect()
        with tempfile.TemporaryDirectory(dir=self.folder) as made:
            async with (
                running(
                    Path(made), self.binary, etcds=etcds, lives=lives, gateways=gateways
                ) as system,
                asyncio.TaskGroup() as tasks,
            ):
                watching = tasks.create_task(system.cluster.watch())
                yield system
                watching.cancel()

    async def in_turn(
        self, system: System, cases: Sequence[Case], *, seconds: float | None = None
    ) -> list[Row]:
        """Measure each case once in every repeat, and return a row for each.

        Raises:
            NoFigure: an operation failed, or something that was acknowledged is not there.
        """
        plan = self.plan
        timing = Timing(plan.warm_up, seconds or plan.seconds, system.usage)
        samples: dict[Case, list[Sample]] = {case: [] for case in cases}
        for repeat in range(1, plan.repeats + 1):
            self.told(f"{self.group}: measuring, {repeat} of {plan.repeats}")
            for case, found in samples.items():
                try:
                    found.append(await case.measure(timing))
                except Exception as failure:
                    raise NoFigure(f"{case.what}, {dict(case.parameters)}") from failure
        return self.rows(samples)

    def rows(self, samples: dict[Case, list[Sample]]) -> list[Row]:
        """Return a row for each case."""
        return rows_of(self.group, samples, cores=self.cores)


def reason(failure: BaseException) -> str:
    """Return what went wrong first, where several things did because of it."""
    told = []
    while True:
        if isinstance(failure, BaseExceptionGroup):
            failure = failure.exceptions[0]
            continue
        told.append(str(failure) if isinstance(failure, NoFigure) else repr(failure))
        if failure.__cause__ is None:
            return ": ".join(told)
        failure = failure.__cause__
