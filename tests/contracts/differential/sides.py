"""The two places that are compared, and what their answers say in words common to both.

Only two things may differ: leases, which are named by their place among all that were given, and
revisions, which are compared by `Moments`.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

from services.store.answers import (
    AllChanges,
    AwaitedPage,
    ChangedSince,
    EntryPage,
    EntryScan,
    Instance,
    Remains,
    RevisionCompacted,
    Scope,
    ScopeChange,
    SharedPage,
    Snapshot,
)
from services.store.etcd.reads import answered
from services.store.etcd.transactions import prefix_end, read
from services.store.keys import Keys
from services.store.repository import Repository
from services.store.writes import BatchRefused
from sessiond.errors import SessiondError
from tests.contracts.named import named
from tests.contracts.places import EtcdPlace, MemoryPlace, Place

REFUSALS = (SessiondError, RevisionCompacted, BatchRefused)

Stored = dict[tuple[str | int, ...], bytes]
"""Everything but registrations: the reference's keys, and what stands there."""


@dataclasses.dataclass(frozen=True)
class Term:
    """What an answer is that says a revision and nothing else; 0 says that there is none."""

    revision: int


class Side(ABC):
    """A place that keeps sessions; `number` tells it from the other one.

    Attributes:
        leases: of each registration, in their order.
        followed: changes of some scopes, from the beginning to the end.
        standing: who is registered, all the time.
        everything: changes of all sessions, from the beginning to the end.
    """

    number: int
    standing: AsyncIterator[tuple[Instance, ...]]
    everything: AsyncIterator[AllChanges]

    def __init__(self, place: Place) -> None:
        self.place = place
        self.repository: Repository = place.repository
        self.leases: list[int] = []
        self.followed: list[AsyncIterator[ScopeChange]] = []
        self._shown: tuple[Instance, ...] | None = None  # the last that `standing` gave
        self._open = AsyncExitStack()

    async def follow(self, *scopes: Scope) -> None:
        """Watch these scopes, and who is registered, from now on."""
        revision, _ = await self.repository.instances()
        for scope in scopes:
            watch = self.repository.watch(scope, after_revision=revision)
            self.followed.append(await self._open.enter_async_context(watch))
        self.standing = await self._open.enter_async_context(self.repository.watch_instances())
        everything = self.repository.watch_all(after_revision=revision)
        self.everything = await self._open.enter_async_context(everything)

    async def settled(self) -> None:
        """Watch who is registered until that is who stands."""
        _, present = await self.repository.instances()
        while self._shown is None or set(self._shown) != set(present):
            self._shown = await anext(self.standing)

    async def hold(self, job: str, holder: bytes) -> Term:
        """Take or prolong a job for longer than any test lasts."""
        return Term(await self.repository.hold_job(job, holder, ttl_seconds=3600))

    async def scan(self, limit: int) -> EntryScan:
        """Read all entries, piece by piece; how much is in each may differ."""
        piece = await self.repository.scan(None, limit, None)
        entries = list(piece.entries)
        while piece.more:
            piece = await self.repository.scan(piece.last_key, limit, piece.revision)
            assert len(piece.entries) <= limit
            entries += piece.entries
        return EntryScan(piece.revision, tuple(entries), b"", more=False)

    async def erasures(self) -> list[tuple[str, bytes]]:
        """Return all erasures, which come in no particular order."""
        return sorted(await self.repository.erasures())

    async def close(self) -> None:
        """End the watches."""
        await self._open.aclose()

    async def register(self, instance: bytes, address: str) -> None:
        """Register an instance for longer than any test lasts."""
        lease = await self.repository.register(instance, address=address, ttl_seconds=3600)
        self.leases.append(lease)

    def shown(self, answer: Any) -> tuple[list[int], Any]:
        """Return the revisions in an answer, and the rest of it."""
        match answer:
            case Term(0):
                return [], answer
            case ChangedSince():
                ids, tombstones = sorted(answer.session_ids), sorted(answer.tombstones)
                return [answer.revision], (ids, tombstones)
            case (
                Snapshot()
                | EntryPage()
                | AwaitedPage()
                | SharedPage()
                | Remains()
                | EntryScan()
                | ScopeChange()
                | AllChanges()
                | Term()
            ):
                return [answer.revision], dataclasses.replace(answer, revision=0)
            case [ScopeChange() | AllChanges(), *_]:
                each = [self.shown(change) for change in answer]
                return [at for (at,), _ in each], [change for _, change in each]
            case (int() as revision, (*standing,)):
                return [revision], self.named(standing)
            case Exception():
                return [], (type(answer), vars(answer))
        return [], answer

    def named(self, standing: list[Instance]) -> list[Instance]:
        """Return instances in the order of their ids, their leases by number."""
        numbered = (
            dataclasses.replace(one, lease=self.leases.index(one.lease)) for one in standing
        )
        return sorted(numbered, key=lambda one: one.instance)

    @abstractmethod
    async def compact(self, revision: int) -> None:
        """Forget all history before the present revision, which is this one."""

    @abstractmethod
    async def stored(self, revision: int) -> Stored:
        """Return everything that stands at a revision, whether any read shows it or not."""


class MemorySide(Side):
    """The in-memory reference."""

    number = 0

    def __init__(self, place: MemoryPlace) -> None:
        super().__init__(place)
        self._memory = place.memory

    async def compact(self, revision: int) -> None:
        assert (await self._memory.instances())[0] == revision
        self._memory.compact()

    async def stored(self, revision: int) -> Stored:
        self._memory._kept.check(revision)
        return dict(self._memory._kept.range((), revision))


class EtcdSide(Side):
    """A namespace of a real etcd."""

    number = 1

    def __init__(self, place: EtcdPlace) -> None:
        super().__init__(place)
        self._etcd = place.etcd
        self._namespace = place.namespace.encode()
        self._keys = Keys(place.namespace)

    async def compact(self, revision: int) -> None:
        await self._etcd.compact(revision)

    async def stored(self, revision: int) -> Stored:
        end = prefix_end(self._namespace)
        with answered():
            found = await self._etcd.range(read(self._namespace, end, revision=revision))
        named = ((self._name(kv.key), kv.value) for kv in found.kvs)
        return {name: value for name, value in named if name}

    def _name(self, key: bytes) -> tuple[str | int, ...]:
        if key == self._keys.batch:
            return ()
        return named(self._keys.parse(key))


@dataclasses.dataclass(frozen=True)
class Moment:
    """A revision of the reference, and one of etcd at which the same stands."""

    memory: int
    etcd: int

    def at(self, side: Side) -> int:
        """Return this side's revision."""
        return (self.memory, self.etcd)[side.number]

    def shifted(self, by: int) -> Moment:
        """Return both revisions, moved by as much."""
        return Moment(self.memory + by, self.etcd + by)


class Moments:
    """Which revisions belong together.

    Whatever changes something makes a new revision on both sides. etcd makes some beside them:
    for a batch of which nothing was stored, or for somebody else's keys. So each revision of the
    reference is a span of etcd's, and these spans are in one order.
    """

    def __init__(self) -> None:
        self._first: dict[int, int] = {}
        self._last: dict[int, int] = {}
        self.forgotten = Moment(0, 0)

    def meet(self, memory: int, etcd: int) -> None:
        """Know that both answered at these revisions."""
        for known in self._first:
            assert known >= memory or self._last[known] < etcd
            assert known <= memory or etcd < self._first[known]
        self._first[memory] = min(etcd, self._first.get(memory, etcd))
        self._last[memory] = max(etcd, self._last.get(memory, etcd))

    @property
    def present(self) -> Moment:
        """The newest one."""
        return self.all[-1]

    @property
    def kept(self) -> int:
        """How many were met since history was forgotten."""
        return sum(memory > self.forgotten.memory for memory in self._first)

    @property
    def all(self) -> list[Moment]:
        """Every one, oldest first."""
        return [Moment(memory, self._first[memory]) for memory in sorted(self._first)]

    def followable(self, moment: Moment) -> bool:
        """Whether both must say the same of the changes after this moment.

        Not where the next revision of the reference is the oldest that is kept: etcd may have
        forgotten revisions of others in between, and then it says so.
        """
        return moment.memory + 1 != self.forgotten.memory
