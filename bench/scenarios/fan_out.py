"""One writer, many who follow: how many events reach them in a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from bench.bench import Bench
from bench.floors.serving import method
from bench.frames import Author, events
from bench.measuring import Sample, Timing, Window
from bench.product import Product, together
from bench.rows import Case, Row, by_name
from bench.streams import Lane, read
from bench.system import System
from sessiond.v1.live_pb2 import ServerFrame

OURS = "Live, streams"
EACH, JOINED = "gRPC: bare fan-out, a message each", "gRPC: bare fan-out, joined"
_PROGRAM = "fan-out"
_USER = "writer"
_UNIT = "deliveries"


async def fan_out(bench: Bench) -> list[Row]:
    """Measure deliveries of one session's events to all who follow it."""
    plan = bench.plan
    async with bench.running(gateways=0) as system:
        product = Product(system, content_bytes=plan.content_bytes)
        shown = await _an_event(product)
        await system.program(_PROGRAM, "bench.floors.fan_out", str(len(shown)))
        cases: list[Case] = []
        for subscribers in plan.subscribers:
            named = {"subscribers": subscribers}
            size = (subscribers, plan.fan_out_in_flight)
            bare = [
                Case(what, partial(_bare, system, how, shown, size), named, _UNIT, floor=True)
                for what, how in ((EACH, "SubscribeToEach"), (JOINED, "Subscribe"))
            ]
            ours = partial(_ours, product, size)
            cases += [*bare, Case(OURS, ours, named, _UNIT, beside=by_name(*bare))]
        return await bench.in_turn(system, cases)


class Audience:
    """Those who follow, and a writer that stays a little ahead of them.

    So nobody falls far behind, and what is measured is how fast events travel, not how they queue.
    """

    def __init__(self, writer: Any, readers: Sequence[Any], in_flight: int) -> None:
        self._writer = writer
        self._readers = readers
        self._in_flight = in_flight
        self._read = [0] * len(readers)
        self._sent: list[float] = []
        self._delivered = 0
        self._progress = asyncio.Event()

    @property
    def sent(self) -> int:
        """How many messages every reader was given."""
        return len(self._sent)

    async def run(self, messages: Author | bytes, timing: Timing) -> Sample:
        """Send until the end of the window, and wait until all of it has arrived."""
        window = timing.open()
        async with asyncio.TaskGroup() as tasks:
            listening = [
                tasks.create_task(self._listen(number, window))
                for number in range(len(self._readers))
            ]
            reading = tasks.create_task(self._read_answers())
            await self._write(messages, window)
            for task in (*listening, reading):
                task.cancel()
        return await window.sample()

    async def _write(self, messages: Author | bytes, window: Window) -> None:
        readers, sent = len(self._readers), self._sent
        while True:
            now = time.perf_counter()
            free = self._in_flight - (len(sent) - self._delivered // readers)
            if now < window.end and free > 0:
                sent += [now] * free
                made = (
                    messages if isinstance(messages, bytes) else messages.append(now)
                    for _ in range(free)
                )
                await self._writer.write(b"".join(made))
            elif now >= window.end and self._delivered == len(sent) * readers:
                return
            else:
                self._progress.clear()
                await self._progress.wait()

    async def _listen(self, number: int, window: Window) -> None:
        reader, sent = self._readers[number], self._sent
        while True:
            came = len(events(await read(reader)))
            now = time.perf_counter()
            if came and window.counts(now):
                window.operations += came
                if number == 0:  # one of them shows how long it takes
                    first = self._read[0]
                    window.latencies += [now - at for at in sent[first : first + came]]
            self._read[number] += came
            self._delivered += came
            self._progress.set()

    async def _read_answers(self) -> None:
        while True:
            await read(self._writer)


async def _ours(product: Product, size: tuple[int, int], timing: Timing) -> Sample:
    subscribers, in_flight = size
    system = product.system
    author = await product.author(_USER)
    lane = Lane(system.calling(_USER), [author])
    writer = await product.road.open(lane)
    readers = await together(lambda _: product.road.open(lane), range(subscribers))
    audience = Audience(writer, readers, in_flight)
    sample = await audience.run(author, timing)
    for call in (writer, *readers):
        call.cancel()
    author.acknowledged = audience.sent
    await product.check([lane])
    return sample


async def _bare(
    system: System, how: str, shown: bytes, size: tuple[int, int], timing: Timing
) -> Sample:
    subscribe: Any = system.channel(_PROGRAM).stream_stream(method(how))
    publish: Any = system.channel(_PROGRAM).stream_stream(method("Publish"))
    subscribers, in_flight = size
    readers = [subscribe() for _ in range(subscribers)]
    for reader in readers:
        await read(reader)
    writer = publish()
    sample = await Audience(writer, readers, in_flight).run(shown, timing)
    for call in (writer, *readers):
        call.cancel()
    return sample


async def _an_event(product: Product) -> bytes:
    """Return the bytes in which one appended message is shown."""
    author = await product.author(_USER)
    call = await product.road.open(Lane(product.system.calling(_USER), [author]))
    await call.write(author.append(0.0))
    while not (found := events(await read(call))):
        pass
    call.cancel()
    return ServerFrame(batch=[ServerFrame(event=found[0])]).SerializeToString()
