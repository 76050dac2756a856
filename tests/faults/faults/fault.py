"""A fault, and what it has to do with: the cluster, and the sessions that clients use."""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from cluster.part import PartDied
from tests.faults.clients.prober import Prober
from tests.faults.cluster import Grounds
from tests.faults.members import MemberSilent
from tests.faults.plan import Strike

_LOOK_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Concern:
    """What parts are to sessions, "owner", "leader" or both, and to which; to none, for others."""

    role: str
    sessions: Sequence[str]
    parts: Sequence[str]


@dataclass
class Scene:
    """Where faults happen.

    Attributes:
        grounds: the cluster.
        sessions: those that clients use.
        written: the one in which turns are written.
        prober: measures how long sessions take to go on.
    """

    grounds: Grounds
    sessions: Sequence[str]
    written: str
    prober: Prober
    _starting: defaultdict[str, asyncio.Lock] = field(
        default_factory=lambda: defaultdict(asyncio.Lock)
    )

    def befell(self, what: str, concern: Concern, *, ago: float = 0.0) -> None:
        """Measure how long the sessions that are concerned take to go on, since so many seconds."""
        self.prober.befell(f"{what} {concern.role}", concern.sessions, concern.parts, ago=ago)

    async def victims(self, strike: Strike) -> list[str]:
        """Return the parts that are meant, as things stand now; a role that nobody has is none."""
        found: list[str] = []
        for role in strike.against.split("+"):
            name = role
            if role == "owner":
                name = await self.grounds.owner(self.session(strike))
            elif role == "writer":
                name = await self.grounds.owner(self.written)
            elif role == "leader":
                name = await self.leader()
            if name and name not in found:
                found.append(name)
        return found

    async def leader(self, within: float = 0.0) -> str:
        """Return the leader of etcd; "" when there is none, and in this time comes none."""
        for _ in range(1 + round(within / _LOOK_SECONDS)):
            try:
                return await self.grounds.members.leader()
            except MemberSilent:
                await asyncio.sleep(_LOOK_SECONDS)
        return ""

    async def concerned(self, names: Sequence[str]) -> Concern:
        """Return what parts are to sessions, and to which."""
        sessions = [*self.sessions, self.written]
        owners = await asyncio.gather(*map(self.grounds.owner, sessions))
        owned = {each for each, owner in zip(sessions, owners, strict=True) if owner in names}
        if any(name.startswith("etcd") for name in names) and await self.leader() in names:
            return Concern("owner+leader" if owned else "leader", sessions, names)
        return Concern("owner", sorted(owned), names)

    async def busiest(self, kind: str, caller: str = "") -> str:
        """Return the part of a kind that this caller, by default anybody, exchanges most with."""
        doors = {name: self.grounds.doors[name] for name in self.grounds.names(kind)}

        def carried() -> dict[str, int]:
            return {
                name: door.carried[caller] if caller else door.carried.total()
                for name, door in doors.items()
            }

        before = carried()
        await asyncio.sleep(0.3)
        after = carried()
        return max(doors, key=lambda name: (after[name] - before[name], after[name]))

    def session(self, strike: Strike) -> str:
        """Return one of the sessions."""
        return random.Random(strike.chance).choice(list(self.sessions))

    async def revive(self, name: str) -> None:
        """Start a part that has ended; return when it is ready, or when another fault ended it."""
        async with self._starting[name]:
            if not self.grounds.cluster.running(name):
                with suppress(PartDied):
                    await self.grounds.cluster.start(name)

    async def revive_all(self, names: Sequence[str]) -> None:
        """Start several at once: members of etcd need each other to get ready."""
        await asyncio.gather(*map(self.revive, names))


class Fault(ABC):
    """One thing that goes wrong, once.

    Attributes:
        done: what it did, and how often, as was seen of its victims; empty for a blow into the air.
    """

    def __init__(self, scene: Scene, strike: Strike) -> None:
        self.scene = scene
        self.strike = strike
        self.done: Counter[str] = Counter()

    @abstractmethod
    async def inject(self) -> None:
        """Do it."""

    @abstractmethod
    async def heal(self) -> None:
        """Undo it; return when what was harmed can work again."""


async def seen(what: Callable[[], bool], seconds: float) -> bool:
    """Wait until something is so, at most so long; return whether it is."""
    for _ in range(max(1, round(seconds / _LOOK_SECONDS))):
        if what():
            return True
        await asyncio.sleep(_LOOK_SECONDS)
    return what()
