"""The feed tells everything at least once, and each session's changes in order."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from typing import Any

from services.store import feed_steps
from services.store.feed_query import Place
from services.store.feed_steps import Step, Telling
from services.store.feeding import Feeding, _Reading
from sessiond.v1.store_pb2 import WatchChangesResponse
from tests.faults.check import Law
from tests.simulation.bugs.bug import breaks, deletes, every, fault, fed, forked
from tests.simulation.patching import Patch

PROMISE = "the feed tells everything"


@breaks(PROMISE, Law.FEED_GAP, Law.FEED_LOST, needs=fed)
def begin_the_feed_now() -> Sequence[Patch]:
    """Go on from the present, whatever cursor is brought back."""
    follow = Feeding.follow

    def now(self: Feeding, query: Any, *, cursor: str, seconds: float) -> Any:
        return follow(self, query, cursor="", seconds=seconds)

    return [(Feeding, "follow", now)]


@breaks(PROMISE, Law.FEED_GAP, Law.FEED_LOST, needs=every(fed, fault("compact")))
def pass_over_what_was_compacted() -> Sequence[Patch]:
    """Go on from the present where the past is no longer kept."""

    async def passing(self: _Reading) -> AsyncGenerator[WatchChangesResponse, None]:
        now, _ = await self._repository.instances()
        self._place = Place(now, self._feeding.now_ms())
        yield self._moved()

    return [(_Reading, "_catching_up", passing)]


@breaks(PROMISE, Law.FEED_LOST, needs=every(fed, deletes))
def tell_no_deletion() -> Sequence[Patch]:
    """Tell of what changes alone."""
    step = Telling.step

    async def changes(self: Telling, all_changes: Any) -> Step:
        return await step(self, replace(all_changes, heads=_living(all_changes.heads)))

    def _living(heads: Any) -> dict[str, bytes]:
        return {
            session_id: head
            for session_id, head in heads.items()
            if feed_steps.tombstone_of(session_id, head) is None
        }

    return [(Telling, "step", changes)]


@breaks(PROMISE, Law.FEED_GAP, Law.FEED_LOST, needs=every(fed, forked))
def tell_no_copy() -> Sequence[Patch]:
    """Tell of sessions that grow, and not of those that come at once."""

    def never(head: Any) -> bool:
        return False

    return [(feed_steps, "_has_come", never)]
