"""What rooms want written, on its way: sent to Store until its fate is known."""

from __future__ import annotations

from dataclasses import replace

import structlog

from services.live.forming import Formed
from services.live.outcome import Attempt, Verdict, judge
from services.live.registration import Instance
from services.live.room import Room
from services.live.store import StoreClient
from sessiond.v1 import ownership_pb2 as wire

AGAIN_SECONDS = 0.1
"""Between two tries of a write whose fate is unknown."""

_log = structlog.get_logger(__name__)


class Writing:
    """Writes for the living instance; nothing is acknowledged past its deadline."""

    def __init__(self, store: StoreClient) -> None:
        self._store = store

    async def next(self, room: Room, instance: Instance) -> bool:
        """Write what waits in a room, once; False when there is nothing more to be written."""
        if not instance.is_alive() or (formed := room.form()) is None:
            return False
        verdict = await self._settled(instance, formed)
        # The output gate's other half: past its deadline an instance acknowledges nothing.
        if not instance.is_alive():
            return False
        if verdict is Verdict.FENCED:
            instance.die()
            return False
        if verdict in (Verdict.BROKEN, Verdict.UNSTORABLE):
            _log.critical("a commit met what cannot be", verdict=verdict.name)
        room.settle(verdict)
        return True

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
            attempt = replace(attempt, unknown=True)
            await instance.pause(AGAIN_SECONDS)

    async def _settled(self, instance: Instance, formed: Formed) -> Verdict:
        """Send one write until its fate is known, or the instance has died."""
        attempt = formed.attempt
        while True:
            match formed.write:
                case wire.DeleteRequest():
                    outcome = await self._store.delete(formed.write)
                case wire.ReadHeadRequest():
                    outcome = await self._store.stands(formed.write, formed.head)
                case commit:
                    # Once a try is unknown, "put off" would say nothing about that one.
                    commit.deferrable = not attempt.unknown
                    outcome = await self._store.commit(instance.id, commit)
            verdict = judge(attempt, outcome)
            if verdict is not Verdict.AGAIN or not instance.is_alive():
                return verdict
            if not isinstance(formed.write, wire.ReadHeadRequest):
                attempt = replace(attempt, unknown=True)
            await instance.pause(AGAIN_SECONDS)
