"""Harm to the road between two parts, and to no other."""

from __future__ import annotations

from tests.faults.faults.fault import Fault, Scene
from tests.faults.plan import ETCDS, LIVES, STORES, Strike
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

_ELECTED_SECONDS = 3.0
"""How long a leader is waited for, who may be elected just now."""


class RoadHarmed(Fault):
    """All connections of one caller to one part are in trouble, those to come too.

    Attributes:
        road: which it was in truth, where the plan names a kind of part or a role.
    """

    def __init__(self, scene: Scene, strike: Strike, *, trouble: str) -> None:
        super().__init__(scene, strike)
        self._trouble = TROUBLES[trouble]

    async def inject(self) -> None:
        caller, _, part = self.strike.against.partition(">")
        doors = self.scene.grounds.doors
        self._cut_off: set[str] = set()
        if caller in ("leader", "follower"):
            leader = await self.scene.leader(_ELECTED_SECONDS)
            others = [name for name in ETCDS if name != leader]
            other = others[int(self.strike.chance * len(others))]
            caller, part = (leader, other) if caller == "leader" else (other, leader)
            self._door = doors[f"{part} peers"]
        elif caller == "stores":
            # A Store dials a Live only when another Live cannot reach it.
            self._door = doors[part]
            self._cut_off = set(LIVES) - {part}
            self._door.befall(troubles.CUT, self._cut_off)
        else:
            part = part if "-" in part else await self.scene.busiest(part, caller)
            self._door = doors[part]
        self._callers = set(STORES) if caller == "stores" else {caller}
        self.road = f"{caller}>{part}"
        self._before = {each: self._door.harmed[each] for each in self._callers}
        self._door.befall(self._trouble, self._callers)

    async def heal(self) -> None:
        self._door.heal(self._callers | self._cut_off)
        for each in self._callers:
            self.done[self.road] += self._door.harmed[each] - self._before[each]
