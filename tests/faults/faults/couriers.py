"""Harm to single calls: replies lost, requests delivered twice, or long after their time."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress

from tests.faults.faults.fault import Scene
from tests.faults.plan import TTL_SECONDS, Strike
from tests.faults.relays.courier import Courier

CHANGES = {
    "store": frozenset({"Commit", "Acquire", "HandOver", "Delete", "Release", "CreateSession"}),
    "live": frozenset(
        {
            *("AppendMessage", "UpdateSession", "ApproveOutput", "SubmitOutput", "PauseSession"),
            *("ResumeSession", "DeleteSession"),
        }
    ),
    "etcd": frozenset({"Txn", "Put"}),
}
"""The methods that change something, by the kind of part that has them."""

_KEPT_SECONDS = 3.0


async def _placed(scene: Scene, name: str, stack: AsyncExitStack) -> Courier:
    """Put a courier between a part and its door, for all who come from now on; send all away."""
    door = scene.grounds.doors[name]
    courier = await stack.enter_async_context(Courier(scene.grounds.places[name]))
    direct, door.target = door.target, courier.address
    stack.callback(setattr, door, "target", direct)
    door.cut()
    return courier


class RepliesLost:
    """Changes take effect, and nobody hears of it."""

    def __init__(self, scene: Scene, strike: Strike) -> None:
        self._scene = scene
        self._name = strike.against
        self._stack = AsyncExitStack()

    async def inject(self) -> None:
        courier = await _placed(self._scene, self._name, self._stack)
        courier.lose(CHANGES[self._name.partition("-")[0]])

    async def heal(self) -> None:
        await self._stack.aclose()


class DeliveredTwice:
    """Changes come twice."""

    def __init__(self, scene: Scene, strike: Strike) -> None:
        self._scene = scene
        self._name = strike.against
        self._stack = AsyncExitStack()

    async def inject(self) -> None:
        courier = await _placed(self._scene, self._name, self._stack)
        courier.repeat(CHANGES[self._name.partition("-")[0]])

    async def heal(self) -> None:
        await self._stack.aclose()


class OldRequest:
    """An owner's commits are kept back, it dies, another takes over, and then they come.

    kept back --the owner dies--> nobody's --taken over--> delivered, and refused by the head
    """

    def __init__(self, scene: Scene, strike: Strike) -> None:
        self._scene = scene
        self._strike = strike
        self._owners: list[str] = []
        self._couriers: list[Courier] = []
        self._stack = AsyncExitStack()

    async def inject(self) -> None:
        for store in self._scene.grounds.names("store"):
            courier = await _placed(self._scene, store, self._stack)
            courier.keep({"Commit"})
            self._couriers.append(courier)
        waits = [asyncio.create_task(courier.keeping.wait()) for courier in self._couriers]
        try:
            await asyncio.wait(waits, timeout=_KEPT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
        for courier in self._couriers:
            courier.keep(())
        self._owners = await self._scene.victims(self._strike)
        for name in self._owners:
            await self._scene.grounds.cluster.kill(name)

    async def heal(self) -> None:
        session = self._scene.session(self._strike)
        with suppress(TimeoutError):
            async with asyncio.timeout(2 * TTL_SECONDS):
                while True:
                    if await self._scene.grounds.owner(session) not in ("", *self._owners):
                        break
                    await asyncio.sleep(0.1)
        for courier in self._couriers:
            courier.release()
        await self._scene.revive_all(self._owners)
        await self._stack.aclose()
