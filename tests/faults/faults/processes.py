"""What befalls processes: they die, stand still, block their own loops, lose their time."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from tests.faults.faults.fault import Scene
from tests.faults.plan import Strike

_FREEZERS = (Path("/sys/fs/cgroup/freezer"), Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup"))


class Killed:
    """SIGKILL, and a fresh start."""

    def __init__(self, scene: Scene, strike: Strike) -> None:
        self._scene = scene
        self._strike = strike
        self._victims: list[str] = []

    async def inject(self) -> None:
        self._victims = await self._scene.victims(self._strike)
        for name in self._victims:
            await self._scene.grounds.cluster.kill(name)

    async def heal(self) -> None:
        await self._scene.revive_all(self._victims)


class Stopped:
    """SIGSTOP, and SIGCONT when its time is over: who was late wakes up and knows nothing of it."""

    def __init__(self, scene: Scene, strike: Strike) -> None:
        self._scene = scene
        self._strike = strike
        self._victims: list[str] = []

    async def inject(self) -> None:
        self._victims = await self._scene.victims(self._strike)
        for name in self._victims:
            self._scene.grounds.cluster.suspend(name)

    async def heal(self) -> None:
        for name in self._victims:
            self._scene.grounds.cluster.resume(name)


class Frozen:
    """The kernel's freezer: no signal says so, and not even SIGKILL ends it before it thaws."""

    def __init__(self, scene: Scene, strike: Strike) -> None:
        self._scene = scene
        self._strike = strike
        self._groups: list[Path] = []

    async def inject(self) -> None:
        cluster = self._scene.grounds.cluster
        for name in await self._scene.victims(self._strike):
            if cluster.running(name):
                group = freezer() / f"sessiond-{cluster.pid(name)}"
                group.mkdir(exist_ok=True)
                (group / "cgroup.procs").write_text(str(cluster.pid(name)))
                self._groups.append(group)
                _freeze(group, frozen=True)

    async def heal(self) -> None:
        for group in self._groups:
            _freeze(group, frozen=False)
            with suppress(OSError):
                for pid in (group / "cgroup.procs").read_text().split():
                    (group.parent / "cgroup.procs").write_text(pid)
                group.rmdir()


def freezer() -> Path:
    """Return where this machine's groups of processes are frozen."""
    return next(path for path in _FREEZERS if (path / "cgroup.procs").exists())


def _freeze(group: Path, *, frozen: bool) -> None:
    state = group / "freezer.state"
    if state.exists():
        state.write_text("FROZEN" if frozen else "THAWED")
    else:
        (group / "cgroup.freeze").write_text("1" if frozen else "0")


class LoopStalled:
    """Something in the process computes and lets nothing else go on, and then all goes on."""

    def __init__(self, scene: Scene, strike: Strike) -> None:
        self._scene = scene
        self._strike = strike

    async def inject(self) -> None:
        for name in await self._scene.victims(self._strike):
            self._scene.grounds.order(name, f"stall {self._strike.lasts:.2f}")

    async def heal(self) -> None:
        """It has ended by itself."""


class ClockJumped:
    """The wall clock is set forward or back, by up to an hour, and right again."""

    def __init__(self, scene: Scene, strike: Strike) -> None:
        self._scene = scene
        self._strike = strike

    async def inject(self) -> None:
        steps = (-3600.0, -30.0, -2.0, 2.0, 30.0, 3600.0)
        step = steps[int(self._strike.chance * len(steps))]
        self._scene.grounds.set_clock(self._strike.against, step)

    async def heal(self) -> None:
        self._scene.grounds.set_clock(self._strike.against, 0)
