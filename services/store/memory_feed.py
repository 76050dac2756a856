"""Changes of all sessions in the in-memory reference."""

from __future__ import annotations

from collections.abc import AsyncIterator

from services.store.answers import AllChanges, ChangedSince
from services.store.history import History
from sessiond.store.codec import decode_head


class Everything(AsyncIterator[AllChanges]):
    """What each revision after one did to all sessions."""

    def __init__(self, kept: History, passed: int) -> None:
        self._kept = kept
        self._passed = passed

    async def __anext__(self) -> AllChanges:
        self._passed, written = await self._kept.change_after(self._passed)
        heads = {str(key[1]): value for key, value in written.items() if key[0] == "head"}
        records = sorted((key, value) for key, value in written.items() if key[0] == "record")
        emptied = {str(key[1]) for key, value in records if value is None}
        return AllChanges(
            self._passed,
            {session_id: value for session_id, value in heads.items() if value is not None},
            tuple((str(key[1]), value) for key, value in records if value is not None),
            tuple(each for each, value in heads.items() if value is None and each in emptied),
        )


def changed_since(kept: History, after_revision: int) -> ChangedSince:
    """Return which sessions were written or deleted after a revision."""
    entries = (key for key, _ in kept.range(("entry",)) if kept.written(key) > after_revision)
    heads = (each for each in kept.range(("head",)) if kept.written(each[0]) > after_revision)
    return ChangedSince(
        kept.revision,
        tuple(str(key[3]) for key in entries),
        tuple(
            (str(key[1]), head) for key, head in heads if decode_head(head).tombstone is not None
        ),
    )


def first_after(kept: History, session_id: str, after_revision: int, last_seq: int) -> int:
    """Return the seq of the first record written after a revision."""
    for seq in range(1, last_seq + 1):
        if kept.written(("record", session_id, seq)) > after_revision:
            return seq
    return last_seq + 1
