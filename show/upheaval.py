"""What kill, term and stop have in common: a crowd that speaks while Lives are struck."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.etcd_binary import EtcdBinary
from show.crowd import Crowd
from show.faults import Faults, Strike
from show.judgement import Evidence, complaints_about, enough, none_failed, reconnected
from show.outcome import Outcome, ms
from show.stage import DATA, staged
from show.takeovers import Fault, Takeover, takeovers, unrecovered, without_effect


@dataclass(frozen=True, slots=True, kw_only=True)
class Upheaval:
    """One kind of fault, and what is expected of it.

    Attributes:
        name: of the show.
        strike: what is done to a Live.
        every: seconds between two strikes.
        lasts: seconds that one takes at most, until all is as before.
        aim_ms: what the p99 of `time_of` should be at most.
        time_of: the time that a session was without an owner, in seconds.
        unseen: whether no client may see it: no operation fails, no browser connects again.
        sessions, per_second: two clients in each, at so many appends a second each.
        lives: how many Lives there are.
    """

    name: str
    strike: Strike
    every: float
    lasts: float
    aim_ms: float
    time_of: Callable[[Takeover], float | None]
    unseen: bool = False
    sessions: int = 100
    per_second: float = 3.0
    lives: int = 3


async def run(
    show: Upheaval,
    binary: EtcdBinary,
    outcome: Outcome,
    *,
    seconds: float,
    told: Callable[[str], None],
    data: Path = DATA,
) -> None:
    """Run it, and put figures and complaints into the outcome."""
    chance = random.Random(outcome.seed)
    async with staged(outcome, binary, told=told, data=data, lives=show.lives, stores=2) as stage:
        crowd = Crowd(stage, chance)
        told(f"{2 * show.sessions} clients attach to {show.sessions} sessions")
        await crowd.gather(show.sessions)
        faults = Faults(
            stage,
            show.strike,
            crowd.session_ids,
            every=show.every,
            lasts=show.lasts,
            chance=chance,
        )
        told(f"each appends {show.per_second:g} times a second, for {seconds:g} s")
        async with asyncio.TaskGroup() as tasks:
            striking = tasks.create_task(faults.run(seconds))
            used = time.process_time()
            late = await crowd.speak(per_second=show.per_second, seconds=seconds)
            load_cores = (time.process_time() - used) / seconds
            await striking
        told(f"{len(crowd.operations)} appends were begun; waiting for all to settle")
        await crowd.settle()
        evidence = await crowd.evidence()
        told("judging")
        found = [each for fault in faults.done for each in takeovers(fault, evidence)]
        for fault in faults.done:
            times = [show.time_of(each) or 0.0 for each in found if each.fault is fault]
            told(f"{fault.part}: {len(times)} sessions, {ms(times, 50)} to {ms(times, 100)} ms")
        outcome.tell(seconds=seconds, lives=show.lives, clients=len(crowd.clients))
        _judge(show, outcome, faults.done, found, evidence)
        outcome.tell(load_cores=round(load_cores, 2), load_late_p99_ms=ms(late, 99))


def _judge(
    show: Upheaval,
    outcome: Outcome,
    faults: Sequence[Fault],
    found: Sequence[Takeover],
    evidence: Sequence[Evidence],
) -> None:
    operations = [operation for each in evidence for operation in each.operations]
    views = [view for each in evidence for view in each.views]
    acknowledged = [each for each in operations if each.acknowledged is not None]
    outcome.tell(
        planned=len(operations),
        acknowledged=len(acknowledged),
        refused=sum(bool(each.refused) for each in operations),
        answered_with_errors=sum(bool(each.errors) for each in operations),
        browser_reconnects=sum(view.reconnects for view in views),
        faults=len(faults),
        takeovers=len(found),
        latency_p50_ms=ms([each.latency for each in acknowledged], 50),
        latency_p99_ms=ms([each.latency for each in acknowledged], 99),
    )
    times = [time for each in found if (time := show.time_of(each)) is not None]
    outcome.tell(gap_p50_ms=ms(times, 50))
    outcome.aim("gap_p99_ms", ms(times, 99), show.aim_ms)
    outcome.complain(enough(operations))
    outcome.complain(without_effect(faults, found))
    outcome.complain(unrecovered(found))
    if show.unseen:
        outcome.complain(none_failed(operations))
        outcome.complain(reconnected(views))
    for each in evidence:
        outcome.complain(complaints_about(each))
