"""Playing one schedule, from its seed to its verdict."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import logging
import random
import signal
import traceback
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

import structlog

from tests.simulation.clients import Client
from tests.simulation.faults import Harm
from tests.simulation.followers import Follower
from tests.simulation.guests import GuestFollower
from tests.simulation.history import OK, UNKNOWN, History
from tests.simulation.indexers import Indexer
from tests.simulation.judge import judge
from tests.simulation.loop import Deadlock, VirtualLoop
from tests.simulation.persons import GUEST, Guest, Person, Stranger
from tests.simulation.schedule import LIVES, STORES, Schedule
from tests.simulation.watchers import Watcher
from tests.simulation.workers import Worker
from tests.simulation.world import World

PATIENCE = 60.0
"""Virtual seconds that everything may take to be as it should, once all is mended."""
SOON = 20.0
"""How long a list that is followed may be behind then: not until it is read anew, which would hide
what was not told."""


STEP_SECONDS = 60.0
"""Seconds of the processor after which steps are looked at: some hundred times as long as most
schedules take. One that is still under way a tenth of that later does not end; too many that end
are a deadlock of the loop's own."""


class Endless(BaseException):
    """A step does not end: something asks the same again and again, and gives nobody else a turn.

    Nothing in the product catches it.
    """


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one schedule."""

    schedule: Schedule
    violations: tuple[str, ...]
    history: History
    seconds: float
    steps: int

    @property
    def trace(self) -> str:
        """What happened, line by line."""
        return "\n".join(self.history.lines)

    @property
    def digest(self) -> str:
        """The same for the same steps, and only for those."""
        return hashlib.sha256(self.trace.encode()).hexdigest()

    @property
    def unknown(self) -> int:
        """How many operations nobody knows the outcome of."""
        return sum(each.outcome == UNKNOWN for each in self.history.operations)

    def __str__(self) -> str:
        found = "\n".join(f"  {violation}" for violation in self.violations) or "  none"
        return f"seed {self.schedule.seed}: {self.schedule}\n{self.trace}\nviolations:\n{found}"


def play(seed: int) -> Verdict:
    """Play the schedule of a seed."""
    schedule, history = Schedule.of(seed), History()
    loop = VirtualLoop()
    violations: list[str] = []
    world: list[World] = []
    with _listening(history, loop), schedule.bounds.hold(), _watched(loop, violations):
        try:
            violations += loop.play(_run(loop, schedule, history, world))
        except Deadlock as deadlock:
            violations.append(f"deadlock: {deadlock}")
        except Endless:
            pass  # it was noted where it was found
    violations += history.complaints
    violations += [f"nobody looked at: {each}" for each in loop.uncaught]
    violations += [f"never ended: {each}" for each in loop.left]
    if world:
        violations += judge(history, world[0].etcd.keys())
    return Verdict(schedule, tuple(violations), history, loop.time(), loop.steps)


@contextmanager
def _listening(history: History, loop: VirtualLoop) -> Iterator[None]:
    """Hear what parts complain of, and of nothing else."""

    def hear(_: object, level: str, event: MutableMapping[str, Any]) -> Any:
        history.complaints.append(f"at {loop.time():.3f} a part logged: {level} {event}")
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(
        processors=[structlog.processors.format_exc_info, hear],
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        cache_logger_on_first_use=False,
    )
    try:
        yield
    finally:
        structlog.configure(**before)


@contextmanager
def _watched(loop: VirtualLoop, violations: list[str]) -> Iterator[None]:
    """Note a step that does not end, and end it; virtual time would stand still for ever."""
    seen = -1

    def end(_: int, frame: FrameType | None) -> None:
        nonlocal seen
        if loop.steps != seen:  # it has only begun, and may be what sweeps up
            seen = loop.steps
            return
        where = "".join(traceback.format_stack(frame, limit=8))
        violations.append(f"endless: a step does not end\n{where}")
        raise Endless  # also of each step after it that does not end either

    before = signal.signal(signal.SIGVTALRM, end)
    signal.setitimer(signal.ITIMER_VIRTUAL, STEP_SECONDS, STEP_SECONDS / 10)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


async def _run(
    loop: VirtualLoop, schedule: Schedule, history: History, worlds: list[World]
) -> list[str]:
    chance = random.Random(schedule.seed)
    world = World(loop, chance, etcd=schedule.etcd)
    worlds.append(world)
    harm = Harm(world, history)

    def client(kind: type[Any], name: str, token: str = "user:alice") -> Any:
        drawn = random.Random(chance.getrandbits(32))
        places = {"lives": LIVES, "stores": STORES}
        return kind(world, history, name, token=token, chance=drawn, **places)

    def begin(who: Client, work: Any) -> asyncio.Task[Any]:
        return loop.create_task(work, name=who.name, context=who.process.context)

    indexer: Indexer | None = (
        client(Indexer, "indexer", "service:indexer") if schedule.fed else None
    )
    if indexer is not None:
        begin(indexer, indexer.run())
        await indexer.begun.wait()
    sessions = tuple(session_id for session_id, _ in schedule.sessions)
    maker: Client = client(Client, "maker")
    for session_id, workflow in schedule.sessions:
        await begin(maker, maker.create(session_id, workflow))

    followers: list[Follower] = [client(Follower, f"f{n}") for n in range(schedule.followers)]
    for follower in followers:
        follower.follow(sessions)
        follower.pace = schedule.pace / 2
    for follower in followers[: schedule.slow]:
        follower.slow = True
    chats = tuple(session_id for session_id, workflow in schedule.sessions if workflow == "chat")
    worker: Worker = client(Worker, "worker", "agent:assistant")
    worker.follow(chats)
    streams = [*followers, *([worker] if chats and schedule.turns else [])]
    for each in streams:
        begin(each, each.run())
    watchers: list[Watcher] = [client(Watcher, "watcher")] if schedule.watched else []
    if schedule.shared:
        watchers.append(client(Watcher, "gw", f"user:{GUEST}"))
    for watcher in watchers:
        begin(watcher, watcher.run())
    harm.plan(schedule.faults)
    persons: list[Person] = [client(Person, f"p{n}") for n in range(schedule.persons - 1)]
    persons.append(client(Person, "p2", "admin:alice" if schedule.twin else "user:alice"))
    for person in persons:
        person.pace = schedule.pace
        person.stepped = frozenset(sessions) - frozenset(chats)
        person.also = schedule.also
    if schedule.twin:
        persons[-1].voice = persons[0].voice
    work = [
        begin(
            person,
            person.work(sessions, schedule.operations, deletes=schedule.deletes and number == 0),
        )
        for number, person in enumerate(persons)
    ]
    work += [begin(each, each.work(schedule.streamed)) for each in followers]
    if worker in streams:
        work.append(begin(worker, worker.turns(schedule.turns)))
    if schedule.stranger:
        stranger: Stranger = client(Stranger, "stranger", "user:al")
        work.append(begin(stranger, stranger.trespass("x0", sessions, 6)))
    guests: list[GuestFollower] = []
    if schedule.shared:
        guest: Guest = client(Guest, "guest", f"user:{GUEST}")
        guest.pace = schedule.pace
        guest.also = {"transfer": 1} | ({"fork": 1} if schedule.forked else {})
        work.append(begin(guest, guest.visit(sessions, schedule.operations)))
        guests.append(client(GuestFollower, "gf", f"user:{GUEST}"))
        guests[0].follow(sessions)
        begin(guests[0], guests[0].run())
        work.append(begin(guests[0], guests[0].work(schedule.streamed)))
        persons.append(guest)
    await asyncio.wait(work)
    for done in work:
        done.result()
    await harm.mend()
    history.note(loop.time(), "FAULT", "all is mended")
    violations = await _come_to_rest(world, maker, begin, streams, sessions)
    for each in guests:
        each.give_up()
    for person in persons:
        for fork in person.forks:
            await begin(person, person.get(fork))
    if indexer is not None:
        follows = indexer
        await _until(lambda: follows.knows_all(world.etcd.keys()), loop.time() + PATIENCE)
    for watcher in watchers:
        await watcher.report(world.etcd.keys, loop.time() + SOON)
    return violations


async def _come_to_rest(
    world: World, maker: Client, begin: Any, streams: list[Any], sessions: tuple[str, ...]
) -> list[str]:
    """Return what is not as it should be, a while after all was mended."""
    violations: list[str] = []
    loop, history = world.loop, maker.history
    ends_at = loop.time() + PATIENCE
    await _until(lambda: all(each.settled for each in streams), ends_at)
    for each in streams:
        if not each.settled:
            violations.append(f"{each.name} has no answer to what it said")
        each.give_up()
    for session_id in sessions:
        await begin(maker, maker.say_at_the_end(session_id, ends_at))
        last = history.operations[-1]
        if last.outcome is not OK and last.reason != "SESSION_NOT_FOUND":
            violations.append(f"{session_id} takes no change after all was mended: {last}")
        await begin(maker, maker.get(session_id))
    keys = world.etcd.keys()
    heads = {
        session_id: len(keys.range(("record", session_id))) for session_id in sessions
    }  # 0 for one that is deleted

    def present() -> bool:
        return all(
            followed.gone
            if not heads[followed.session_id]
            else (followed.seq >= heads[followed.session_id])
            for each in streams
            for followed in each.followed.values()
        )

    if not await _until(present, ends_at):
        violations.append("a follower does not come to the present")
    return violations


async def _until(so: Callable[[], bool], ends_at: float) -> bool:
    """Look again and again, which costs nothing here; False when it never was."""
    loop = asyncio.get_running_loop()
    for _ in itertools.count():
        if so() or loop.time() >= ends_at:
            break
        await asyncio.sleep(0.1)
    return so()
