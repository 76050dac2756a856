"""A history is in its file as it happened, whoever dies."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.history import (
    Attached,
    CaughtUp,
    Entry,
    EventKind,
    Fed,
    FedDeletion,
    FedReset,
    Goaway,
    Journal,
    Kind,
    Operation,
    Outcome,
    Reset,
    Shown,
    Snapshot,
    Token,
    Written,
    read_history,
)

ENTRIES: list[Entry] = [
    Operation(Kind.CREATE, "a", "alice", "s", 1, 2, Outcome.OK, op_id="op-1", seq=1, user="alice"),
    Operation(Kind.APPEND, "a", "alice", "s", 3, 4, Outcome.FAIL, failure="SESSION_FULL"),
    Operation(Kind.GET, "a", "alice", "s", 5, 6, Outcome.OK, seq=2, messages=((2, "é"),), tail=5),
    Operation(Kind.LIST, "a", "alice", "", 7, 8, Outcome.UNKNOWN, user="alice", listed=(("s", 2),)),
    Attached("a", 1, "s", 9, 10, False, "l", 2, turns=(("t", "so\nfar"),)),
    Snapshot("a", 1, "s", 11, "l", 2, ((2, "é"),), 50),
    Shown("a", 1, "s", 12, 3, "op-2", EventKind.BEGUN, "", "t"),
    Written("w", "s", 13, "t", 0, "so"),
    Token("a", 1, "s", 14, "t", 0, "so"),
    CaughtUp("a", 1, "s", 15, 3),
    Reset("a", 1, "s", 16, "LOG_CHANGED"),
    Goaway("a", 1, "", 17, "SESSION_MOVED"),
    Fed("f", "s", 18, 3, "op-2", EventKind.BEGUN, "", "t"),
    FedDeletion("f", "s", 19),
    FedReset("f", 20),
]


def test_what_was_added_is_read_back_exactly(tmp_path: Path) -> None:
    """Every kind of entry comes back equal, in order."""
    with Journal(tmp_path / "history") as journal:
        for entry in ENTRIES:
            journal.add(entry)
    assert read_history(tmp_path / "history") == ENTRIES == journal.entries
    assert {type(each) for each in ENTRIES} == set(Entry.__args__)


def test_an_entry_is_in_the_file_before_the_next_thing_happens(tmp_path: Path) -> None:
    """The file is whole while the journal is still open."""
    with Journal(tmp_path / "history") as journal:
        for count, entry in enumerate(ENTRIES, start=1):
            journal.add(entry)
            assert read_history(tmp_path / "history") == ENTRIES[:count]


def test_a_line_cut_short_by_a_crash_is_left_out(tmp_path: Path) -> None:
    """What stands before it is kept."""
    path = tmp_path / "history"
    with Journal(path) as journal:
        journal.add(ENTRIES[0])
        journal.add(ENTRIES[1])
    whole = path.read_text()
    path.write_text(whole[:-5])
    assert read_history(path) == ENTRIES[:1]


def test_a_damaged_line_is_refused(tmp_path: Path) -> None:
    """A checker must not judge half a history."""
    path = tmp_path / "history"
    path.write_text('{"is":"Nothing"}\n')
    with pytest.raises(ValueError, match="not an entry"):
        read_history(path)
