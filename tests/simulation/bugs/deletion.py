"""Deleted is deleted: for everybody, at once, and whoever is late."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.store.memory import MemoryRepository
from services.store.writes import Committed, Refused
from sessiond.store.codec import decode_head
from tests.faults.check import Law
from tests.simulation.bugs.bug import breaks, deletes, every, fault, reference
from tests.simulation.patching import Patch

PROMISE = "deleted for good"


@breaks(PROMISE, Law.RETURNED_FROM_DELETION, needs=every(reference, deletes))
def create_over_a_tombstone() -> Sequence[Patch]:
    """Make a session where a deleted one was."""
    create = MemoryRepository.create

    async def anyway(self: MemoryRepository, creation: Any) -> Any:
        head = ("head", creation.session_id)
        standing = self._kept.get(head)
        if standing is not None and decode_head(standing).tombstone is not None:
            self._kept.write({head: None})
        return await create(self, creation)

    return [(MemoryRepository, "create", anyway)]


@breaks(PROMISE, Law.RETURNED_FROM_DELETION, needs=every(reference, deletes, fault("ambiguous")))
def let_late_writers_in() -> Sequence[Patch]:
    """Let a tombstone refuse nobody."""
    refused = MemoryRepository._refused

    def none(
        self: MemoryRepository, session_id: str, expected_head: bytes, instance: bytes
    ) -> Refused | None:
        head = self._kept.get(("head", session_id)) or b""
        if head and decode_head(head).tombstone is not None:
            return None
        return refused(self, session_id, expected_head, instance)

    return [(MemoryRepository, "_refused", none)]


@breaks(PROMISE, Law.CHILD_ORPHAN, needs=every(reference, deletes))
def leave_records() -> Sequence[Patch]:
    """Delete a session's head, and leave what it was made of."""
    delete = MemoryRepository.delete

    async def leaving(self: MemoryRepository, deletion: Any) -> Any:
        records = dict(self._kept.range(("record", deletion.session_id)))
        outcome = await delete(self, deletion)
        if isinstance(outcome, Committed):
            self._kept.write(records)
        return outcome

    return [(MemoryRepository, "delete", leaving)]
