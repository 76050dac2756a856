"""What befalls processes: they die, stand still, block their own loops, lose their time."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from tests.faults.faults.fault import Fault, seen

_FREEZERS = (Path("/sys/fs/cgroup/freezer"), Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup"))


class Killed(Fault):
    """SIGKILL, and a fresh start."""

    async def inject(self) -> None:
        await self._kill("kill", await self.scene.victims(self.strike))

    async def _kill(self, word: str, names: list[str]) -> None:
        """Kill these at once, and see how long the sessions that need them take to go on."""
        self._victims = names
        concern = await self.scene.concerned(names)
        for name in names:
            if self.scene.grounds.cluster.running(name):
                await self.scene.grounds.cluster.kill(name)
                self.done["killed"] += 1
        self.scene.befell(word, concern)

    async def heal(self) -> None:
        await self.scene.revive_all(self._victims)


class Stopped(Fault):
    """SIGSTOP, and SIGCONT when its time is over: who was late wakes up and knows nothing of it."""

    async def inject(self) -> None:
        self._victims = await self.scene.victims(self.strike)
        concern = await self.scene.concerned(self._victims)
        for name in self._victims:
            self.scene.grounds.cluster.suspend(name)
        self.scene.befell(self.strike.kind, concern)

    async def heal(self) -> None:
        cluster = self.scene.grounds.cluster
        for name in self._victims:
            self.done["stopped"] += cluster.running(name) and _state(cluster.pid(name)) == "T"
            cluster.resume(name)


class Frozen(Fault):
    """The kernel's freezer: no signal says so, and not even SIGKILL ends it before it thaws."""

    async def inject(self) -> None:
        self._groups: list[Path] = []
        cluster = self.scene.grounds.cluster
        victims = await self.scene.victims(self.strike)
        concern = await self.scene.concerned(victims)
        for name in victims:
            if cluster.running(name):
                group = freezer() / f"sessiond-{cluster.pid(name)}"
                group.mkdir(exist_ok=True)
                (group / "cgroup.procs").write_text(str(cluster.pid(name)))
                self._groups.append(group)
                _freeze(group, frozen=True)
        self.scene.befell("freeze", concern)

    async def heal(self) -> None:
        for group in self._groups:
            self.done["frozen"] += await seen(lambda group=group: _is_frozen(group), 0.5)  # type: ignore[misc]
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


def _is_frozen(group: Path) -> bool:
    state = group / "freezer.state"
    if state.exists():
        return state.read_text().strip() == "FROZEN"
    return "frozen 1" in (group / "cgroup.events").read_text()


def _state(pid: int) -> str:
    """Return the letter with which the kernel tells what a process does."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1]


class LoopStalled(Fault):
    """Something in the process computes and lets nothing else go on, and then all goes on."""

    async def inject(self) -> None:
        self._victims = await self.scene.victims(self.strike)
        for name in self._victims:
            self.scene.grounds.order(name, f"stall {self.strike.lasts:.2f}")

    async def heal(self) -> None:
        """It ends by itself."""
        for name in self._victims:
            self.done["stalled"] += await seen(
                lambda name=name: "stalled" in self.scene.grounds.reports(name),  # type: ignore[misc]
                2.0,
            )


class ClockJumped(Fault):
    """The wall clock is set forward or back, by up to an hour, and right again."""

    async def inject(self) -> None:
        steps = (-3600.0, -30.0, -2.0, 2.0, 30.0, 3600.0)
        self._step = steps[int(self.strike.chance * len(steps))]
        self.scene.grounds.set_clock(self.strike.against, self._step)

    async def heal(self) -> None:
        grounds, name = self.scene.grounds, self.strike.against
        begun = len(grounds.reports(name))
        grounds.order(name, "time")
        if await seen(lambda: len(grounds.reports(name)) > begun, 2.0):
            told = float(grounds.reports(name)[begun:].split()[1])
            self.done["jumps"] += abs(told - time.time() - self._step) < 1.0
        grounds.set_clock(name, 0)
