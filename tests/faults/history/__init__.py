"""What clients of a round asked, were told and were shown: entries, their file, their digests."""

from tests.faults.history.digests import about, actor_name, content_of, digest, event_kind
from tests.faults.history.entries import (
    READS,
    Attached,
    CaughtUp,
    Entry,
    EventKind,
    Goaway,
    History,
    Kind,
    Operation,
    Outcome,
    Reset,
    Shown,
    Snapshot,
    Token,
    Written,
)
from tests.faults.history.journal import Journal, read_history

__all__ = [
    "READS",
    "Attached",
    "CaughtUp",
    "Entry",
    "EventKind",
    "Goaway",
    "History",
    "Journal",
    "Kind",
    "Operation",
    "Outcome",
    "Reset",
    "Shown",
    "Snapshot",
    "Token",
    "Written",
    "about",
    "actor_name",
    "content_of",
    "digest",
    "event_kind",
    "read_history",
]
