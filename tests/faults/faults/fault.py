"""A fault, and what it has to do with: the cluster, and the sessions that clients use."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tests.faults.cluster import Grounds
from tests.faults.members import MemberSilent
from tests.faults.plan import Strike


class Fault(Protocol):
    """One thing that goes wrong, once."""

    async def inject(self) -> None:
        """Do it."""

    async def heal(self) -> None:
        """Undo it; return when what was harmed can work again."""


@dataclass
class Scene:
    """Where faults happen.

    Attributes:
        grounds: the cluster.
        sessions: those that clients use.
        written: the one in which turns are written.
    """

    grounds: Grounds
    sessions: Sequence[str]
    written: str

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
                try:
                    name = await self.grounds.members.leader()
                except MemberSilent:
                    name = ""
            if name and name not in found:
                found.append(name)
        return found

    def session(self, strike: Strike) -> str:
        """Return one of the sessions."""
        return random.Random(strike.chance).choice(list(self.sessions))

    async def revive(self, name: str) -> None:
        """Start a part that has ended; wait for no more than its readiness."""
        if not self.grounds.cluster.running(name):
            await self.grounds.cluster.start(name)

    async def revive_all(self, names: Sequence[str]) -> None:
        """Start several at once: members of etcd need each other to get ready."""
        await asyncio.gather(*map(self.revive, names))
