"""Deaths at a named point of the code, between two steps of which the second is left undone."""

from __future__ import annotations

from collections.abc import Sequence

from tests.faults.faults.fault import Fault, Scene, seen
from tests.faults.plan import Strike

_REACHED_SECONDS = 4.0
"""How long a point is waited for."""


class Crashed(Fault):
    """Parts die when they come to a point; each says so with its last breath."""

    def __init__(self, scene: Scene, strike: Strike, *, point: str) -> None:
        super().__init__(scene, strike)
        self.point = point
        self._armed: list[str] = []

    def arm(self, names: Sequence[str]) -> None:
        """Let these die at the point."""
        for name in names:
            self.scene.grounds.order(name, f"crash {self.point}")
        self._armed += names

    def dead(self) -> list[str]:
        """Return who has died there."""
        grounds = self.scene.grounds
        return [
            name
            for name in self._armed
            if f"crashed {self.point}" in grounds.reports(name)
            and not grounds.cluster.running(name)
        ]

    async def reached(self) -> None:
        """Wait until somebody has died; it is not said that anybody comes there."""
        await seen(lambda: bool(self.dead()), _REACHED_SECONDS)

    async def heal(self) -> None:
        """Start those that have died, and order the others not to."""
        for name in self._armed:
            if self.scene.grounds.cluster.running(name):
                self.scene.grounds.order(name, "crash never")
        # One that came to its point a moment ago is still running for its parent.
        await seen(lambda: False, 0.05)
        self.done["died there"] += len(self.dead())
        await self.scene.revive_all(self._armed)


class LiveCrashed(Crashed):
    """A Live dies at a point; which one, is left to who comes there first if it is about moving."""

    async def inject(self) -> None:
        grounds = self.scene.grounds
        owners = await self.scene.victims(self.strike)
        if "acquire" in self.point:
            # Whoever takes over dies, and one is made to.
            self.arm([name for name in grounds.names("live") if name not in owners])
            for name in owners:
                await grounds.cluster.kill(name)
            await self.reached()
            await self.scene.revive_all(owners)
            return
        concern = await self.scene.concerned(owners)
        self.arm(owners)
        if "hand-over" in self.point:
            # It leaves, and dies as soon as the first session is another's.
            for name in owners:
                await grounds.cluster.stop(name)
            return
        await self.reached()
        for name in self.dead():
            self.scene.befell("kill", concern, ago=grounds.reported_ago(name))


class StoreCrashed(Crashed):
    """A Store dies when etcd has committed a batch, and nobody was told."""

    async def inject(self) -> None:
        self.arm([await self.scene.busiest(self.strike.against)])
        await self.reached()
