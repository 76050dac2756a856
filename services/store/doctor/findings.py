"""What can be found wrong with what is stored, and what would put it right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from services.store.keys import Span


class Kind(StrEnum):
    """What is wrong."""

    KEY_UNKNOWN = "key-unknown"
    HEAD_UNREADABLE = "head-unreadable"
    HEAD_MISSING = "head-missing"
    HEAD_DISAGREES = "head-disagrees"
    LOG_HOLE = "log-hole"
    RECORD_UNREADABLE = "record-unreadable"
    RECORD_MISPLACED = "record-misplaced"
    RECORD_BEYOND = "record-beyond"
    EPOCH_FELL = "epoch-fell"
    OUTPUTS_DISAGREE = "outputs-disagree"
    ENTRY_MISSING = "entry-missing"
    ENTRY_WRONG = "entry-wrong"
    ENTRY_STRAY = "entry-stray"
    AWAITED_MISSING = "awaited-missing"
    AWAITED_WRONG = "awaited-wrong"
    AWAITED_STRAY = "awaited-stray"
    MEMBERS_DISAGREE = "members-disagree"
    SHARED_MISSING = "shared-missing"
    SHARED_STRAY = "shared-stray"
    DRAFT_ORPHANED = "draft-orphaned"
    COPY_ABANDONED = "copy-abandoned"
    COPY_MISSING = "copy-missing"
    COPY_STRAY = "copy-stray"
    LEFTOVER = "leftover"
    DELETED_MISSING = "deleted-missing"
    DELETED_STRAY = "deleted-stray"
    VALUE_UNREADABLE = "value-unreadable"


@dataclass(frozen=True, slots=True)
class Repair:
    """What puts a finding right, while the session's head is, to the bit, `head`; None for none.

    What is put goes with the lease; 0 for none.

    It never touches the head, whose owner compares the very bytes that it wrote; but for that of an
    abandoned copy, which nobody owns.
    """

    session_id: str
    head: bytes | None
    puts: Mapping[bytes, bytes] = field(default_factory=dict)
    deletes: tuple[Span, ...] = ()
    lease: int = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. `repair` is None where only a guess could put it right."""

    kind: Kind
    subject: str
    detail: str
    repair: Repair | None = None

    def __str__(self) -> str:
        """Return the finding as one line."""
        return f"{self.kind} {self.subject}: {self.detail}"
