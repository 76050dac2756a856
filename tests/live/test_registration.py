"""An instance's life: its deadline, its one death, and what is born after it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import cast

from services.live.registration import MARGIN_SECONDS, Instance, Registration
from services.live.store import StoreClient
from sessiond.errors import SessiondError, Unavailable
from sessiond.v1.ownership_pb2 import RegisterResponse

TTL = 5.0


@dataclass
class Clock:
    """Seconds that only a test moves."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@dataclass
class StandIn:
    """A Store that answers heartbeats as told, and notes what it is asked."""

    clock: Clock
    heartbeat_takes: float = 0.0
    answers: list[bool | SessiondError] = field(default_factory=list)
    asked: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    draining: list[bool] = field(default_factory=list)
    waits: asyncio.Event = field(default_factory=asyncio.Event)
    beaten: asyncio.Event = field(default_factory=asyncio.Event)
    given: asyncio.Event = field(default_factory=asyncio.Event)

    def answer(self, answer: bool) -> None:
        self.answers.append(answer)
        self.given.set()

    async def register(self, instance: bytes, address: str) -> RegisterResponse:
        self.asked.put_nowait(f"register {int.from_bytes(instance)}")
        return RegisterResponse(lease=int.from_bytes(instance), ttl_ms=int(TTL * 1000))

    async def deregister(self, instance: bytes, lease: int) -> None:
        self.asked.put_nowait(f"deregister {int.from_bytes(instance)}")

    async def heartbeat(
        self, instance: bytes, lease: int, *, draining: bool, seconds: float
    ) -> bool:
        self.draining.append(draining)
        self.beaten.set()
        while not self.answers:
            self.given.clear()
            self.waits.set()
            await self.given.wait()
        answer = self.answers.pop(0)
        self.clock.now += self.heartbeat_takes
        if isinstance(answer, SessiondError):
            raise answer
        return answer


@asynccontextmanager
async def registered(
    store: StandIn,
    on_death: Callable[[Instance], None] = lambda _: None,
    *,
    heartbeats_per_life: float = float("inf"),
) -> AsyncIterator[Registration]:
    ids = count(1)
    registration = Registration(
        cast("StoreClient", store),
        address="127.0.0.1:1",
        new_instance_id=lambda: next(ids).to_bytes(16),
        clock=store.clock,
        heartbeats_per_life=heartbeats_per_life,
    )
    running = asyncio.create_task(registration.run(on_death))
    try:
        yield registration
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_the_deadline_counts_from_when_the_heartbeat_was_sent() -> None:
    """A slow answer prolongs nothing: the deadline is send time + TTL - 1 s."""
    clock = Clock()
    store = StandIn(clock, heartbeat_takes=2.0, answers=[True])
    async with registered(store) as registration:
        await store.waits.wait()
        instance = await registration.living()
        assert instance.seconds_left == TTL - MARGIN_SECONDS - 2.0
        clock.now = 100.0 + TTL - MARGIN_SECONDS - 0.001
        assert instance.is_alive()
        clock.now = 100.0 + TTL - MARGIN_SECONDS
        assert not instance.is_alive()


async def test_a_dead_instance_stays_dead() -> None:
    """Once past its deadline, no later heartbeat and no clock brings an instance back."""
    clock = Clock()
    instance = Instance(b"i", 1, deadline=104.0, clock=clock)
    clock.now = 104.0
    assert not instance.is_alive()
    clock.now = 101.0
    instance.prolong(200.0)
    assert not instance.is_alive()


async def test_a_registration_that_is_gone_ends_the_instance_and_another_is_born() -> None:
    """What the old instance held is dropped before the new one is born, and its lease revoked."""
    dropped: list[bytes] = []
    store = StandIn(Clock(), answers=[True, False])
    async with registered(store, lambda instance: dropped.append(instance.id)) as registration:
        assert await store.asked.get() == "register 1"
        assert await store.asked.get() == "deregister 1"
        assert dropped == [(1).to_bytes(16)]
        assert await store.asked.get() == "register 2"
        assert (await registration.living()).id == (2).to_bytes(16)


async def test_heartbeats_that_fail_do_not_move_the_deadline() -> None:
    """Only a good answer counts: failures leave the deadline where it was, until it passes."""
    clock = Clock()
    store = StandIn(clock, heartbeat_takes=1.0, answers=[Unavailable() for _ in range(4)])
    async with registered(store):
        assert await store.asked.get() == "register 1"
        assert await store.asked.get() == "deregister 1"
        assert clock.now == 104.0


async def test_draining_is_told_at_once() -> None:
    """Whoever places sessions learns from the registration that this process leaves, however far
    off the next heartbeat is; and it is told once, not over and over."""
    store = StandIn(Clock(), answers=[True])
    async with registered(store, heartbeats_per_life=0.001) as registration:
        await registration.living()
        assert store.draining == []
        registration.drain()
        async with asyncio.timeout(TTL / 2):  # without it, the next would come shortly before TTL
            await store.beaten.wait()
        assert store.draining == [True]
        for _ in range(10):
            await asyncio.sleep(0)
        assert store.draining == [True]


async def test_draining_that_could_not_be_told_is_told_again() -> None:
    """Every heartbeat says so from then on."""
    store = StandIn(Clock(), answers=[Unavailable(), True])
    async with registered(store) as registration:
        registration.drain()
        await store.waits.wait()
        assert store.draining == [True, True, True]


async def test_a_question_is_answered_by_a_heartbeat_that_was_sent_after_it() -> None:
    """One that was under way may have been answered before the registration ended."""
    store = StandIn(Clock())
    async with registered(store, heartbeats_per_life=0.001) as registration:
        instance = await registration.living()
        first = asyncio.create_task(instance.confirm())
        await store.waits.wait()
        late = [asyncio.create_task(instance.confirm()) for _ in range(3)]
        store.waits.clear()
        store.answer(True)
        await first
        await store.waits.wait()
        assert not any(each.done() for each in late)
        store.answer(True)
        await asyncio.gather(*late)
        assert len(store.draining) == 2
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(store.draining) == 2


async def test_a_heartbeat_that_failed_answers_nothing_and_an_end_answers_all() -> None:
    """Whoever asked waits for the next one, and then finds the instance dead."""
    store = StandIn(Clock(), answers=[Unavailable(), False])
    async with registered(store, heartbeats_per_life=0.001) as registration:
        instance = await registration.living()
        gone = asyncio.create_task(instance.confirm())
        await instance.confirm()
        assert not instance.is_alive()
        await gone
        await instance.confirm()
