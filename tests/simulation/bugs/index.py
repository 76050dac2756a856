"""A session and its places in lists change together, and a list is read and followed whole."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from services.store import shared as sharing
from services.store.listing import Placing
from services.store.memory import MemoryRepository
from services.store.pending import Pending
from tests.faults.check import Law
from tests.simulation.bugs.bug import breaks, deletes, every, reference, several, shared
from tests.simulation.patching import Patch

PROMISE = "index = sessions"
LATE_SECONDS = 0.3


@breaks(PROMISE, Law.STALE_READ, Law.INDEX_STALE, Law.INDEX_ORPHAN, needs=reference)
def index_outside_the_transaction() -> Sequence[Patch]:
    """Write a session's places in lists by themselves, soon after."""
    writes = MemoryRepository._writes

    def apart(self: MemoryRepository, commit: Any) -> Any:
        written = writes(self, commit)
        later = {key: written[key] for key in written if key[0] in ("entry", "awaited")}
        if later:
            asyncio.get_running_loop().call_later(LATE_SECONDS, self._kept.write, later)
        return {key: written[key] for key in written if key not in later}

    return [(MemoryRepository, "_writes", apart)]


@breaks(PROMISE, Law.INDEX_STALE, Law.STALE_READ, needs=reference)
def list_one_change_later() -> Sequence[Patch]:
    """Write with each change the entry of the one before."""
    writes = MemoryRepository._writes

    def late(self: MemoryRepository, commit: Any) -> Any:
        if commit.index is None:
            return writes(self, commit)
        kept: dict[str, bytes] = self.__dict__.setdefault("_late", {})
        before = kept.get(commit.session_id, commit.index.entry)
        kept[commit.session_id] = commit.index.entry
        return writes(self, replace(commit, index=replace(commit.index, entry=before)))

    return [(MemoryRepository, "_writes", late)]


@breaks(PROMISE, Law.INDEX_ORPHAN, needs=every(reference, deletes))
def leave_the_entry() -> Sequence[Patch]:
    """Delete a session, and its entry where it is not."""
    delete = MemoryRepository.delete

    async def elsewhere(self: MemoryRepository, deletion: Any) -> Any:
        return await delete(self, replace(deletion, position_ms=deletion.position_ms + 1))

    return [(MemoryRepository, "delete", elsewhere)]


@breaks(PROMISE, Law.AWAITED_DIFFERS, needs=reference)
def leave_it_with_the_agent() -> Sequence[Patch]:
    """Leave a session among those that await an agent."""
    writes = MemoryRepository._writes

    def keeping(self: MemoryRepository, commit: Any) -> Any:
        written = writes(self, commit)
        return {k: v for k, v in written.items() if v is not None or k[0] != "awaited"}

    return [(MemoryRepository, "_writes", keeping)]


@breaks(PROMISE, Law.INDEX_ORPHAN, Law.INDEX_TWICE, needs=every(shared, reference))
def leave_it_with_who_gave_it_away() -> Sequence[Patch]:
    """Leave a session in the list of who gave it to somebody else."""
    writes = MemoryRepository._writes

    def keeping(self: MemoryRepository, commit: Any) -> Any:
        written = writes(self, commit)
        if commit.index is None or not commit.index.previous_user_id:
            return written
        return {k: v for k, v in written.items() if v is not None or k[0] != "entry"}

    return [(MemoryRepository, "_writes", keeping)]


@breaks("lists are whole", Law.INDEX_MISSING, needs=several)
def skip_at_a_page_border() -> Sequence[Patch]:
    """Begin a page one behind where the last one ended."""
    add = Placing.add

    def skipping(self: Placing[Any], place: Any, value: Any) -> None:
        if self._after is not None and place > self._after and not hasattr(self, "skipped"):
            self.__dict__["skipped"] = True
        else:
            add(self, place, value)

    return [(Placing, "add", skipping)]


@breaks(
    "watches come to the present",
    Law.STALE_READ,
    Law.INDEX_MISSING,
    Law.RETURNED_FROM_DELETION,
    needs=lambda schedule: schedule.watched,
)
def tell_the_older_of_two() -> Sequence[Patch]:
    """Tell a watcher of two changes that wait the first."""
    wait = Pending._wait

    def first(self: Pending, scope: int, change: Any, *more: Any) -> None:
        waits = change.session_id in self._waiting
        before = self._waiting.get(change.session_id)
        wait(self, scope, change, *more)
        if waits:
            self._waiting[change.session_id] = before

    return [(Pending, "_wait", first)]


@breaks("watches come to the present", Law.INDEX_ORPHAN, Law.STALE_READ, needs=shared)
def keep_what_is_shared_no_longer() -> Sequence[Patch]:
    """Tell nobody that a session is shared with them no longer."""
    read = sharing._read

    async def keeping(repository: Any, user_id: str, session_ids: Any, **at: Any) -> Any:
        entries, _ = await read(repository, user_id, session_ids, **at)
        return entries, set(session_ids)

    return [(sharing, "_read", keeping)]
