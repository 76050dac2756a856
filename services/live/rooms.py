"""The sessions that this process holds: acquired on first touch, until they leave.

    absent --enter--> acquiring --> held --begin_leave--> leaving --end_leave--> absent
                          |           |
                          |           +--lost, deleted, or the instance died--> absent
                          +--owned by another, deleted, never made--> absent

Whoever comes while a session leaves waits until it has left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress

from services.live.acquisition import Acquirer, Deleted, InstanceDied
from services.live.held import Held
from services.live.registration import Instance, Registration
from services.live.request import Answer, Request, RoomClosed
from services.live.writing import Writing
from sessiond.errors import SessiondError, SessionMoved, SessionNotFound, Unavailable


class Rooms:
    """Holds sessions for the living instance of this process."""

    def __init__(
        self,
        registration: Registration,
        acquirer: Acquirer,
        writing: Writing,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._registration = registration
        self._acquirer = acquirer
        self._writing = writing
        writing.on_closed = self._forget
        self._clock = clock
        self._held: dict[str, Held] = {}
        self._entering: dict[str, asyncio.Task[Held]] = {}
        self._leaving: dict[str, asyncio.Future[None]] = {}

    def __len__(self) -> int:
        """Return how many sessions are held."""
        return len(self._held)

    def __iter__(self) -> Iterator[tuple[str, Held]]:
        """Return the sessions that are held at the moment, those that leave included."""
        return iter(tuple(self._held.items()))

    # --- entering ----------------------------------------------------------------------------

    def held(self, session_id: str) -> Held | None:
        """Return the session's room if this process holds it, and it does not leave."""
        held = self._held.get(session_id)
        if held is None or held.commits_left is not None:
            return None
        if held.room.closed is None and held.instance.is_alive():
            return held
        held.room.close()
        self._forget(held)
        return None

    async def enter(self, session_id: str) -> Held:
        """Return the session's room; acquire it if need be.

        Raises:
            SessionMoved: a living instance owns it, and its address is told; or this process takes
                no more sessions.
            SessionNotFound: there never was such a session, or it is deleted.
            Unavailable: Store does not answer; asking again is safe.
        """
        try:
            return await self.acquire(session_id)
        except Deleted:
            raise SessionNotFound from None

    async def acquire(self, session_id: str) -> Held:
        """Do as `enter`, but raise `Deleted` for a session of which a tombstone is left."""
        while True:
            await self.left(session_id)
            held = self.held(session_id)
            if held is not None:
                return held
            if self._registration.draining:
                await self._give_up(session_id)
                raise SessionMoved
            instance = await self._registration.living()
            entering = self._entering.get(session_id)
            if entering is None or entering.done():  # one that failed may still be noted here
                entering = asyncio.create_task(
                    self._acquire(session_id, instance), name=f"acquire {session_id}"
                )
                self._entering[session_id] = entering
                entering.add_done_callback(lambda done: self._entered(session_id, done))
            with suppress(InstanceDied):
                # A caller that gives up takes nobody else's acquisition with it.
                await asyncio.shield(entering)

    async def _give_up(self, session_id: str) -> None:
        """Let a session that was given to us, and that we do not hold, have no owner any more.

        We take no more, and nobody else could have it before our registration ends.
        """
        await self.entered()
        instance = self._registration.instance
        if instance is not None and session_id not in self._held:
            await self._acquirer.give_up(session_id, instance)

    async def entered(self) -> None:
        """Wait until nothing is being acquired."""
        while self._entering:
            await asyncio.wait(tuple(self._entering.values()))

    def _entered(self, session_id: str, done: asyncio.Task[Held]) -> None:
        if self._entering.get(session_id) is done:
            del self._entering[session_id]
        if not done.cancelled():
            done.exception()  # seen, even if every caller has gone

    async def _acquire(self, session_id: str, instance: Instance) -> Held:
        asked = self._clock()
        room = await self._acquirer.acquire(session_id, instance)
        if not instance.is_alive():
            raise InstanceDied
        held = Held(room, instance, since=asked, used_at=self._clock())
        room.wake = lambda: self.wake(held)
        self._held[session_id] = held
        return held

    async def confirm(self, session_id: str, held: Held, *, since: float) -> bool:
        """Return whether the session is held still, with all that stood in etcd at `since`.

        The deadline alone does not say so: etcd may have ended the registration before its time,
        another may own the session, and even have deleted it. And what is in flight may be stored,
        and known to who reads, before we hear of it. Everybody who asks at a time is answered by
        one heartbeat, and nobody who was the first to touch the session has to ask. `since` is in
        seconds of the clock.
        """
        if held.since < since:
            await held.instance.confirm()
            if self.held(session_id) is held:
                await self._writing.settle(held)
        return self.held(session_id) is held

    async def check(self, held: Held, check: Callable[[], None]) -> None:
        """Let a check of the room's refuse only once it is sure that the session is held still.

        Raises:
            RoomClosed: it is not, and what the room would say may be wrong.
            SessiondError: what the check raises.
        """
        try:
            check()
        except SessiondError:
            session_id, now = held.room.session.id, self._clock()
            if not await self.confirm(session_id, held, since=now):
                raise RoomClosed from None
            check()

    # --- writing -----------------------------------------------------------------------------

    async def submit(self, session_id: str, held: Held, request: Request) -> Answer:
        """Submit a change to a room, and return its answer; it may raise as `Room.submit` does.

        Raises:
            RoomClosed: the room closed before; the change was not applied.
            Unsettled: the room closed meanwhile, and nobody knows.
            SessiondError: the rules refuse it.
        """
        try:
            held.room.submit(request)
        except Unavailable:
            # A stranger would learn from it that there is such a session.
            await self.check(held, lambda: held.room.check_welcome(request))
            raise
        held.users += 1
        try:
            self.wake(held)
            return await request.reply
        finally:
            held.users -= 1
            held.used_at = self._clock()

    def wake(self, held: Held) -> None:
        """Let what waits in a room be written; needed after each `Room.submit`."""
        self._writing.wake(held)

    # --- leaving -----------------------------------------------------------------------------

    def begin_leave(self, session_id: str, *, commits: int = 0) -> Held | None:
        """Let nobody enter a session's room any more; None when it leaves, or is not held.

        What is in flight is settled, and so many commits more are written of what waits: then no
        write of the room ever follows. It must be ended by `end_leave`.
        """
        held = self.held(session_id)
        if held is not None:
            held.commits_left = commits
            self._leaving[session_id] = asyncio.get_running_loop().create_future()
        return held

    async def settled(self, held: Held) -> None:
        """Wait until nothing of a room that leaves is written any more."""
        await self._writing.rest(held)

    def end_leave(self, session_id: str, held: Held, told: SessiondError | None = None) -> None:
        """Hold the session no longer; subscribers are told that it moved, or what is given."""
        held.room.close(told)
        self._forget(held)
        self._leaving.pop(session_id).set_result(None)

    async def left(self, session_id: str) -> None:
        """Return when the session does not leave, or has left."""
        while (leaving := self._leaving.get(session_id)) is not None:
            await asyncio.shield(leaving)

    def drop(self, instance: Instance) -> None:
        """Hold nothing of a dead instance any more; what is in flight is left unsettled."""
        for _, held in self:
            if held.instance is instance:
                held.room.close()
                self._forget(held)

    def _forget(self, held: Held) -> None:
        session_id = held.room.session.id
        if self._held.get(session_id) is held:
            del self._held[session_id]
        self._writing.let_on(held)
