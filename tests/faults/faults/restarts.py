"""Parts that are asked to end, as an operator does it: nobody should notice."""

from __future__ import annotations

from tests.faults.faults.fault import Scene
from tests.faults.plan import Strike


class BadEnding(Exception):
    """A part that was asked to end did not end well."""


class Rolling:
    """Everything is restarted, one part after the other."""

    def __init__(self, scene: Scene, strike: Strike) -> None:
        self._scene = scene

    async def inject(self) -> None:
        for kind in ("gateway", "live", "store", "etcd"):
            for name in self._scene.grounds.names(kind):
                await _restart(self._scene, name)

    async def heal(self) -> None:
        """All of them run."""


class PingPong:
    """The owner of a session leaves and comes back, and whoever got the session does the same."""

    def __init__(self, scene: Scene, strike: Strike) -> None:
        self._scene = scene
        self._strike = strike

    async def inject(self) -> None:
        for _ in range(3):
            for name in await self._scene.victims(self._strike):
                await _restart(self._scene, name)

    async def heal(self) -> None:
        """All of them run."""


async def _restart(scene: Scene, name: str) -> None:
    code = await scene.grounds.cluster.stop(name)
    if code != 0 and not name.startswith("etcd"):  # a leader that hands over long is killed
        raise BadEnding(f"{name} ended with {code} when it was asked to end")
    await scene.grounds.cluster.start(name)
