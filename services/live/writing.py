"""What rooms want written, on its way: sent to Store until its fate is known.

    resting --wake--> ready --form--> in flight --outcome--> ready, resting or closed
                                          |                        ^
                                          +--unknown--> again -----+

The usual way has no task: rooms that became ready in one pass of the loop are formed together, and
each is settled where its outcome is read. Only what takes more than one answer has a task: a
deletion, a look at the head, and a write whose fate is unknown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import structlog

from services.live.forming import Formed
from services.live.held import Held
from services.live.outcome import Attempt, Verdict, judge
from services.live.registration import Instance
from services.live.room import Room
from services.live.store import StoreClient
from sessiond.v1 import ownership_pb2 as wire

AGAIN_SECONDS = 0.1
"""Between two tries of a write whose fate is unknown."""

_log = structlog.get_logger(__name__)


class Writing:
    """Writes for the living instance; nothing is acknowledged past its deadline.

    `on_closed` hears of each room that is found closed when its write is over.
    """

    def __init__(self, store: StoreClient) -> None:
        self.on_closed: Callable[[Held], None] = lambda held: None
        self._store = store
        self._loop = asyncio.get_running_loop()
        self._ready: list[Held] = []
        self._tasks: set[asyncio.Task[None]] = set()

    # --- rooms -------------------------------------------------------------------------------

    def wake(self, held: Held) -> None:
        """Let what waits in a room be written; needed after each `Room.submit`."""
        if not held.writing and held.commits_left is None:
            held.writing = True
            self._make_ready(held)

    async def rest(self, held: Held) -> None:
        """Wait until no write of a room is asked for or in flight."""
        while held.writing:
            held.rested = held.rested or self._loop.create_future()
            await asyncio.shield(held.rested)

    async def settle(self, held: Held) -> None:
        """Wait until the fate of what is in flight is known, or of no use: see `let_on`."""
        if held.writing:
            held.settled = held.settled or self._loop.create_future()
            await asyncio.shield(held.settled)

    def let_on(self, held: Held) -> None:
        """Let nobody wait in `settle` any more."""
        if held.settled is not None:
            held.settled.set_result(None)
            held.settled = None

    def _make_ready(self, held: Held) -> None:
        # Not at once: whatever else this pass of the loop brings goes along.
        if not self._ready:
            self._loop.call_soon(self._write_ready)
        self._ready.append(held)

    def _write_ready(self) -> None:
        ready, self._ready = self._ready, []
        for held in ready:
            self._write(held)

    def _write(self, held: Held) -> None:
        """Send what a room wants written; if that is nothing, it rests."""
        formed = self._form(held)
        if formed is None:
            self._end(held)
        elif isinstance(formed.write, wire.Commit):
            formed.write.deferrable = not formed.urgent
            self._store.send(held.instance.id, formed.write, partial(self._came, held, formed))
        else:
            self._settle_in_time(held, formed, formed.attempt)

    def _form(self, held: Held) -> Formed | None:
        if held.commits_left == 0 or not held.instance.is_alive():
            return None
        if held.commits_left is not None:
            held.commits_left -= 1
        try:
            return held.room.form()
        except Exception:
            _log.exception("a room stopped")
            held.room.break_down()
            return None

    def _came(self, held: Held, formed: Formed, outcome: wire.CommitOutcome) -> None:
        """Take the outcome of a commit's first try."""
        try:
            verdict = judge(formed.attempt, outcome)
        except Exception:
            _log.exception("an outcome that cannot be read")
            verdict = Verdict.BROKEN
        if verdict is Verdict.AGAIN and held.instance.is_alive():
            self._settle_in_time(held, formed, formed.attempt._replace(unknown=True))
        else:
            self._settle(held, verdict)

    def _settle(self, held: Held, verdict: Verdict) -> None:
        try:
            # The output gate's other half: past its deadline an instance acknowledges nothing.
            if held.instance.is_alive():
                self._take(held, verdict)
        except Exception:
            _log.exception("a room stopped")
            held.room.break_down()
        self.let_on(held)
        if held.room.wants_write and not held.instance.died.is_set():
            self._make_ready(held)
        else:
            self._end(held)

    def _take(self, held: Held, verdict: Verdict) -> None:
        if verdict is Verdict.FENCED:
            held.instance.die()
            return
        if verdict in (Verdict.BROKEN, Verdict.UNSTORABLE):
            _log.critical("a commit met what cannot be", verdict=verdict.name)
        held.room.settle(verdict)

    def _end(self, held: Held) -> None:
        held.writing = False
        if held.instance.died.is_set():
            held.room.close()
        if held.room.closed is not None:
            self.on_closed(held)
        self.let_on(held)
        if held.rested is not None:
            held.rested.set_result(None)
            held.rested = None

    # --- what takes more than one answer -------------------------------------------------------

    def _settle_in_time(self, held: Held, formed: Formed, attempt: Attempt) -> None:
        task = self._loop.create_task(self._settle_slowly(held, formed, attempt), name="write")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _settle_slowly(self, held: Held, formed: Formed, attempt: Attempt) -> None:
        try:
            verdict = await self._settled(held.instance, formed, attempt)
        except Exception:
            _log.exception("a write broke")
            verdict = Verdict.BROKEN
        self._settle(held, verdict)

    async def _settled(self, instance: Instance, formed: Formed, attempt: Attempt) -> Verdict:
        """Send one write until its fate is known, or the instance has died."""
        again = attempt.unknown
        while True:
            if again:
                await instance.pause(AGAIN_SECONDS)
            again = True
            match formed.write:
                case wire.DeleteRequest():
                    outcome = await self._store.delete(formed.write)
                case wire.ReadHeadRequest():
                    outcome = await self._store.stands(formed.write, formed.head)
                case commit:
                    # Once a try is unknown, "put off" would say nothing about that one.
                    commit.deferrable = commit.deferrable and not attempt.unknown
                    outcome = await self._store.commit(instance.id, commit)
            verdict = judge(attempt, outcome)
            if verdict is not Verdict.AGAIN or not instance.is_alive():
                return verdict
            if not isinstance(formed.write, wire.ReadHeadRequest):
                attempt = attempt._replace(unknown=True)

    async def hand_over(
        self, room: Room, instance: Instance, target: bytes, commit_id: bytes
    ) -> tuple[Verdict, bytes]:
        """Give a room's session to another instance; return the verdict, and the new owner.

        The new owner is b"" where the target was leaving itself, and the verdict `AGAIN` where the
        instance died before the fate of the hand-over was known.
        """
        request = wire.HandOverRequest(
            instance=instance.id,
            session_id=room.session.id,
            expected_head=room.head,
            target=target,
            commit_id=commit_id,
        )
        attempt = Attempt(room.head, commit_id, room.meta.epoch, unknown=False)
        while True:
            response = await self._store.hand_over(request)
            verdict = judge(attempt, response.outcome)
            if verdict is not Verdict.AGAIN or not instance.is_alive():
                return verdict, response.owner
            attempt = attempt._replace(unknown=True)
            await instance.pause(AGAIN_SECONDS)
