"""Deaths at a named point of the code, between two steps of which the second is left undone."""

from __future__ import annotations

import asyncio

from tests.faults.faults.fault import Scene
from tests.faults.plan import Strike

_WAKE_SECONDS = 5.0


class LiveCrashed:
    """A Live dies at a point; which one, is left to who comes there first if it is about moving."""

    def __init__(self, scene: Scene, strike: Strike, *, point: str) -> None:
        self._scene = scene
        self._strike = strike
        self._point = point
        self._armed: list[str] = []

    async def inject(self) -> None:
        grounds = self._scene.grounds
        owners = await self._scene.victims(self._strike)
        if "acquire" in self._point:
            # Whoever takes over dies, and one is made to.
            self._armed = [name for name in grounds.names("live") if name not in owners]
            for name in self._armed:
                grounds.order(name, f"crash {self._point}")
            for name in owners:
                await grounds.cluster.kill(name)
            self._armed += owners
            return
        self._armed = owners
        for name in owners:
            grounds.order(name, f"crash {self._point}")
            if "hand-over" in self._point:
                # It leaves, and dies as soon as the first session is another's.
                await grounds.cluster.stop(name)

    async def heal(self) -> None:
        await _revive(self._scene, self._armed)


class StoreCrashed:
    """A Store dies when etcd has committed a batch, and nobody was told."""

    def __init__(self, scene: Scene, strike: Strike) -> None:
        self._scene = scene
        self._name = strike.against

    async def inject(self) -> None:
        self._scene.grounds.order(self._name, "crash after transaction before outcome")

    async def heal(self) -> None:
        await _revive(self._scene, [self._name])


async def _revive(scene: Scene, armed: list[str]) -> None:
    """Start those that have died, and order the others not to."""
    cluster = scene.grounds.cluster
    for name in armed:
        if cluster.running(name):
            scene.grounds.order(name, "crash never")
    # One that came to its point a moment ago is still running for its parent.
    await asyncio.sleep(0.05)
    async with asyncio.timeout(_WAKE_SECONDS * len(armed) + 30):
        await scene.revive_all(armed)
