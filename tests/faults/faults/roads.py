"""Harm to the road between two parts, and to no other."""

from __future__ import annotations

from tests.faults.faults.fault import Scene
from tests.faults.plan import Strike
from tests.faults.relays import troubles

TROUBLES = {
    "cut": troubles.CUT,
    "stall": troubles.STALL,
    "deaf": troubles.DEAF,
    "mute": troubles.MUTE,
    "late": troubles.LATE,
    "slow": troubles.SLOW,
    "torn": troubles.TORN,
    "half-open": troubles.HALF_OPEN,
}
"""By the names that plans use."""


class RoadHarmed:
    """All connections of one caller to one part are in trouble, those to come too."""

    def __init__(self, scene: Scene, strike: Strike, *, trouble: str) -> None:
        self._caller, _, part = strike.against.partition(">")
        peers = self._caller.startswith("etcd")
        self._door = scene.grounds.doors[f"{part} peers" if peers else part]
        self._trouble = TROUBLES[trouble]

    async def inject(self) -> None:
        self._door.befall(self._trouble, {self._caller})

    async def heal(self) -> None:
        self._door.heal({self._caller})
