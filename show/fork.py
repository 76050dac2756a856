"""`make show-fork`: a long session is forked while appends to it go on; and a Store is killed amid.

A fork is whole or absent. While forks are made, somebody looks for each without a pause, and all
that is seen of one must be all of it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from cluster.etcd_binary import EtcdBinary
from sessiond import Client
from sessiond.errors import SessionNotFound
from sessiond.event_wire import event_to_wire, workflow_from_wire
from sessiond.session.access import Actor, Role
from sessiond.session.events import MessageAppended, Record, SessionCreated
from sessiond.session.state import MessageType, Sender
from sessiond.session.workflow import Workflow
from sessiond.v1.session_pb2 import Session
from sessiond.v1.store_pb2 import HistoryEvent, ImportHeader
from show.attached import Attached
from show.judgement import enough, none_failed
from show.ledger import Operation
from show.outcome import Outcome, ms
from show.pace import keep_pace, moments, until
from show.stage import DATA, Stage, staged

SECONDS = 20.0
FORK_AIM_MS = 3000.0
HARM_AIM = 3.0
"""How many times longer an append may take, at p99, while forks are made."""

SETTLE_SECONDS = 10.0
USER = "alice"


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How long the session is, how often it is forked, and how often it is appended to."""

    messages: int = 10_000
    forks: int = 5
    per_second: float = 50.0


USUAL = Size()


async def run(
    binary: EtcdBinary,
    outcome: Outcome,
    *,
    seconds: float,
    told: Callable[[str], None],
    data: Path = DATA,
    size: Size = USUAL,
) -> None:
    """Append alone for half of the seconds, and while forks are made; then break one."""
    chance = random.Random(outcome.seed)
    async with staged(outcome, binary, told=told, data=data, stores=2, gateways=0) as stage:
        client = await stage.client(stage.token(USER))
        clock = asyncio.get_running_loop().time
        told(f"a session of {size.messages} messages")
        began = clock()
        parent = await _imported(client, size.messages)
        outcome.tell(seconds=seconds, messages=size.messages, forks=size.forks)
        outcome.tell(import_ms=round((clock() - began) * 1000))

        attached = Attached("writer", client, parent)
        stage.push(attached.close)
        await attached.open()
        told(f"{size.per_second:g} appends a second, alone")
        alone = await _append(attached, size, seconds / 2, chance, "alone")
        told(f"the same, while it is forked {size.forks} times")
        forks = [Fork(f"fork-{number}", size.messages + 1) for number in range(size.forks)]
        during = asyncio.create_task(_append(attached, size, seconds / 2, chance, "during"))
        for fork in forks:
            await fork.make(client, parent)
        among = await during
        await until(lambda: all(each.answered for each in (*alone, *among)), SETTLE_SECONDS)

        told("one more, whose Store is killed")
        broken = Fork("fork-broken", size.messages + 1)
        await _break(stage, client, parent, broken)

        outcome.aim("fork_ms", ms([each.seconds for each in forks], 100), FORK_AIM_MS)
        _tell_appends(outcome, alone, among)
        outcome.tell(broken_fork_ms=round(broken.seconds * 1000))
        outcome.tell(looks=sum(each.looks for each in (*forks, broken)))
        for window in (alone, among):
            outcome.complain(enough(window))
            outcome.complain(none_failed(window))
        whole = (await client.get(parent)).conversation_history[: size.messages]
        for fork in (*forks, broken):
            outcome.complain(fork.complaints(await client.get(fork.session_id), parent, whole))


@dataclass(slots=True)
class Fork:
    """One fork on its way: how long it took, and what was seen of it meanwhile."""

    session_id: str
    at_seq: int
    seconds: float = 0.0
    looks: int = 0
    partial: list[int] = field(default_factory=list)

    async def make(self, client: Client, parent: str) -> None:
        """Make it, while somebody looks for it."""
        clock = asyncio.get_running_loop().time
        looking = asyncio.create_task(self._look(client))
        began = clock()
        await client.fork(parent, at_seq=self.at_seq, id=self.session_id)
        self.seconds = clock() - began
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking

    async def _look(self, client: Client) -> None:
        while True:
            with suppress(SessionNotFound):
                seen = await client.get(self.session_id, tail=1)
                if seen.revision < self.at_seq + 1:
                    self.partial.append(seen.revision)
            self.looks += 1
            await asyncio.sleep(0.02)

    def complaints(self, made: Session, parent: str, said: Sequence[object]) -> Iterator[str]:
        """Yield what is wrong with the fork; `said` is what it must hold."""
        name = self.session_id
        if self.partial:
            yield f"{name} was seen with {self.partial[0]} events"
        if (made.lineage.session_id, made.lineage.seq) != (parent, self.at_seq):
            yield f"{name} does not say where it comes from"
        if made.revision != self.at_seq + 1:
            yield f"{name} has {made.revision} events"
        held = list(made.conversation_history)
        for message in held:
            message.session_id = parent
        if held != list(said):
            yield f"{name} holds other messages than its parent"


async def _break(stage: Stage, client: Client, parent: str, fork: Fork) -> None:
    """Make a fork, and kill the Store that makes it; the client asks the other one."""

    async def kill() -> None:
        # By then some pieces are written, and the fork is not whole.
        await asyncio.sleep(0.3)
        name = await _working_store(stage)
        stage.told(f"{name} is killed")
        await stage.cluster.kill(name)
        await stage.cluster.start(name)

    killing = asyncio.create_task(kill())
    await fork.make(client, parent)
    await killing


async def _working_store(stage: Stage) -> str:
    """Return the Store that has used more time in the last tenth of a second."""
    names = stage.names("store")
    before = {name: _ticks(stage.cluster.pid(name)) for name in names}
    await asyncio.sleep(0.1)
    return max(names, key=lambda name: _ticks(stage.cluster.pid(name)) - before[name])


def _ticks(pid: int) -> int:
    """Return how much time of the processor a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


async def _append(
    attached: Attached, size: Size, seconds: float, chance: random.Random, name: str
) -> list[Operation]:
    operations: list[Operation] = []

    def act(session_id: str, planned: float) -> None:
        operation = Operation(f"{name}-{len(operations)}", session_id, planned)
        operations.append(operation)
        attached.append(operation)

    session_id = attached.view.session_id
    plan = moments([session_id], per_second=size.per_second, seconds=seconds, chance=chance)
    await keep_pace(plan, act)
    return operations


def _tell_appends(outcome: Outcome, alone: Sequence[Operation], among: Sequence[Operation]) -> None:
    quiet, busy = (
        [each.latency for each in window if each.acknowledged is not None]
        for window in (alone, among)
    )
    outcome.tell(planned=len(alone) + len(among), acknowledged=len(quiet) + len(busy))
    outcome.tell(alone_p50_ms=ms(quiet, 50), alone_p99_ms=ms(quiet, 99))
    outcome.tell(among_p50_ms=ms(busy, 50), among_p99_ms=ms(busy, 99))
    before, after = ms(quiet, 99), ms(busy, 99)
    if before and after:
        outcome.aim("appends_p99_ratio", round(after / before, 2), HARM_AIM)


async def _imported(client: Client, messages: int) -> str:
    """Store a session with so many messages at once: to say them one by one would take minutes."""
    workflows = {each.id: each for each in await client.workflows()}
    events = list(_history("parent", workflow_from_wire(workflows["chat"]), messages))
    header = ImportHeader(session_id="parent", last_seq=len(events))
    return (await client.import_session(header, events)).session.id


def _history(session_id: str, workflow: Workflow, messages: int) -> Iterator[HistoryEvent]:
    actor, begin_ms = Actor(USER, Role.USER), 1_700_000_000_000
    created = SessionCreated(session_id, USER, workflow, "{}", "A long one", {})
    for seq in range(1, messages + 2):
        text = f"Message {seq - 1} of a conversation that is longer than most are."
        said = MessageAppended(f"m-{seq}", Sender.USER, MessageType.TEXT, text)
        event = created if seq == 1 else said
        record = Record(seq, begin_ms + seq * 1000, actor, event, f"op-{seq}")
        yield HistoryEvent(event=event_to_wire(record, session_id), hash="")
