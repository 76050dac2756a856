"""The sessions that this process holds: acquired on first touch, given up when nobody uses them.

    absent --enter--> acquiring --> held --idle or drain--> leaving --> absent
                          |           |
                          |           +--lost, deleted, or the instance died--> absent
                          +--owned by another, deleted, never made--> absent

One task per room writes while something waits, and ends when nothing does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

import structlog

from services.live.acquisition import Acquirer, Deleted, InstanceDied
from services.live.forming import Formed
from services.live.outcome import Verdict, judge
from services.live.registration import Instance, Registration
from services.live.request import Answer, Request, RoomClosed, Unsettled
from services.live.room import Room
from services.live.store import StoreClient
from sessiond.errors import (
    DeadlineExceeded,
    OutcomeUnknown,
    SessiondError,
    SessionMoved,
    SessionNotFound,
    Unavailable,
)
from sessiond.session.apply import message_of
from sessiond.session.events import Record
from sessiond.session.limits import Limits
from sessiond.session.state import Message, Session
from sessiond.store.codec import decode_record
from sessiond.v1 import ownership_pb2 as wire

AGAIN_SECONDS = 0.1
"""Between two tries of a commit whose fate is unknown."""

RELEASES = 500
"""Sessions given up in one call."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Held:
    """A room, the instance that holds it, its writer while there is one, and its last use."""

    room: Room
    instance: Instance
    used_at: float
    users: int = 0
    writer: asyncio.Task[None] | None = None


class Rooms:
    """Holds sessions, and takes changes of any session there is."""

    def __init__(
        self,
        store: StoreClient,
        registration: Registration,
        *,
        limits: Limits,
        idle_seconds: float,
        now_ms: Callable[[], int],
        new_id: Callable[[], str],
        new_commit_id: Callable[[], bytes],
    ) -> None:
        self._store = store
        self._registration = registration
        self._idle_seconds = idle_seconds
        self._new_commit_id = new_commit_id
        self._acquirer = Acquirer(
            store, limits=limits, now_ms=now_ms, new_id=new_id, new_commit_id=new_commit_id
        )
        self._held: dict[str, Held] = {}
        self._entering: dict[str, asyncio.Task[Held]] = {}
        self._leaving: dict[str, asyncio.Future[None]] = {}
        self._draining = False

    def __len__(self) -> int:
        """Return how many sessions are held."""
        return len(self._held)

    # --- changes -----------------------------------------------------------------------------

    async def change(
        self, session_id: str, request: Request, *, seconds: float
    ) -> tuple[Room, Answer]:
        """Make a change, and return its answer with the room that gave it.

        A room that closes meanwhile did not apply the change, or does not know: the same
        operation id settles either in the next one, here, within the time given.

        Raises:
            OutcomeUnknown: the time is over, and the change may have been stored.
            Unavailable: the time is over, and it was not.
            SessionMoved: another instance owns the session; the change was not stored.
            SessionNotFound: there is none, or it is not the caller's.
            SessiondError: the rules refuse it.
        """
        try:
            return await self._change(session_id, request, seconds)
        except Deleted:
            raise SessionNotFound from None

    async def delete(self, session_id: str, request: Request, *, seconds: float) -> None:
        """Delete a session; the same caller's same deletion again is answered as the first one.

        It may raise as `change` does.
        """
        try:
            await self._change(session_id, request, seconds)
        except Deleted as deleted:
            if not deleted.was_by(request):
                raise SessionNotFound from None

    async def _change(
        self, session_id: str, request: Request, seconds: float
    ) -> tuple[Room, Answer]:
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + seconds
        unknown = submitted = False
        try:
            async with asyncio.timeout_at(ends_at):
                while True:
                    held = await self._enter(session_id)
                    submitted = True
                    try:
                        again = replace(request, reply=loop.create_future())
                        return held.room, await self._submit(session_id, held, again)
                    except RoomClosed:
                        submitted = False
                    except Unsettled:
                        unknown, submitted = True, False
        except TimeoutError:
            raise OutcomeUnknown if unknown or submitted else Unavailable from None
        except (Unavailable, SessionMoved, Deleted) as failure:
            settled = isinstance(failure, Deleted) and failure.was_by(request)
            if unknown and not settled:
                raise OutcomeUnknown from None
            raise

    async def _submit(self, session_id: str, held: Held, request: Request) -> Answer:
        held.room.submit(request)
        held.users += 1
        try:
            if held.writer is None:
                held.writer = asyncio.create_task(
                    self._write(session_id, held), name=f"write {session_id}"
                )
            answer = await request.reply
        finally:
            held.users -= 1
            held.used_at = asyncio.get_running_loop().time()
        return answer

    async def whole(self, room: Room) -> tuple[Session, list[Message]]:
        """Return the session as it now is, with all its messages, the older ones from Store.

        Raises:
            SessionNotFound: it was deleted meanwhile.
            OutcomeUnknown: Store does not answer, so the caller has to ask again.
        """
        session, newer, start = room.session, room.window.messages(), room.window.start
        if start == 1:
            return session, newer
        older = await self._records(session.id, 1, start - 1)
        return session, [*(m for record in older if (m := message_of(record)) is not None), *newer]

    async def record(self, room: Room, seq: int) -> Record:
        """Return one record, from memory or from Store; it may raise as `whole` does."""
        record = room.window.record(seq)
        if record is None:
            (record,) = await self._records(room.session.id, seq, seq)
        return record

    async def _records(self, session_id: str, first_seq: int, last_seq: int) -> list[Record]:
        try:
            found = await self._store.records(session_id, first_seq, last_seq)
        except (Unavailable, DeadlineExceeded):
            # These reads follow a change that is stored: "nothing was changed" would be a lie.
            raise OutcomeUnknown from None
        return [decode_record(record) for record in found]

    # --- the writer of a room ------------------------------------------------------------------

    async def _write(self, session_id: str, held: Held) -> None:
        room = held.room
        try:
            while held.instance.is_alive() and (formed := room.form()) is not None:
                verdict = await self._settled(held.instance, formed)
                # The output gate's other half: past its deadline an instance acknowledges nothing.
                if not held.instance.is_alive():
                    break
                if verdict is Verdict.FENCED:
                    held.instance.die()
                    break
                if verdict in (Verdict.BROKEN, Verdict.UNSTORABLE):
                    _log.critical("a commit met what cannot be", verdict=verdict.name)
                room.settle(verdict)
        except Exception:
            _log.exception("a room stopped")
            room.break_down()
        finally:
            held.writer = None
            if not held.instance.is_alive():
                room.close()
            if room.closed is not None:
                self._forget(session_id, held)

    async def _settled(self, instance: Instance, formed: Formed) -> Verdict:
        """Send one write until its fate is known, or the instance has died."""
        attempt = formed.attempt
        while True:
            if isinstance(formed.write, wire.DeleteRequest):
                outcome = await self._store.delete(formed.write)
            else:
                outcome = await self._store.commit(instance.id, formed.write)
            verdict = judge(attempt, outcome)
            if verdict is not Verdict.AGAIN or not instance.is_alive():
                return verdict
            attempt = replace(attempt, unknown=True)
            with suppress(TimeoutError):
                async with asyncio.timeout(min(AGAIN_SECONDS, instance.seconds_left)):
                    await instance.died.wait()

    def _forget(self, session_id: str, held: Held) -> None:
        if self._held.get(session_id) is held:
            del self._held[session_id]

    # --- coming and going ------------------------------------------------------------------

    async def _enter(self, session_id: str) -> Held:
        """Return the session's room, held by a living instance; acquire it if need be."""
        while True:
            if self._draining:
                raise SessionMoved
            leaving = self._leaving.get(session_id)
            if leaving is not None:
                await asyncio.shield(leaving)
                continue
            held = self._held.get(session_id)
            if held is not None and held.instance.is_alive() and held.room.closed is None:
                return held
            if held is not None:
                held.room.close()
                self._forget(session_id, held)
            instance = await self._registration.living()
            entering = self._entering.get(session_id)
            if entering is None:
                entering = asyncio.create_task(
                    self._acquire(session_id, instance), name=f"acquire {session_id}"
                )
                self._entering[session_id] = entering
                entering.add_done_callback(lambda done: self._entered(session_id, done))
            with suppress(InstanceDied):
                # A caller that gives up takes nobody else's acquisition with it.
                await asyncio.shield(entering)

    def _entered(self, session_id: str, done: asyncio.Task[Held]) -> None:
        del self._entering[session_id]
        if not done.cancelled():
            done.exception()  # seen, even if every caller has gone

    async def _acquire(self, session_id: str, instance: Instance) -> Held:
        room = await self._acquirer.acquire(session_id, instance)
        if not instance.is_alive():
            raise InstanceDied
        held = Held(room, instance, used_at=asyncio.get_running_loop().time())
        self._held[session_id] = held
        return held

    def drop(self, instance: Instance) -> None:
        """Hold nothing of a dead instance any more; what is in flight is left unsettled."""
        for session_id, held in list(self._held.items()):
            if held.instance is instance:
                held.room.close()
                self._forget(session_id, held)

    async def release_idle(self) -> None:
        """Give up sessions as they become idle; until cancelled."""
        while True:
            await asyncio.sleep(max(self._idle_seconds / 10, 0.05))
            idle_since = asyncio.get_running_loop().time() - self._idle_seconds
            await self._release(
                [
                    session_id
                    for session_id, held in self._held.items()
                    if held.used_at <= idle_since and held.users == 0 and held.room.quiet
                ]
            )

    async def drain(self) -> None:
        """Take no more sessions, let what is in flight settle, and give all sessions up."""
        self._draining = True
        while self._held:
            writers = [held.writer for held in self._held.values() if held.writer is not None]
            if writers:
                await asyncio.wait(writers)
            await self._release([i for i, held in self._held.items() if held.room.quiet])

    async def _release(self, session_ids: list[str]) -> None:
        for start in range(0, len(session_ids), RELEASES):
            leaving: dict[str, Held] = {}
            for session_id in session_ids[start : start + RELEASES]:
                held = self._held.get(session_id)
                if held is not None and held.room.quiet:
                    leaving[session_id] = held
            await self._give_up(leaving)

    async def _give_up(self, leaving: dict[str, Held]) -> None:
        """Close rooms, then tell Store that they have no owner.

        If that fails they still name this instance as their owner, which may simply acquire them
        again; nothing is lost either way.
        """
        gone = asyncio.get_running_loop().create_future()
        for session_id, held in leaving.items():
            held.room.close()
            self._forget(session_id, held)
            self._leaving[session_id] = gone
        by_instance: dict[Instance, list[wire.ReleaseRequest.Releasing]] = {}
        for tag, (session_id, held) in enumerate(leaving.items()):
            by_instance.setdefault(held.instance, []).append(
                wire.ReleaseRequest.Releasing(
                    tag=tag,
                    session_id=session_id,
                    expected_head=held.room.head,
                    commit_id=self._new_commit_id(),
                )
            )
        try:
            for instance, sessions in by_instance.items():
                if instance.is_alive():
                    await self._store.release(instance.id, sessions)
        except SessiondError as error:
            _log.warning("could not give sessions up", reason=error.reason, sessions=len(leaving))
        finally:
            for session_id in leaving:
                del self._leaving[session_id]
            gone.set_result(None)
