"""The life of this process as an owner: registered instances, one after the other.

    (none) --register--> alive --deadline passed, or registration gone--> dead, for ever
       ^                                                                    |
       +------------------------------- born again -------------------------+

An instance's deadline is when its last good heartbeat was SENT, plus the registration's life, less
a second. It is read on a clock that goes on while the process or the machine sleeps, and looked at
before every acknowledgement: past it the instance has ended, whatever etcd says later, since
another may own its sessions by then. The process then goes on under a new instance.

etcd can end a registration before its time, and then the deadline says nothing. Whoever shows what
is in memory to somebody new asks first: `Instance.confirm`. The heartbeat that answers is sent at
once, after everybody asked who is answered by it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import structlog

from services.live.store import StoreClient
from sessiond.errors import SessiondError

HEARTBEATS_PER_LIFE = 5
MARGIN_SECONDS = 1.0
RETRY_SECONDS = 0.25
DEREGISTER_SECONDS = 1.0

_log = structlog.get_logger(__name__)


def boottime() -> float:
    """Return seconds on a clock that goes on during suspension, where the system has one."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class Instance:
    """One registration. It dies once."""

    def __init__(
        self, instance_id: bytes, lease: int, *, deadline: float, clock: Callable[[], float]
    ) -> None:
        self.id = instance_id
        self.lease = lease
        self.died = asyncio.Event()
        self.asked = asyncio.Event()
        """Set when somebody waits in `confirm` whom no heartbeat under way answers."""
        self._deadline = deadline
        self._clock = clock
        self._questions: list[asyncio.Future[None]] = []

    def is_alive(self) -> bool:
        """Return whether it may still acknowledge and show anything; once False, for ever."""
        if not self.died.is_set() and self._clock() >= self._deadline:
            self.die()
        return not self.died.is_set()

    @property
    def seconds_left(self) -> float:
        """How long it lives without another good heartbeat."""
        return max(0.0, self._deadline - self._clock())

    async def confirm(self) -> None:
        """Wait until it is known to have stood after this call, or is known to have died.

        While it stands nobody else can own its sessions, so its rooms then hold all that was
        acknowledged or shown to anybody before this call.
        """
        if self.is_alive():
            question: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._questions.append(question)
            self.asked.set()
            await question

    def ask(self) -> int:
        """Note that a heartbeat is sent, and return how many questions it will answer."""
        self.asked.clear()
        return len(self._questions)

    def prolong(self, deadline: float, *, answered: int = 0) -> None:
        """Move the deadline, unless it has passed, and answer the first of the questions."""
        if self.is_alive():
            self._deadline = max(self._deadline, deadline)
            self._answer(answered)

    async def pause(self, seconds: float) -> None:
        """Wait so long, or until it dies."""
        with suppress(TimeoutError):
            async with asyncio.timeout(min(seconds, self.seconds_left)):
                await self.died.wait()

    def die(self) -> None:
        """End it."""
        self.died.set()
        self._answer(len(self._questions))

    def _answer(self, count: int) -> None:
        answered, self._questions = self._questions[:count], self._questions[count:]
        for question in answered:
            if not question.done():  # who asked may have gone
                question.set_result(None)


class Registration:
    """Keeps this process registered."""

    def __init__(
        self,
        store: StoreClient,
        *,
        address: str,
        new_instance_id: Callable[[], bytes],
        clock: Callable[[], float] = boottime,
        heartbeats_per_life: float = HEARTBEATS_PER_LIFE,
    ) -> None:
        self._store = store
        self._address = address
        self._new_instance_id = new_instance_id
        self._clock = clock
        self._heartbeats_per_life = heartbeats_per_life
        self._instance: Instance | None = None
        self._born = asyncio.Event()
        self._draining = asyncio.Event()

    @property
    def instance(self) -> Instance | None:
        """The living instance, if there is one."""
        instance = self._instance
        return instance if instance is not None and instance.is_alive() else None

    async def living(self) -> Instance:
        """Return the living instance; wait for one to be born."""
        while (instance := self.instance) is None:
            self._born.clear()
            await self._born.wait()
        return instance

    @property
    def draining(self) -> bool:
        """Whether this process takes no more sessions."""
        return self._draining.is_set()

    def drain(self) -> None:
        """Say, by a heartbeat at once, that this process takes no more sessions."""
        self._draining.set()

    async def run(self, on_death: Callable[[Instance], None]) -> None:
        """Register, keep the instance alive, and be born again when it died; until cancelled.

        `on_death` hears of every instance that died before the next one is born, so that nothing
        of the old one is held under the new one.
        """
        while True:
            instance = await self._register()
            if instance is None:
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self._instance = instance
            self._born.set()
            _log.info("registered", instance=instance.id.hex(), address=self._address)
            try:
                await self._keep_alive(instance)
            finally:
                instance.die()
                on_death(instance)
            _log.warning("instance ended", instance=instance.id.hex())
            await self.leave(instance)

    async def leave(self, instance: Instance) -> None:
        """End a registration at once, if Store can be reached; otherwise it ends by itself."""
        with suppress(SessiondError, TimeoutError):
            async with asyncio.timeout(DEREGISTER_SECONDS):
                await self._store.deregister(instance.id, instance.lease)

    async def _register(self) -> Instance | None:
        sent = self._clock()
        instance_id = self._new_instance_id()
        try:
            response = await self._store.register(instance_id, self._address)
        except SessiondError as error:
            _log.warning("cannot register", reason=error.reason)
            return None
        self._life = response.ttl_ms / 1000
        return Instance(
            instance_id,
            response.lease,
            deadline=sent + self._life - MARGIN_SECONDS,
            clock=self._clock,
        )

    async def _keep_alive(self, instance: Instance) -> None:
        pause, told = self._life / self._heartbeats_per_life, False
        while instance.is_alive():
            # Whichever is first: the next heartbeat is due, or somebody saw the instance dead, or
            # there is something to tell or to ask.
            await self._wait(instance, pause, watch_drain=not told)
            if not instance.is_alive():
                return
            sent, told, questions = self._clock(), self.draining, instance.ask()
            try:
                alive = await self._store.heartbeat(
                    instance.id,
                    instance.lease,
                    draining=told,
                    seconds=min(instance.seconds_left, self._life / 4),
                )
            except SessiondError as error:
                _log.warning("heartbeat failed", reason=error.reason)
                pause = min(RETRY_SECONDS, self._life / self._heartbeats_per_life)
                continue
            if not alive:
                return
            instance.prolong(sent + self._life - MARGIN_SECONDS, answered=questions)
            pause = self._life / self._heartbeats_per_life

    async def _wait(self, instance: Instance, pause: float, *, watch_drain: bool) -> None:
        waiting: list[asyncio.Task[Any]] = [
            asyncio.create_task(instance.pause(pause)),
            asyncio.create_task(instance.asked.wait()),
        ]
        if watch_drain:
            waiting.append(asyncio.create_task(self._draining.wait()))
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()
