"""One owner: whoever was the owner can neither acknowledge nor store anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from services.live.acquisition import Acquirer
from services.live.commits import COMMITTED
from services.live.registration import Instance
from services.live.room import Room
from services.live.store import StoreClient
from services.store.memory import MemoryRepository
from services.store.writes import Refused
from sessiond.store import codec
from sessiond.v1.ownership_pb2 import CommitOutcome
from tests.faults.check import Law
from tests.simulation.bugs.bug import breaks, every, fault, reference
from tests.simulation.patching import Patch
from tests.simulation.schedule import LASTING

PROMISE = "one owner"
LOSES = (
    Law.ACKNOWLEDGED_LOST,
    Law.ACKNOWLEDGED_ELSEWHERE,
    Law.SHOWN_NOT_STORED,
    Law.TWO_CONTENTS,
    Law.EPOCH_ORDER,
    Law.WRONG_AUTHOR,
    Law.INDEX_TWICE,
    Law.STALE_READ,
)
"""What comes of two who write one log."""


@breaks(PROMISE, *LOSES, needs=every(reference, fault("ambiguous")))
def compare_no_head() -> Sequence[Patch]:
    """Let everybody write who is registered."""

    def refused(
        self: MemoryRepository, session_id: str, expected_head: bytes, instance: bytes
    ) -> Refused | None:
        head = self._kept.get(("head", session_id)) or b""
        return None if instance in self._live else Refused(head, registered=False)

    return [(MemoryRepository, "_refused", refused)]


@breaks(PROMISE, *LOSES, Law.RETURNED_FROM_DELETION, needs=reference)
def fence_only_by_lease() -> Sequence[Patch]:
    """Let everybody write who thought that their lease stood when they sent it."""

    def refused(self: MemoryRepository, *asked: Any) -> None:
        return None

    return [(MemoryRepository, "_refused", refused)]


async def _unseen(self: StoreClient, *asked: Any) -> CommitOutcome:
    return COMMITTED


UNSEEN: Patch = (StoreClient, "stands", _unseen)
"""Answer what needs no write without a look at the head. That look, too, holds up those who are
late: what follows does harm only where it is left out."""


@breaks(PROMISE, Law.STALE_READ, needs=fault("revoke"))
def answer_without_a_look() -> Sequence[Patch]:
    """Answer what needs no write from memory, and trust in the lease."""
    return [UNSEEN]


@breaks(PROMISE, Law.STALE_READ, needs=fault("pause live", seconds=LASTING))
def check_no_deadline() -> Sequence[Patch]:
    """Believe in one's own life, whatever clock and heartbeats say, until a write is refused."""
    init: Callable[..., None] = Instance.__init__
    heartbeat = StoreClient.heartbeat

    def immortal(self: Instance, *ids: Any, deadline: float, clock: Any) -> None:
        init(self, *ids, deadline=deadline + 1e6, clock=clock)

    async def well(self: StoreClient, *told: Any, **more: Any) -> bool:
        await heartbeat(self, *told, **more)
        return True

    return [(Instance, "__init__", immortal), (StoreClient, "heartbeat", well), UNSEEN]


@breaks(PROMISE, Law.STALE_READ, needs=every(reference, fault("revoke")))
def revive_after_expiry() -> Sequence[Patch]:
    """Register an instance again whose registration has ended, when its next heartbeat comes."""
    expire, heartbeat = MemoryRepository.expire, MemoryRepository.heartbeat

    def remembering(self: MemoryRepository, instance: bytes) -> None:
        if instance in self._live:
            self.__dict__.setdefault("_dead", {})[instance] = self._live[instance]
        expire(self, instance)

    async def reviving(self: MemoryRepository, instance: bytes, *more: Any, **also: Any) -> bool:
        dead = self.__dict__.get("_dead", {}).pop(instance, None)
        if dead is not None:
            self._live[instance] = dead
        return await heartbeat(self, instance, *more, **also)

    return [
        (MemoryRepository, "expire", remembering),
        (MemoryRepository, "heartbeat", reviving),
        UNSEEN,
    ]


@breaks(PROMISE, Law.WRONG_AUTHOR)
def keep_the_epoch() -> Sequence[Patch]:
    """Take a session over without a new epoch."""
    take_over = codec.take_over

    def same(head: bytes, *, epoch: int, **more: Any) -> bytes:
        return take_over(head, epoch=max(epoch - 1, 1), **more)

    return [(codec, "take_over", same)]


@breaks(PROMISE, Law.STALE_READ, needs=reference)
def take_from_the_living() -> Sequence[Patch]:
    """Take a session over though its owner lives."""
    acquire = MemoryRepository.acquire

    async def anyway(self: MemoryRepository, session_id: str, instance: bytes, *more: Any) -> Any:
        living = self._live
        self._live = {each: known for each, known in living.items() if each == instance}
        try:
            return await acquire(self, session_id, instance, *more)
        finally:
            self._live = living

    return [(MemoryRepository, "acquire", anyway), UNSEEN]


@breaks(PROMISE, *LOSES, Law.SEQ_HOLE, Law.HEAD_DIFFERS)
def load_what_was_held_before() -> Sequence[Patch]:
    """Go on after a takeover from what this process remembers of the session."""
    load = Acquirer._load

    def remembered(self: Any, acquired: Any) -> Room:
        room = load(self, acquired)
        kept: dict[str, Room] = self.__dict__.setdefault("_kept", {})
        before = kept.get(room.session.id)
        if before is not None and before.session.turn is None and room.session.turn is None:
            room.session, room.window = before.session, before.window
            room._operations = before._operations
        kept[room.session.id] = room
        return room

    return [(Acquirer, "_load", remembered)]
