"""`make show-idle`: thousands of streams that wait on one Live, and a few that work among them.

The working ones are measured twice in the same run: alone, and then among the waiting ones.
"""

from __future__ import annotations

import random
import resource
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc

from cluster.etcd_binary import EtcdBinary
from sessiond import Client
from show.bare import BareStream
from show.judgement import enough, none_failed
from show.ledger import Operation
from show.outcome import Outcome, ms, percentile
from show.pace import at_once, keep_pace, moments, until
from show.stage import DATA, Stage, staged

SECONDS = 14.0
AIM_KB = 50.0
CHANNELS = 8
OPENING = 64
SETTLE_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How many streams there are in all, and how many of them append how often."""

    streams: int = 5000
    busy: int = 200
    per_second: float = 1.0
    users: int = 50


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
    """Run it, each half for half of the seconds, and fill the outcome."""
    chance = random.Random(outcome.seed)
    _raise_file_limit()
    async with staged(outcome, binary, told=told, data=data, gateways=0) as stage:
        streams = Streams(stage, size)
        told(f"{size.busy} sessions, a stream for each")
        busy = await streams.open(size.busy)
        told(f"{size.per_second:g} appends a second on each, for {seconds / 2:g} s")
        alone = await _measure(busy, "alone", size, seconds / 2, chance)
        before = resident_kb(stage.cluster.pid("live-1"))
        told(f"{size.streams - size.busy} more sessions and streams, which wait")
        idle = await streams.open(size.streams - size.busy)
        after = resident_kb(stage.cluster.pid("live-1"))
        told(f"the same appends again, for {seconds / 2:g} s")
        among = await _measure(busy, "among", size, seconds / 2, chance)

        operations = alone.operations + among.operations
        await until(lambda: not any(disturbed(idle, busy, operations)), SETTLE_SECONDS)

        outcome.tell(seconds=seconds, streams=size.streams, busy=size.busy)
        outcome.tell(live_mb_before=round(before / 1024, 1), live_mb_after=round(after / 1024, 1))
        outcome.aim("kb_per_stream", round((after - before) / len(idle), 1), AIM_KB)
        _tell_latencies(outcome, alone, among)
        for window in (alone, among):
            outcome.complain(enough(window.operations))
            outcome.complain(none_failed(window.operations))
        outcome.complain(disturbed(idle, busy, operations))


@dataclass(frozen=True, slots=True)
class Window:
    """The appends of one half, and how late each was begun."""

    operations: list[Operation]
    late: list[float]

    @property
    def latencies(self) -> list[float]:
        """Seconds from the planned moment to the acknowledgement, of those acknowledged."""
        return [each.latency for each in self.operations if each.acknowledged is not None]


class Streams:
    """Sessions with a stream each, over a few connections."""

    def __init__(self, stage: Stage, size: Size) -> None:
        self._stage = stage
        self._tokens = [stage.token(f"user-{n}") for n in range(size.users)]
        self._clients: list[Client] = []
        self._channels: list[grpc.aio.Channel] = []
        self._opened = 0

    async def open(self, number: int) -> list[BareStream]:
        """Create so many sessions and open a stream for each, some at once."""
        if not self._clients:
            self._clients = [await self._stage.client(token) for token in self._tokens]
            self._channels = [self._stage.own_channel("live-1") for _ in range(CHANNELS)]
        numbers = range(self._opened, self._opened + number)
        self._opened += number
        return await at_once(self._open, numbers, places=OPENING)

    async def _open(self, number: int) -> BareStream:
        user = number % len(self._tokens)
        session = await self._clients[user].create(workflow_id="chat")
        channel = self._channels[number % CHANNELS]
        stream = BareStream(channel, self._tokens[user], session.id)
        self._stage.push(stream.close)
        await stream.open()
        return stream


def disturbed(
    idle: Sequence[BareStream], busy: Sequence[BareStream], operations: Sequence[Operation]
) -> Iterator[str]:
    """Yield a complaint where a stream ended, or was shown other events than its session's."""
    ended = [stream.ended for stream in (*idle, *busy) if stream.ended]
    if ended:
        yield f"{len(ended)} streams ended; the first: {ended[0]}"
    foreign = sum(stream.events for stream in idle)
    if foreign:
        yield f"{foreign} events were shown to those who wait"
    shown = sum(stream.events for stream in busy)
    acknowledged = sum(each.acknowledged is not None for each in operations)
    if shown != acknowledged:
        yield f"{acknowledged} appends were acknowledged, and {shown} shown to those who append"


def resident_kb(pid: int) -> int:
    """Return how much memory a process holds, in KB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise ProcessLookupError(pid)


async def _measure(
    busy: Sequence[BareStream], name: str, size: Size, seconds: float, chance: random.Random
) -> Window:
    operations: list[Operation] = []

    def act(stream: BareStream, planned: float) -> None:
        operation = Operation(f"{name}-{len(operations)}", stream.session_id, planned)
        operations.append(operation)
        stream.append(operation)

    plan = moments(busy, per_second=size.per_second, seconds=seconds, chance=chance)
    late = await keep_pace(plan, act)
    await until(lambda: all(each.answered for each in operations), SETTLE_SECONDS)
    return Window(operations, late)


def _tell_latencies(outcome: Outcome, alone: Window, among: Window) -> None:
    outcome.tell(
        planned=len(alone.operations) + len(among.operations),
        acknowledged=len(alone.latencies) + len(among.latencies),
        alone_p50_ms=ms(alone.latencies, 50),
        alone_p99_ms=ms(alone.latencies, 99),
        among_p50_ms=ms(among.latencies, 50),
        among_p99_ms=ms(among.latencies, 99),
    )
    if alone.latencies and among.latencies:
        for percent in (50, 99):
            ratio = percentile(among.latencies, percent) / percentile(alone.latencies, percent)
            outcome.tell(**{f"ratio_p{percent}": round(ratio, 2)})
    outcome.tell(load_late_p99_ms=ms(alone.late + among.late, 99))


def _raise_file_limit() -> None:
    """Take as many file descriptors as we may; the parts inherit that."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
