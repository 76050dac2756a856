"""The in-memory repository as a hostile etcd: far away, sometimes silent, and honest all the same.

What a Store asks takes effect at some moment between its beginning and its answer. The answer may
be lost, and so may the request; and a request whose answer was given up may still take effect
later. Whatever the contract promises holds; whatever it leaves open happens.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVar

from services.store.history import History as Keys
from services.store.memory import MemoryRepository
from tests.simulation.keyspace import Keyspace
from tests.simulation.loop import RUNNING, VirtualLoop

T = TypeVar("T")

NAME = "etcd"
GIVE_UP_SECONDS = 2.0
"""How long a Store waits for an answer."""

LAGS = (0, 16, 64)
"""Revisions that a member may be behind the others."""

LATEST_SECONDS = 4.0
"""How long after it was given up a write may still take effect."""


class Lost(Exception):
    """There was no answer."""


class Etcd:
    """What all Stores share.

    `ambiguity` is how often a write loses its request or its answer. `behind` holds the Stores
    whose member has lost the others, and the revision where that was: it still answers by itself.
    `on_commit` hears once of an instance whose commit has just taken effect.
    """

    def __init__(
        self,
        loop: VirtualLoop,
        chance: random.Random,
        cut: set[tuple[str, str]],
        *,
        kept: MemoryRepository | Keyspace,
        ttl_seconds: int,
    ) -> None:
        self.kept = kept
        self.ttl_seconds = ttl_seconds
        self.ambiguity = 0.0
        self.lag = 0.05
        self.away = False
        self.behind: dict[str, int] = {}
        self.on_commit: Callable[[bytes], None] | None = None
        self._loop = loop
        self._chance = chance
        self._cut = cut
        self._context = Context()
        self._until: dict[bytes, float] = {}

    def keys(self) -> Keys:
        """Return everything that stands there, and stood there, as the reference keeps it."""
        return self.kept.told() if isinstance(self.kept, Keyspace) else self.kept._kept

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

    def fall_behind(self, store: str) -> None:
        """Let a Store's member lose the others."""
        self.behind[store] = self.kept.revision if isinstance(self.kept, Keyspace) else 0

    # --- registrations, by their instances or leases ---------------------------------------------

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

    def committed(self, instance: bytes) -> None:
        """Note that a commit took effect of which its instance does not know yet."""
        heard, self.on_commit = self.on_commit, None
        if heard is not None:
            heard(instance)

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
        lost = lost or store in self.behind
        takes_effect = True
        if writes and drawn < self.ambiguity:
            lost = True
            takes_effect = drawn < 0.7 * self.ambiguity
            if drawn < 0.3 * self.ambiguity:
                there = GIVE_UP_SECONDS + self._chance.random() ** 4 * LATEST_SECONDS
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

    def lag_of_a_member(self) -> int:
        """Return how many revisions a member is behind the others."""
        return self._chance.choice(LAGS)

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
