"""Parts that are asked to end, as an operator does it: nobody should notice."""

from __future__ import annotations

from tests.faults.faults.fault import Fault


class BadEnding(Exception):
    """A part that was asked to end did not end well."""


class Restarting(Fault):
    """Parts are restarted, one after the other."""

    async def _restart(self, name: str) -> None:
        cluster = self.scene.grounds.cluster
        concern = await self.scene.concerned([name])
        what = "hand-over" if concern.role == "owner" else "restart"
        cause = f"{what} {concern.role}"
        async with self.scene.prober.during(cause, concern.sessions, [name]):
            code = await cluster.stop(name)
        if code != 0 and not name.startswith("etcd"):  # a leader that hands over long is killed
            raise BadEnding(f"{name} ended with {code} when it was asked to end")
        await cluster.start(name)
        self.done["restarted"] += 1

    async def heal(self) -> None:
        """All of them run."""


class Rolling(Restarting):
    """Everything is restarted."""

    async def inject(self) -> None:
        for kind in ("gateway", "live", "store", "etcd"):
            for name in self.scene.grounds.names(kind):
                await self._restart(name)


class PingPong(Restarting):
    """The owner of a session leaves and comes back, and whoever got the session does the same."""

    async def inject(self) -> None:
        for _ in range(3):
            for name in await self.scene.victims(self.strike):
                await self._restart(name)
