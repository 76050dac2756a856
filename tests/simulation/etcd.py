"""The in-memory repository as a hostile etcd: far away, sometimes silent, and honest all the same.

What a Store asks takes effect at some moment between its beginning and its answer. The answer may
be lost, and so may the request; and a request whose answer was given up may still take effect
later. Whatever the contract promises holds; whatever it leaves open happens.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from contextvars import Context
from functools import partial
from typing import Any, TypeVar

from services.store.memory import MemoryRepository
from services.store.repository import (
    AwaitedPage,
    Commit,
    Committed,
    Creation,
    Deletion,
    EntryPage,
    Existing,
    Instance,
    NotRegistered,
    Outcome,
    Owned,
    Repository,
    Scope,
    ScopeChange,
    Snapshot,
    Unknown,
)
from sessiond.errors import OutcomeUnknown, Unavailable
from tests.simulation.loop import RUNNING, VirtualLoop

T = TypeVar("T")

NAME = "etcd"
GIVE_UP_SECONDS = 2.0
"""How long a Store waits for an answer."""

LATEST_SECONDS = 4.0
"""How long after it was given up a write may still take effect."""


class Lost(Exception):
    """There was no answer."""


class Etcd:
    """What all Stores share. `ambiguity` is how often a write loses its request or its answer."""

    def __init__(
        self,
        loop: VirtualLoop,
        chance: random.Random,
        cut: set[tuple[str, str]],
        *,
        ttl_seconds: int,
    ) -> None:
        self.kept = MemoryRepository()
        self.ttl_seconds = ttl_seconds
        self.ambiguity = 0.0
        self.lag = 0.05
        self.away = False
        self._loop = loop
        self._chance = chance
        self._cut = cut
        self._context = Context()
        self._until: dict[bytes, float] = {}

    # --- faults ----------------------------------------------------------------------------------

    def compact(self) -> None:
        """Forget all history."""
        self.kept.compact()

    async def revoke(self, chosen: int) -> str:
        """End the registration of a living instance; return its address."""
        _, standing = await self.kept.instances()
        if not standing:
            return ""
        instance = standing[chosen % len(standing)]
        self.kept.expire(instance.instance)
        return instance.address

    # --- registrations ---------------------------------------------------------------------------

    def prolong(self, instance: bytes, seconds: float) -> None:
        """Let a registration stand for so long from now on, or a little longer."""
        until = self._loop.time() + seconds + self._chance.random() ** 4
        self._until[instance] = until
        self._loop.call_at(until, self._expire, instance, context=self._context)

    def _expire(self, instance: bytes) -> None:
        if self._until.get(instance, 0.0) <= self._loop.time():
            if self.away:  # without a quorum nobody counts
                self.prolong(instance, 0.5)
            else:
                self.kept.expire(instance)

    # --- asking ----------------------------------------------------------------------------------

    async def ask(
        self, store: str, call: Callable[[], Coroutine[Any, Any, T]], *, writes: bool
    ) -> T:
        """Carry a call out, and return its answer.

        Raises:
            Lost: none came; a write may have taken effect, or may yet.
        """
        answer = self._loop.create_future()
        process = RUNNING.get()
        context = process.context if process is not None else self._context
        drawn = self._chance.random()
        there, back = self._delay(), self._delay()
        lost = self.away or not self._cut.isdisjoint(((store, NAME), (NAME, store)))
        takes_effect = True
        if writes and drawn < self.ambiguity:
            lost = True
            takes_effect = drawn < 0.7 * self.ambiguity
            if drawn < 0.3 * self.ambiguity:
                there = GIVE_UP_SECONDS + self._chance.random() * LATEST_SECONDS
        elif lost and self._chance.random() < 0.7:
            takes_effect = False

        def effect() -> None:
            if self.away:
                return
            try:
                result = at_once(call())
            except Exception as error:
                reply(answer.set_exception, error)
            else:
                reply(answer.set_result, result)

        def reply(give: Callable[[Any], None], what: Any) -> None:
            if not lost:
                self._loop.call_later(back, once, give, what, context=context)

        def once(give: Callable[[Any], None], what: Any) -> None:
            if not answer.done():
                give(what)

        if takes_effect:
            self._loop.call_later(there, effect, context=self._context)
        patience = there + back if lost and not self.away else GIVE_UP_SECONDS
        patience = min(patience + self._delay(), GIVE_UP_SECONDS)
        timer = self._loop.call_later(
            patience if lost else GIVE_UP_SECONDS,
            once,
            answer.set_exception,
            Lost(),
            context=context,
        )
        try:
            return await answer  # type: ignore[no-any-return]
        finally:
            timer.cancel()

    def _delay(self) -> float:
        drawn = self._chance.random()
        return 0.0003 + 0.002 * drawn + (0.2 * self._chance.random() if drawn < 0.02 else 0.0)

    async def lagging(self) -> None:
        """Wait as long as a watch may lag."""
        await asyncio.sleep(self.lag * self._chance.random())


def at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine returns that does not wait."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    raise RuntimeError("it waits")


class FarRepository(Repository):
    """The repository as one Store has it."""

    def __init__(self, etcd: Etcd, store: str) -> None:
        self._etcd = etcd
        self._kept = etcd.kept
        self._store = store

    async def _read(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        try:
            return await self._etcd.ask(self._store, call, writes=False)
        except Lost:
            raise Unavailable from None

    async def _write(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return await self._etcd.ask(self._store, call, writes=True)

    # --- sessions --------------------------------------------------------------------------------

    async def create(self, creation: Creation) -> Committed | Existing:
        for _ in range(2):
            try:
                return await self._write(lambda: self._kept.create(creation))
            except Lost:
                continue
        raise OutcomeUnknown

    async def snapshot(self, session_id: str) -> Snapshot | None:
        return await self._read(lambda: self._kept.snapshot(session_id))

    async def records(
        self, session_id: str, first_seq: int, last_seq: int, *, revision: int
    ) -> list[bytes]:
        kept = self._kept
        return await self._read(
            lambda: kept.records(session_id, first_seq, last_seq, revision=revision)
        )

    async def records_at(
        self, session_id: str, seqs: Sequence[int], *, revision: int
    ) -> list[bytes]:
        return await self._read(lambda: self._kept.records_at(session_id, seqs, revision=revision))

    async def drafts(self, session_id: str, turn_id: str, *, revision: int) -> list[bytes]:
        return await self._read(lambda: self._kept.drafts(session_id, turn_id, revision=revision))

    # --- lists -----------------------------------------------------------------------------------

    async def count(self, user_id: str) -> int:
        return await self._read(lambda: self._kept.count(user_id))

    async def entries(
        self, user_id: str, *, after: tuple[int, str] | None, limit: int, revision: int | None
    ) -> EntryPage:
        kept = self._kept
        return await self._read(
            lambda: kept.entries(user_id, after=after, limit=limit, revision=revision)
        )

    async def awaited(self, agent: str) -> AwaitedPage:
        return await self._read(lambda: self._kept.awaited(agent))

    @asynccontextmanager
    async def watch(
        self, scope: Scope, *, after_revision: int
    ) -> AsyncIterator[AsyncIterator[ScopeChange]]:
        async with self._kept.watch(scope, after_revision=after_revision) as changes:
            yield self._late(changes)

    # --- ownership -------------------------------------------------------------------------------

    async def register(self, instance: bytes, *, address: str, ttl_seconds: int) -> int:
        async def effect() -> int:
            lease = await self._kept.register(instance, address=address, ttl_seconds=ttl_seconds)
            self._etcd.prolong(instance, ttl_seconds)
            return lease

        try:
            return await self._write(effect)
        except Lost:
            raise Unavailable from None

    async def heartbeat(self, instance: bytes, lease: int, *, draining: bool) -> bool:
        async def effect() -> bool:
            stands = await self._kept.heartbeat(instance, lease, draining=draining)
            if stands:
                self._etcd.prolong(instance, self._etcd.ttl_seconds)
            return stands

        return await self._read(effect)

    async def deregister(self, instance: bytes, lease: int) -> None:
        try:
            await self._write(lambda: self._kept.deregister(instance, lease))
        except Lost:
            raise Unavailable from None

    async def instances(self) -> tuple[int, tuple[Instance, ...]]:
        return await self._read(self._kept.instances)

    @asynccontextmanager
    async def watch_instances(self) -> AsyncIterator[AsyncIterator[tuple[Instance, ...]]]:
        async with self._kept.watch_instances() as changes:
            yield self._late(changes)

    async def acquire(
        self, session_id: str, instance: bytes, commit_id: bytes
    ) -> Snapshot | Owned | NotRegistered | None:
        # As etcd's: what was read is compared in the write, however late that comes.
        for _ in range(3):
            seen = await self.snapshot(session_id)
            try:
                return await self._write(
                    partial(self._acquire, session_id, instance, commit_id, seen)
                )
            except Lost:
                continue
        raise Unavailable

    async def _acquire(
        self, session_id: str, instance: bytes, commit_id: bytes, seen: Snapshot | None
    ) -> Snapshot | Owned | NotRegistered | None:
        now = await self._kept.snapshot(session_id)
        if (now and now.head) != (seen and seen.head):
            raise Lost
        return await self._kept.acquire(session_id, instance, commit_id)

    async def commit(self, batch: Sequence[Commit]) -> list[Outcome]:
        try:
            return await self._write(lambda: self._kept.commit(batch))
        except Lost:
            return [Unknown()] * len(batch)

    async def delete(self, deletion: Deletion) -> Outcome:
        try:
            return await self._write(lambda: self._kept.delete(deletion))
        except Lost:
            return Unknown()

    async def _late(self, changes: AsyncIterator[T]) -> AsyncIterator[T]:
        async for change in changes:
            await self._etcd.lagging()
            yield change
