"""What befalls etcd: members, space, its history, and the leases that it keeps."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from contextlib import suppress
from pathlib import Path

from tests.faults.faults.fault import Fault, Scene
from tests.faults.faults.processes import Killed
from tests.faults.members import Members, MemberSilent
from tests.faults.plan import ETCDS, Strike

REPEATED_SECONDS = 0.2
_JUNK = b"junk/"
_JUNK_BYTES = 1024 * 1024
_FREE_SECONDS = 20.0
_TRIES = 5


class MembersKilled(Killed):
    """As many members as `count`, this one first, are killed, and started together."""

    def __init__(self, scene: Scene, strike: Strike, *, count: int) -> None:
        super().__init__(scene, strike)
        self._count = count

    async def inject(self) -> None:
        first = ETCDS.index(self.strike.against)
        names = [ETCDS[(first + number) % len(ETCDS)] for number in range(self._count)]
        await self._kill("kill" if self._count == 1 else self.strike.kind, names)


class LeaseRevoked(Fault):
    """The registration of a Live that lives is ended by somebody else."""

    async def inject(self) -> None:
        for _ in range(_TRIES):
            # On a busy machine it may have ended by itself meanwhile; then the next one is ended.
            with suppress(MemberSilent):
                await self._revoke()
            if self.done["revoked"]:
                return

    async def _revoke(self) -> None:
        members = self.scene.grounds.members
        for name in await self.scene.victims(self.strike):
            instance = await self.scene.grounds.instance(name)
            concern = await self.scene.concerned([name])
            for key, lease in await members.keys(b"live:"):
                if lease and key == b"live:" + instance.hex().encode():
                    await members.revoke(lease)
                    self.done["revoked"] += await members.is_gone(lease)
                    self.scene.befell("revoked-lease", concern)

    async def heal(self) -> None:
        """It registers anew by itself."""


class _Repeated(Fault):
    """Something that is done to etcd again and again, as long as it lasts."""

    async def inject(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def heal(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            with suppress(MemberSilent):
                await self._once(self.scene.grounds.members)
            await asyncio.sleep(REPEATED_SECONDS)

    @abstractmethod
    async def _once(self, members: Members) -> None:
        """Do it once, and count it when etcd says that it is done."""


class Compacting(_Repeated):
    """All history is forgotten, five times a second."""

    async def _once(self, members: Members) -> None:
        await members.compact(await members.revision())
        self.done["compacted"] += 1


class Defragmenting(_Repeated):
    """One member after the other stands still to give its free space back."""

    async def _once(self, members: Members) -> None:
        for name in ETCDS:
            with suppress(MemberSilent):
                await members.defragment(name)
                self.done["defragmented"] += 1


class NoSpace(Fault):
    """etcd's quota is used up, then given back: deleted, compacted, defragmented, disarmed."""

    async def inject(self) -> None:
        members = self.scene.grounds.members
        most = self.scene.grounds.needs.quota_bytes // _JUNK_BYTES + 2
        with suppress(MemberSilent):
            for number in range(most):
                await members.put(_JUNK + str(number).encode(), b"x" * _JUNK_BYTES)
        self.done["alarms"] += len(await members.alarms())

    async def heal(self) -> None:
        await free(self.scene.grounds.members, self.scene.grounds.needs.quota_bytes // 2)


async def free(members: Members, enough: int) -> None:
    """Give etcd's space back, until each member uses no more than enough, and say so.

    What is compacted away may be freed a while after: then a member gives it back another time.
    """
    await members.delete(_JUNK)
    async with asyncio.timeout(_FREE_SECONDS):
        await members.compact(await members.revision())
        for name in ETCDS:
            while await members.used(name) > enough:
                with suppress(MemberSilent):
                    await members.defragment(name)
    await members.disarm()


class DiskFull(Fault):
    """The disk of one member is full; it may die of that."""

    def __init__(self, scene: Scene, strike: Strike) -> None:
        super().__init__(scene, strike)
        self._filler = scene.grounds.small_disk / "filler"

    async def inject(self) -> None:
        await asyncio.to_thread(_fill, self._filler)

    async def heal(self) -> None:
        # Its last word, whether it dies of it or not.
        log = self.scene.grounds.home / "logs" / f"{self.strike.against}.log"
        self.done["refused writes"] += log.read_text().count("no space left on device")
        self._filler.unlink(missing_ok=True)
        # One that could not write may have stopped without a word: a fresh start makes it whole.
        await self.scene.grounds.cluster.kill(self.strike.against)
        await self.scene.revive(self.strike.against)


def _fill(path: Path) -> None:
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 65_536)
