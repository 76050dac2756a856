"""Operation ids: what is remembered, for how long, and for whom."""

from __future__ import annotations

import pytest

from services.live.operations import REMEMBERED, Answered, Operations
from sessiond.errors import IdempotencyMismatch
from sessiond.session.access import Actor, Role
from sessiond.session.events import Record, SessionPaused
from sessiond.store.codec import StoredRecord

ALICE = Actor("alice", Role.USER)
SERVICE = Actor("alice", Role.SERVICE)


def paused(seq: int, *, op_id: str, actor: Actor = ALICE) -> Record:
    return Record(seq=seq, time_ms=seq, actor=actor, event=SessionPaused(), op_id=op_id, hash=b"h")


def test_loaded_records_answer_their_operations() -> None:
    """A takeover answers what the owner before it answered."""
    operations = Operations([paused(5, op_id="a"), paused(6, op_id="b")])
    assert operations.find(ALICE, "b", b"h") == Answered(6, b"h")
    assert operations.find(ALICE, "c", b"h") is None
    assert operations.find(SERVICE, "b", b"h") is None


def test_another_change_under_the_same_operation_is_refused() -> None:
    """The hash tells a repeated operation id from a reused one."""
    operations = Operations([paused(5, op_id="a")])
    with pytest.raises(IdempotencyMismatch):
        operations.find(ALICE, "a", b"other")


def test_both_memories_have_a_bound() -> None:
    """A thousand changes, and a thousand answers that changed nothing; the oldest go first."""
    operations = Operations()
    for n in range(REMEMBERED + 1):
        operations.remember(paused(n + 1, op_id=f"r{n}"))
        operations.remember_unchanging(ALICE, f"u{n}", Answered(1, b"h"))
    assert operations.find(ALICE, "r0", b"h") is None
    assert operations.find(ALICE, "u0", b"h") is None
    assert operations.find(ALICE, "r1", b"h") == Answered(2, b"h")
    assert operations.find(ALICE, "u1", b"h") == Answered(1, b"h")


def test_older_changes_are_remembered_behind_the_newest() -> None:
    """A session is loaded with few; others come when asked for, and none counts twice."""
    operations = Operations([paused(1001, op_id="new"), paused(1002, op_id="newest")])
    assert operations.forgotten(1002) == range(3, 1001)
    older = [
        StoredRecord(seq, ALICE, "new" if seq == 1000 else f"o{seq}", b"h", b"")
        for seq in range(3, 1002)
    ]
    operations.remember_older(older)
    assert not operations.forgotten(1002)
    assert operations.find(ALICE, "o3", b"h") == Answered(3, b"h")
    assert operations.find(ALICE, "new", b"h") == Answered(1001, b"h")
    operations.remember(paused(1003, op_id="last"))
    operations.remember(paused(1004, op_id="over"))
    assert operations.find(ALICE, "o3", b"h") is None
    assert operations.find(ALICE, "o999", b"h") == Answered(999, b"h")
