"""Harm to single calls: replies lost, requests delivered twice, or long after their time."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from tests.faults.faults.fault import Fault, Scene, seen
from tests.faults.plan import TTL_SECONDS, Strike
from tests.faults.relays.courier import Courier

CHANGES = {
    "store": frozenset({"Commit", "Acquire", "HandOver", "Delete", "Release", "CreateSession"}),
    "live": frozenset(
        {
            *("AppendMessage", "UpdateSession", "ApproveOutput", "SubmitOutput", "EditOutput"),
            *("PauseSession", "ResumeSession", "DeleteSession"),
        }
    ),
    "etcd": frozenset({"Txn", "Put"}),
}
"""The methods that change something, by the kind of part that has them."""

_KEPT_SECONDS = 3.0


class Carried(Fault):
    """A part is reached through a courier, which counts what it does."""

    def __init__(self, scene: Scene, strike: Strike) -> None:
        super().__init__(scene, strike)
        self.couriers: list[Courier] = []
        self._stack = AsyncExitStack()

    async def place(self, name: str) -> Courier:
        """Put a courier between a part and its door; all who are there have to come again."""
        door, part = self.scene.grounds.doors[name], self.scene.grounds.places[name]
        courier = await self._stack.enter_async_context(Courier(part))
        self.couriers.append(courier)
        door.target = courier.address

        def leave() -> None:
            # Another fault may have put its own courier there meanwhile, which stays.
            if door.target == courier.address:
                door.target = part

        self._stack.callback(leave)
        door.cut()
        return courier

    async def place_all(self) -> frozenset[str]:
        """Put couriers before the parts that are meant; return their methods that change something.

        Where a kind is meant, it is all of it: who is sent away from one part goes to another.
        """
        against = self.strike.against
        for name in [against] if "-" in against else self.scene.grounds.names(against):
            await self.place(name)
        return CHANGES[against.partition("-")[0]]

    async def heal(self) -> None:
        for courier in self.couriers:
            courier.heal()
            self.done.update(lost=courier.lost, repeated=courier.repeated, late=courier.late)
        await self._stack.aclose()
        self.done = +self.done


class RepliesLost(Carried):
    """Changes take effect, and nobody hears of it."""

    async def inject(self) -> None:
        changes = await self.place_all()
        for courier in self.couriers:
            courier.lose(changes)


class DeliveredTwice(Carried):
    """Changes come twice."""

    async def inject(self) -> None:
        changes = await self.place_all()
        for courier in self.couriers:
            courier.repeat(changes)


class OldRequest(Carried):
    """An owner's commits are kept back, it dies, another takes over, and then they come.

    kept back --the owner dies--> nobody's --taken over--> delivered, and refused by the head
    """

    async def inject(self) -> None:
        self._owners = await self.scene.victims(self.strike)
        for store in self.scene.grounds.names("store"):
            (await self.place(store)).keep({"Commit"})
        if await seen(lambda: any(each.keeping.is_set() for each in self.couriers), _KEPT_SECONDS):
            await asyncio.sleep(0.3)  # until this owner's are among them
        for courier in self.couriers:
            courier.keep(())
        for name in self._owners:
            await self.scene.grounds.cluster.kill(name)

    async def heal(self) -> None:
        session = self.scene.session(self.strike)
        for _ in range(round(2 * TTL_SECONDS / 0.1)):
            if await self.scene.grounds.owner(session) not in ("", *self._owners):
                break
            await asyncio.sleep(0.1)
        for courier in self.couriers:
            courier.release()
        await self.scene.revive_all(self._owners)
        await super().heal()
