"""One run: the parts come up, every scenario is measured in turn, again and again."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.environment import Environment, busy_seconds, environment_of
from bench.figures import Figure, figures_of
from bench.load import Sample, drive
from bench.plan import Plan
from bench.scenario import APPEND, Scenario, scenarios
from bench.stored import Sizes
from bench.system import System, running
from cluster.etcd_binary import EtcdBinary


@dataclass(frozen=True, slots=True)
class Result:
    """What a run found.

    Attributes:
        others: the part of all CPU time that programs beside the bench took meanwhile, and the
            kernel for them; figures of a busy machine are worth little.
    """

    plan: Plan
    environment: Environment
    sizes: Sizes
    figures: list[Figure]
    others: float


async def measure(
    plan: Plan, binary: EtcdBinary, folder: Path, *, told: Callable[[str], None]
) -> Result:
    """Run everything on data of its own in `folder`, which is there and on a real disk.

    Raises:
        ExceptionGroup: a part died, or an operation failed: then there are no figures.
    """
    with tempfile.TemporaryDirectory(dir=folder) as made:
        home = Path(made)
        environment = environment_of(binary, home)
        async with running(home, binary) as system, asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(system.cluster.watch())
            told(f"storing {plan.sessions} sessions and {plan.messages} messages to read")
            measured, sizes = await scenarios(system, plan)
            busy, there, ours = *busy_seconds(), sum(system.usage().values())
            samples = await _samples(system, plan, measured, told)
            busy_then, there_then = busy_seconds()
            foreign = busy_then - busy - (sum(system.usage().values()) - ours)
            watching.cancel()
    figures = figures_of(measured, samples)
    return Result(plan, environment, sizes, figures, max(0.0, foreign / (there_then - there)))


async def _samples(
    system: System, plan: Plan, measured: list[Scenario], told: Callable[[str], None]
) -> list[list[Sample]]:
    samples: list[list[Sample]] = [[] for _ in measured]
    for repeat in range(1, plan.repeats + 1):
        told(f"measuring, {repeat} of {plan.repeats}")
        for scenario, found in zip(measured, samples, strict=True):
            seconds = plan.seconds if scenario.figure == APPEND else plan.read_seconds
            async with scenario.calls() as calls:
                found.append(
                    await drive(calls, warm_up=plan.warm_up, seconds=seconds, usage=system.usage)
                )
    return samples
