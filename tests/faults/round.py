"""One round: a cluster, a load, the faults of a plan, everything healed, read and checked."""

from __future__ import annotations

import asyncio
import random
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from cluster.etcd_binary import EtcdBinary
from services.store.etcd.client import EtcdClient
from sessiond import Client
from sessiond.session.access import Role
from tests.faults.check import Violation, check
from tests.faults.clients.browser import Browser
from tests.faults.clients.callers import Caller, GrpcRoad, RestRoad
from tests.faults.clients.follower import Follower
from tests.faults.clients.notebook import Book, Voice, now, user
from tests.faults.clients.worker import Worker
from tests.faults.cluster import Grounds, Needs, grounds
from tests.faults.faults import MAKERS
from tests.faults.faults.fault import Scene
from tests.faults.history import History, Journal, Operation, Outcome
from tests.faults.plan import Plan, Strike
from tests.faults.stored import read_final

MIB = 1024 * 1024
SESSIONS = 6
PAUSE_SECONDS = 0.03
ENOUGH = 500
"""Well operations without which a round proves too little."""

SETTLE_SECONDS = 30.0
"""How long operations may take to get their last word, and sessions to accept a change, once
everything is healed."""

_USER = "alice"
_AGENT = "assistant"


@dataclass
class Struck:
    """A strike that was made: when it was injected, and when healed; `failed` says why not."""

    strike: Strike
    began: int = 0
    ended: int = 0
    failed: str = ""


@dataclass
class Verdict:
    """What became of a round.

    Attributes:
        violations: what the checker says.
        complaints: why the round counts for nothing, or what got stuck.
        waits: by kind of fault, the longest that an operation took which it overlapped, in seconds.
    """

    plan: Plan
    operations: int = 0
    oks: int = 0
    unknowns: int = 0
    shown: int = 0
    seconds: float = 0.0
    violations: list[Violation] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    waits: dict[str, float] = field(default_factory=dict)

    @property
    def well(self) -> bool:
        """Whether nothing is wrong."""
        return not self.violations and not self.complaints


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
    told: Callable[[str], None],
) -> Verdict:
    """Play one round in a folder of its own, which stays when something is wrong."""
    home = data / f"round-{plan.seed}"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    began, verdict = time.monotonic(), Verdict(plan)
    with Journal(home / "history.jsonl") as journal:
        twice = any(each.kind in ("delivered-twice", "old-request") for each in plan.strikes)
        book = Book(journal, random.Random(plan.seed), twice=twice)
        async with grounds(binary, ports, home, needs=needs_of(plan), told=told) as found:
            struck = await _load(found, book, plan, verdict, told)
            endpoints = [found.places[name] for name in found.names("etcd")]
            async with EtcdClient(endpoints) as etcd:
                final = await read_final(etcd)
    verdict.violations = check(journal.entries, final)
    judge(verdict, journal.entries, struck)
    verdict.seconds = time.monotonic() - began
    if verdict.well:
        shutil.rmtree(home, ignore_errors=True)
    else:
        shutil.rmtree(home / "etcd", ignore_errors=True)
        lines = [str(each) for each in verdict.violations] + verdict.complaints
        (home / "verdict.txt").write_text("\n".join([str(plan), *lines]) + "\n")
        told(f"history and logs are in {home}")
    return verdict


async def _load(
    found: Grounds, book: Book, plan: Plan, verdict: Verdict, told: Callable[[str], None]
) -> list[Struck]:
    sessions = [f"session-{number}" for number in range(1, SESSIONS + 1)]
    chat = "chat-1"
    token = found.keys.user_token(_USER)
    async with AsyncExitStack() as stack:
        channels = {
            name: await stack.enter_async_context(found.door_channel(name))
            for name in (*found.names("live"), *found.names("store"))
        }
        lives = [channels[name] for name in found.names("live")]
        stores = [channels[name] for name in found.names("store")]

        def grpc_caller(name: str) -> Caller:
            return Caller(
                Voice(book, name, user(_USER)), GrpcRoad(lives, stores, token), sessions, _USER
            )

        async def rest_caller(name: str) -> Caller:
            road = RestRoad(found.doors_of("gateway"), token)
            stack.push_async_callback(road.close)
            return Caller(Voice(book, name, user(_USER)), road, sessions, _USER)

        first = grpc_caller("first")
        for session in sessions:
            await first.create(session)
        library = await stack.enter_async_context(
            Client(
                live=found.doors_of("live"),
                store=found.doors_of("store"),
                token=found.keys.user_token("worker", role="agent", agents=[_AGENT]),
            )
        )
        await first.create(chat, workflow="chat")
        callers = [grpc_caller(f"grpc-{number}") for number in range(4)]
        callers += [await rest_caller(f"rest-{number}") for number in range(3)]
        worker = Worker(
            book,
            "worker",
            library,
            actor=user("worker", Role.AGENT),
            session=chat,
            agent=_AGENT,
        )
        followers = [
            Follower(
                book,
                f"follower-{number}",
                lives[number:] + lives[:number],
                token,
                [*sessions, chat],
            )
            for number in range(3)
        ]
        browsers = [
            Browser(
                Voice(book, f"browser-{number}", user(_USER)),
                found.doors_of("gateway")[number % 2 :] + found.doors_of("gateway")[: number % 2],
                token=token,
                session=session,
            )
            for number, session in enumerate([*sessions[:3], chat])
        ]
        following = [asyncio.create_task(each.run()) for each in followers]
        following += [asyncio.create_task(each.follow()) for each in browsers]
        working = [asyncio.create_task(each.run(PAUSE_SECONDS)) for each in callers]
        working += [asyncio.create_task(each.run(5 * PAUSE_SECONDS)) for each in browsers]
        working.append(asyncio.create_task(worker.run()))
        try:
            struck = await _strike_all(Scene(found, sessions, chat), plan, told)
            # On a busy machine the load goes on until it is enough to prove something.
            for _ in range(200):
                if len(book.oks) > ENOUGH:
                    break
                await asyncio.sleep(0.1)
            book.closing.set()
            _, late = await asyncio.wait(working, timeout=SETTLE_SECONDS)
            if late:
                verdict.complaints.append(f"{len(late)} clients got no last word")
                book.given_up.set()
                _, late = await asyncio.wait(working, timeout=10)
            await _accepted([*sessions, chat], first, verdict)
            await asyncio.sleep(0.3)
        finally:
            for task in (*working, *following):
                task.cancel()
            ended = await asyncio.gather(*working, *following, return_exceptions=True)
    for each in ended:
        if isinstance(each, Exception):
            verdict.complaints.append(f"a client broke: {each!r}")
    return struck


async def _accepted(sessions: list[str], caller: Caller, verdict: Verdict) -> None:
    """See that every session accepts a change now."""

    async def one(session: str) -> None:
        try:
            async with asyncio.timeout(SETTLE_SECONDS):
                if await caller.touch(session) is None:
                    verdict.complaints.append(f"{session} refuses a change after the healing")
        except TimeoutError:
            verdict.complaints.append(f"{session} accepts no change after the healing")

    await asyncio.gather(*map(one, sessions))


async def _strike_all(scene: Scene, plan: Plan, told: Callable[[str], None]) -> list[Struck]:
    struck = [Struck(strike) for strike in plan.strikes]
    begin = time.monotonic()

    async def one(each: Struck) -> None:
        strike = each.strike
        await asyncio.sleep(strike.at)
        fault = MAKERS[strike.kind](scene, strike)
        each.began = now()
        try:
            async with asyncio.timeout(60):
                await fault.inject()
        except Exception as error:
            each.failed = f"{strike.kind} {strike.against} cannot be injected: {error!r}"
        await asyncio.sleep(strike.lasts)
        try:
            async with asyncio.timeout(60):
                await fault.heal()
        except Exception as error:
            each.failed = f"{strike.kind} {strike.against} cannot be healed: {error!r}"
        each.ended = now()

    await asyncio.gather(*map(one, struck))
    # Some deaths come late, when a part comes to its point: nobody is left dead.
    await scene.revive_all(list(scene.grounds.places))
    await asyncio.sleep(max(1.0, plan.seconds - (time.monotonic() - begin)))
    return struck


def judge(verdict: Verdict, history: History, struck: Sequence[Struck]) -> None:
    """Put the figures of a history into a verdict, and why its round counts for nothing."""
    asked = [each for each in history if isinstance(each, Operation)]
    ok = [each for each in asked if each.outcome is Outcome.OK]
    verdict.operations, verdict.oks = len(asked), len(ok)
    verdict.unknowns = sum(each.outcome is Outcome.UNKNOWN for each in asked)
    verdict.shown = len(history) - len(asked)
    if len(ok) < ENOUGH:
        verdict.complaints.append(f"{len(ok)} operations were well, fewer than {ENOUGH}")
    for each in struck:
        if each.failed:
            verdict.complaints.append(each.failed)
        over = [
            operation.returned - operation.invoked
            for operation in ok
            if operation.invoked <= each.ended and operation.returned >= each.began
        ]
        if not over:
            verdict.complaints.append(f"{each.strike.kind} overlapped no operation that was well")
        longest = max(over, default=0) / 1e9
        verdict.waits[each.strike.kind] = max(longest, verdict.waits.get(each.strike.kind, 0.0))
