"""Sessions that leave this process: because nobody uses them, because it stops, or because another
instance is their place by now.

    held --intake stopped, what is in flight settled--> handed over to an instance, or given up
                                                            |
                      subscribers told, what waited finds the new owner

Each session's gap is its own: few leave at once, and the others go on meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import structlog

from services.live.held import Held
from services.live.outcome import Verdict
from services.live.registration import Instance as Own
from services.live.registration import Registration
from services.live.rooms import Rooms
from services.live.routing import Router
from services.live.store import StoreClient
from services.live.writing import Writing
from services.serving.instances import Instance
from sessiond.errors import SessiondError, SessionMoved, SessionNotFound
from sessiond.v1.ownership_pb2 import ReleaseRequest

AT_ONCE = 16
"""Hand-overs under way at once."""

PACE_SECONDS = 0.1
DRAIN_SECONDS = 6.0
"""A drain begins a hand-over every 100 ms, or faster where that would take longer than 6 s. The new
owners load each session, and its clients come back, before the next ones do: so each has a short
gap, and is served until its own begins. A move costs as much as some ten changes: in less time,
many of them would make all others wait."""

RELEASES = 500
"""Sessions given up in one call."""

LAST_COMMITS = 20
"""What is still written of what waits in a room that nobody will take over: over 1,000 changes."""

_log = structlog.get_logger(__name__)


class Leaving:
    """Lets sessions leave."""

    def __init__(
        self,
        rooms: Rooms,
        router: Router,
        registration: Registration,
        store: StoreClient,
        writing: Writing,
        *,
        new_commit_id: Callable[[], bytes],
    ) -> None:
        self._rooms = rooms
        self._router = router
        self._registration = registration
        self._store = store
        self._writing = writing
        self._new_commit_id = new_commit_id

    # --- idle --------------------------------------------------------------------------------

    async def release_idle(
        self,
        *,
        idle_seconds: float,
        stale_seconds: float,
        clock: Callable[[], float],
        now_ms: Callable[[], int],
    ) -> None:
        """Give up sessions that nobody uses for so long; until cancelled.

        One that nothing changed for `stale_seconds` goes whoever is attached; they may come again.
        `clock` is that of the rooms.
        """
        while True:
            await asyncio.sleep(max(min(idle_seconds, stale_seconds) / 10, 0.05))
            now, stale_since = clock(), now_ms() - stale_seconds * 1000
            await self.release(
                session_id
                for session_id, held in self._rooms
                if held.room.quiet
                and (
                    (held.users == 0 and held.used_at <= now - idle_seconds)
                    or (
                        held.since <= now - stale_seconds
                        and held.room.session.last_active_ms <= stale_since
                    )
                )
            )

    # --- stopping ----------------------------------------------------------------------------

    async def drain(self) -> None:
        """Take no more sessions, and let all leave: to others that stay, where there are any."""
        self._registration.drain()
        while True:
            await self._rooms.entered()
            taken: dict[str, Instance] = {}
            alone: list[str] = []
            for session_id, _ in self._rooms:
                place = self._router.place(session_id)
                if place is None:
                    alone.append(session_id)
                else:
                    taken[session_id] = place
            if not taken and not alone:
                return
            await asyncio.gather(self._hand_all_over(taken), self.release(alone))
            for session_id, _ in self._rooms:  # some were leaving already
                await self._rooms.left(session_id)

    async def _hand_all_over(self, taken: dict[str, Instance]) -> None:
        places = asyncio.Semaphore(AT_ONCE)
        pause = min(PACE_SECONDS, DRAIN_SECONDS / max(len(taken), 1))

        async def one(session_id: str, place: Instance) -> None:
            try:
                await self.hand_over(session_id, place)
            finally:
                places.release()

        async with asyncio.TaskGroup() as leaving:
            for each in taken.items():
                await places.acquire()
                leaving.create_task(one(*each))
                await asyncio.sleep(pause)

    # --- leaving -----------------------------------------------------------------------------

    async def hand_over(self, session_id: str, place: Instance) -> None:
        """Give a session to another instance; if it is not held, or leaves already, do nothing.

        Subscribers and what waits learn of it when the new owner stands in the head.
        """
        held = self._rooms.begin_leave(session_id)
        if held is None:
            return
        told: SessiondError | None = None
        try:
            await self._rooms.settled(held)
            if held.room.closed is None and held.instance.is_alive():
                told = await self._give(session_id, held, place)
        except Exception:
            _log.exception("a hand-over broke")
        finally:
            self._rooms.end_leave(session_id, held, told)

    async def _give(self, session_id: str, held: Held, place: Instance) -> SessiondError | None:
        """Hand over, and return what subscribers are told."""
        verdict, owner = await self._writing.hand_over(
            held.room, held.instance, place.id, self._new_commit_id()
        )
        match verdict:
            case Verdict.COMMITTED:
                address = place.address if owner == place.id else ""
                self._router.learn(session_id, address)
                return SessionMoved(address, retry_after=None)
            case Verdict.FENCED:
                held.instance.die()
            case Verdict.GONE | Verdict.GONE_UNKNOWN:
                return SessionNotFound()
            case Verdict.BROKEN | Verdict.UNSTORABLE:
                _log.critical("a hand-over met what cannot be", verdict=verdict.name)
        return None

    async def release(self, session_ids: Iterable[str]) -> None:
        """Give sessions up, so that they have no owner; what waits in their rooms is written first.

        If Store does not hear of it they still name this instance as their owner, which may simply
        acquire them again; nothing is lost either way.
        """
        asked = list(session_ids)
        for start in range(0, len(asked), RELEASES):
            leaving: dict[str, Held] = {}
            for session_id in asked[start : start + RELEASES]:
                held = self._rooms.begin_leave(session_id, commits=LAST_COMMITS)
                if held is not None:
                    leaving[session_id] = held
            try:
                for held in leaving.values():
                    await self._rooms.settled(held)
                await self._give_up(leaving)
            finally:
                for session_id, held in leaving.items():
                    self._rooms.end_leave(session_id, held)

    async def _give_up(self, leaving: dict[str, Held]) -> None:
        by_instance: dict[Own, list[ReleaseRequest.Releasing]] = {}
        for tag, (session_id, held) in enumerate(leaving.items()):
            if held.room.closed is None and held.instance.is_alive():
                by_instance.setdefault(held.instance, []).append(
                    ReleaseRequest.Releasing(
                        tag=tag,
                        session_id=session_id,
                        expected_head=held.room.head,
                        commit_id=self._new_commit_id(),
                    )
                )
        for instance, sessions in by_instance.items():
            try:
                await self._store.release(instance.id, sessions)
            except SessiondError as error:
                _log.warning(
                    "could not give sessions up", reason=error.reason, sessions=len(sessions)
                )
