"""What befalls etcd: members, space, its history, and the leases that it keeps."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path

from tests.faults.faults.fault import Scene
from tests.faults.members import Members, MemberSilent
from tests.faults.plan import ETCDS, Strike

COMPACTED_EVERY_SECONDS = 0.2
_JUNK = b"junk/"
_JUNK_BYTES = 1024 * 1024


class MembersKilled:
    """As many members as `count`, this one first, are killed, and started together."""

    def __init__(self, scene: Scene, strike: Strike, *, count: int) -> None:
        first = ETCDS.index(strike.against)
        self._scene = scene
        self._names = [ETCDS[(first + number) % len(ETCDS)] for number in range(count)]

    async def inject(self) -> None:
        for name in self._names:
            await self._scene.grounds.cluster.kill(name)

    async def heal(self) -> None:
        await self._scene.revive_all(self._names)


class LeaseRevoked:
    """The registration of a Live that lives is ended by somebody else."""

    def __init__(self, scene: Scene, strike: Strike) -> None:
        self._scene = scene
        self._strike = strike

    async def inject(self) -> None:
        members = self._scene.grounds.members
        for name in await self._scene.victims(self._strike):
            instance = await self._scene.grounds.instance(name)
            for key, lease in await members.keys(b"live:"):
                if lease and key == b"live:" + instance.hex().encode():
                    await members.revoke(lease)

    async def heal(self) -> None:
        """It registers anew by itself."""


class _Repeated(ABC):
    """Something that is done to etcd again and again, as long as it lasts."""

    def __init__(self, scene: Scene, strike: Strike) -> None:
        self._members = scene.grounds.members
        self._task: asyncio.Task[None] | None = None

    async def inject(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def heal(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            with suppress(MemberSilent):
                await self._once()
            await asyncio.sleep(COMPACTED_EVERY_SECONDS)

    @abstractmethod
    async def _once(self) -> None:
        """Do it once."""


class Compacting(_Repeated):
    """All history is forgotten, five times a second."""

    async def _once(self) -> None:
        await self._members.compact(await self._members.revision())


class Defragmenting(_Repeated):
    """One member after the other stands still to give its free space back."""

    async def _once(self) -> None:
        for name in ETCDS:
            with suppress(MemberSilent):
                await self._members.defragment(name)


class NoSpace:
    """etcd's quota is used up, then given back: deleted, compacted, defragmented, disarmed."""

    def __init__(self, scene: Scene, strike: Strike) -> None:
        self._members = scene.grounds.members
        self._most = scene.grounds.needs.quota_bytes // _JUNK_BYTES + 2

    async def inject(self) -> None:
        with suppress(MemberSilent):
            for number in range(self._most):
                await self._members.put(_JUNK + str(number).encode(), b"x" * _JUNK_BYTES)

    async def heal(self) -> None:
        await free(self._members)


async def free(members: Members) -> None:
    """Give etcd's space back, and say so."""
    await members.delete(_JUNK)
    await members.compact(await members.revision())
    for name in ETCDS:
        await members.defragment(name)
    await members.disarm()


class DiskFull:
    """The disk of one member is full; it may die of that."""

    def __init__(self, scene: Scene, strike: Strike) -> None:
        self._scene = scene
        self._name = strike.against
        self._filler = scene.grounds.small_disk / "filler"

    async def inject(self) -> None:
        await asyncio.to_thread(_fill, self._filler)

    async def heal(self) -> None:
        self._filler.unlink(missing_ok=True)
        # One that could not write may have stopped without a word: a fresh start makes it whole.
        await self._scene.grounds.cluster.kill(self._name)
        await self._scene.revive(self._name)


def _fill(path: Path) -> None:
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 65_536)
