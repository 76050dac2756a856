"""Sessions whose place has changed, because an instance joined or came back, move there.

    placement changes --quiet for a while--> moving, so many a second --all in place--> at rest
          ^                                    |
          +------------changes again-----------+

A replica that comes and goes at once moves nothing. Idle sessions move first, and busy ones by the
same hand-over as at a shutdown.
"""

from __future__ import annotations

import asyncio

import structlog

from services.live.leaving import Leaving
from services.live.registration import Registration
from services.live.rooms import Rooms
from services.serving.instances import Instance, Instances
from services.serving.placement import placed

AT_ONCE = 4
"""Hand-overs under way at once."""

_log = structlog.get_logger(__name__)


class Rebalance:
    """Moves sessions to where they are placed."""

    def __init__(
        self,
        rooms: Rooms,
        leaving: Leaving,
        registration: Registration,
        instances: Instances,
        *,
        after_seconds: float,
        per_second: float,
    ) -> None:
        """Move nothing before placement has been the same for `after_seconds`."""
        self._rooms = rooms
        self._leaving = leaving
        self._registration = registration
        self._instances = instances
        self._after_seconds = after_seconds
        self._per_second = per_second

    async def run(self) -> None:
        """Rebalance after each change of the living instances; until cancelled."""
        living = await self._instances.known()
        while True:
            try:
                async with asyncio.timeout(self._after_seconds):
                    living = await self._instances.change(living)
                continue
            except TimeoutError:
                pass
            await self._move(living)
            living = await self._instances.change(living)

    async def _move(self, living: tuple[Instance, ...]) -> None:
        """Move what is elsewhere now, as long as these are the living instances."""
        places, moved = asyncio.Semaphore(AT_ONCE), 0
        async with asyncio.TaskGroup() as tasks:
            in_order = sorted(self._rooms, key=lambda each: (each[1].users, each[1].used_at))
            for session_id, _ in in_order:
                place = self._elsewhere(session_id, living)
                if place is None or self._rooms.held(session_id) is None:
                    continue
                await places.acquire()
                if self._instances.living != living or self._registration.draining:
                    places.release()
                    break
                moving = tasks.create_task(self._leaving.hand_over(session_id, place))
                moving.add_done_callback(lambda _: places.release())
                moved += 1
                await asyncio.sleep(1 / self._per_second)
        if moved:
            _log.info("sessions moved to their places", sessions=moved)

    def _elsewhere(self, session_id: str, living: tuple[Instance, ...]) -> Instance | None:
        """Return the other instance that should have a session; None for this one."""
        own = self._registration.instance
        if own is None or all(each.id != own.id for each in living):
            return None  # we do not know ourselves yet, so we know too little
        place = placed(session_id, living)
        return place if place is not None and place.id != own.id else None
