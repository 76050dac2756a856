"""One round: a cluster, a load, the faults of a plan, everything healed, read and checked."""

from __future__ import annotations

import asyncio
import random
import shutil
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from cluster.etcd_binary import EtcdBinary
from services.store.etcd.client import EtcdClient
from tests.faults.check import check
from tests.faults.clients.notebook import Book, now
from tests.faults.cluster import Grounds, grounds
from tests.faults.crew import CHAT, SESSIONS, crew
from tests.faults.faults import MAKERS
from tests.faults.faults.fault import Scene
from tests.faults.history import Journal
from tests.faults.launching import Needs
from tests.faults.logs import faults_in
from tests.faults.plan import Plan
from tests.faults.stored import read_final
from tests.faults.verdict import ENOUGH, Struck, Verdict, judge

MIB = 1024 * 1024
SETTLE_SECONDS = 30.0
"""How long operations may take to get their last word, and sessions to accept a change, once
everything is healed."""

_STRIKE_SECONDS = 180.0
"""How long a fault may take to be injected, and to be healed: a bound for what hangs. On a busy
machine ten parts that start one after the other take more than a minute."""

_EXTENDED_SECONDS = 20.0
"""How much longer there is load at most, until it is enough to prove something."""


def needs_of(plan: Plan) -> Needs:
    """Return what the cluster must have for this plan."""
    small = Needs(
        small_disk="etcd-3" if "disk" in plan.needs else "", clocks="clocks" in plan.needs
    )
    if "quota" not in plan.needs:
        return small
    return Needs(small_disk=small.small_disk, clocks=small.clocks, quota_bytes=48 * MIB)


async def play(
    plan: Plan,
    binary: EtcdBinary,
    ports: Iterator[int],
    data: Path,
    *,
    told: Callable[[str], None] = lambda line: None,
) -> Verdict:
    """Play one round in a folder of its own, which stays when something is wrong."""
    home = data / f"round-{plan.seed}"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    verdict = Verdict(plan)
    watch = _Watch(verdict)
    with Journal(home / "history.jsonl") as journal:
        twice = any(each.kind in ("delivered-twice", "old-request") for each in plan.strikes)
        book = Book(journal, random.Random(plan.seed), twice=twice)
        async with grounds(binary, ports, home, needs=needs_of(plan), told=told) as found:
            watch.phase("starting")
            struck = await _load(found, book, plan, verdict, watch)
            endpoints = [found.places[name] for name in found.names("etcd")]
            async with EtcdClient(endpoints) as etcd:
                final = await read_final(etcd)
            watch.phase("reading")
        watch.phase("ending")
    verdict.stuck += faults_in(home / "logs")
    verdict.violations = check(journal.entries, final)
    judge(verdict, journal.entries, struck)
    watch.phase("checking")
    if verdict.well:
        shutil.rmtree(home, ignore_errors=True)
    else:
        shutil.rmtree(home / "etcd", ignore_errors=True)
        (home / "verdict.txt").write_text("\n".join([str(plan), *verdict.why]) + "\n")
        told(f"history and logs are in {home}")
    return verdict


class _Watch:
    """Notes in a verdict how long each phase of its round took."""

    def __init__(self, verdict: Verdict) -> None:
        self._verdict = verdict
        self._since = time.monotonic()

    def phase(self, name: str) -> None:
        """Note that a phase is over."""
        took = time.monotonic() - self._since
        self._verdict.phases[name] = took
        self._verdict.seconds += took
        self._since += took


async def _load(
    found: Grounds, book: Book, plan: Plan, verdict: Verdict, watch: _Watch
) -> list[Struck]:
    async with crew(found, book) as clients:
        struck = await _strike_all(Scene(found, SESSIONS, CHAT, clients.prober), plan)
        watch.phase("faults")
        await _enough(book)
        watch.phase("extended")
        if late := await clients.finish(SETTLE_SECONDS):
            verdict.stuck.append(f"{late} clients got no last word")
        for session in await clients.accepted(SETTLE_SECONDS):
            verdict.stuck.append(f"{session} accepts no change after the healing")
        await asyncio.sleep(0.3)  # for what is on its way to followers
        watch.phase("settling")
    alone = "" if len(plan.strikes) == 1 else ", among others"
    verdict.failover = {f"{cause}{alone}": each for cause, each in clients.prober.times.items()}
    verdict.stuck += [f"a client broke: {each!r}" for each in clients.broken]
    return struck


async def _enough(book: Book) -> None:
    """On a busy machine the load goes on until it is enough to prove something."""
    for _ in range(round(_EXTENDED_SECONDS / 0.1)):
        if len(book.oks) > ENOUGH:
            return
        await asyncio.sleep(0.1)


async def _strike_all(scene: Scene, plan: Plan) -> list[Struck]:
    struck = [Struck(strike) for strike in plan.strikes]
    begin = time.monotonic()

    async def one(each: Struck) -> None:
        strike = each.strike
        await asyncio.sleep(strike.at)
        fault = MAKERS[strike.kind](scene, strike)
        each.began = now()
        each.failed = await _failure(fault.inject(), f"{strike.kind} cannot be injected")
        await asyncio.sleep(strike.lasts)
        failed = await _failure(fault.heal(), f"{strike.kind} cannot be healed")
        each.failed = each.failed or failed
        each.ended = now()
        each.done = +fault.done

    await asyncio.gather(*map(one, struck))
    # Some deaths come late, when a part comes to its point: nobody is left dead.
    cluster = scene.grounds.cluster
    dead = [name for name in scene.grounds.places if not cluster.running(name)]
    await asyncio.gather(*map(cluster.start, dead))
    await asyncio.sleep(max(1.0, plan.seconds - (time.monotonic() - begin)))
    return struck


async def _failure(doing: Awaitable[None], what: str) -> str:
    """Do it; return why that failed, or ""."""
    try:
        async with asyncio.timeout(_STRIKE_SECONDS):
            await doing
    except Exception as error:
        return f"{what}: {error!r}"
    return ""
