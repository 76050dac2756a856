"""A small legal round, written by hand, and ways to change one thing in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from tests.faults.check import Law, check
from tests.faults.final import (
    Final,
    StoredDraft,
    StoredEntry,
    StoredHead,
    StoredRecord,
    StoredSession,
)
from tests.faults.history import (
    Attached,
    CaughtUp,
    Entry,
    EventKind,
    Kind,
    Operation,
    Outcome,
    Shown,
    Snapshot,
    Token,
    Written,
    digest,
)

STEPS: list[tuple[Kind, EventKind, str, str]] = [
    (Kind.CREATE, EventKind.CREATED, "", ""),
    (Kind.APPEND, EventKind.MESSAGE, digest("two"), ""),
    (Kind.APPEND, EventKind.MESSAGE, digest("three"), ""),
    (Kind.SUBMIT, EventKind.SUBMITTED, digest("four"), "o"),
    (Kind.DECIDE, EventKind.DECIDED, digest("approved"), "o"),
    (Kind.PAUSE, EventKind.PAUSED, "", ""),
    (Kind.RESUME, EventKind.RESUMED, "", ""),
    (Kind.BEGIN, EventKind.BEGUN, "", "t"),
    (Kind.END, EventKind.ENDED, digest("abcd"), "t"),
    (Kind.UPDATE, EventKind.UPDATED, digest("ten"), ""),
]
"""What happens at seq 1, 2, ...: change n is asked for at 10 n, answered and shown soon after."""

MESSAGES = ((2, digest("two")), (3, digest("three")), (9, digest("abcd")))


def asked(kind: Kind, name: str, at: int, **more: Any) -> Operation:
    """An operation of alice's from `at` to 3 later, and granted, unless said otherwise."""
    given = {"outcome": Outcome.OK, "returned": at + 3, "session": "s", "actor": "alice", **more}
    return Operation(kind=kind, client="a", invoked=at, op_id=name, **given)


def recorded(
    seq: int, event: EventKind, content: str, about: str = "", **more: Any
) -> StoredRecord:
    """A record as its epoch's owner wrote it: the first owner up to seq 7, then the second."""
    epoch = 0 if seq == 1 else 1 if seq <= 7 else 2
    given: dict[str, Any] = {
        "epoch": epoch,
        "instance": f"i{epoch}" if epoch else "",
        "commit_id": f"c{seq}",
        "actor": "alice",
        "op_id": f"op-{seq}",
        **more,
    }
    return StoredRecord(
        seq=seq, time_ms=seq, hash="", event=event, content=content, about=about, **given
    )


@dataclass
class Story:
    """What is told of the session `s`; each list may be changed at will."""

    entries: list[Entry]
    records: list[StoredRecord]
    head: StoredHead = field(default_factory=lambda: StoredHead("l", 10, 2, "i2", "alice"))
    index: list[StoredEntry] = field(default_factory=lambda: [StoredEntry("alice", "s", 10)])
    drafts: list[StoredDraft] = field(default_factory=list)
    gone: bool = False
    buried: bool = False
    orphans: frozenset[str] = frozenset()
    awaited: frozenset[tuple[str, str]] | None = None
    states: dict[int, str] = field(default_factory=dict)
    beside: dict[str, StoredSession] = field(default_factory=dict)
    """Other sessions, each with its entry."""

    def laws(self) -> set[Law]:
        """Return which laws it breaks."""
        sessions = {} if self.gone else {"s": StoredSession(self.head, self.records, self.states)}
        graves = frozenset({"s"} if self.buried else ())
        index = [] if self.gone and self.index[0].session == "s" else self.index
        sessions |= self.beside
        index = [*index, *(_entry(name, each.head) for name, each in self.beside.items())]
        final = Final(sessions, index, graves, self.drafts, self.orphans, self.awaited)
        history = sorted(self.entries, key=_when)
        return {violation.law for violation in check(history, final)}

    def add(self, *entries: Entry) -> None:
        """Tell more."""
        self.entries += entries

    def lengthen(self, record: StoredRecord) -> None:
        """Store one record more, and let head and entry follow."""
        self.records.append(record)
        self.head = replace(self.head, seq=record.seq)
        self.index = [StoredEntry(self.head.user, "s", record.seq)]

    def delete(self, at: int, **more: Any) -> None:
        """Delete the session at `at`, with all that is stored."""
        self.gone = self.buried = True
        self.add(asked(Kind.DELETE, "delete", at, **more))

    def change(self, match: Callable[[Entry], bool], **changes: Any) -> None:
        """Tell the one entry that matches differently."""
        (place,) = (n for n, entry in enumerate(self.entries) if match(entry))
        self.entries[place] = replace(self.entries[place], **changes)

    def drop(self, match: Callable[[Entry], bool]) -> None:
        """Leave out the one entry that matches."""
        (place,) = (n for n, entry in enumerate(self.entries) if match(entry))
        del self.entries[place]

    def store(self, seq: int, **changes: Any) -> None:
        """Let one record be stored differently."""
        self.records[seq - 1] = replace(self.records[seq - 1], **changes)


Tale = Callable[[Story, bool], None]
"""Changes the story: so that it breaks a law, or, with False, to what is almost that."""

TALES: list[tuple[Law, Tale]] = []


def breaks(law: Law) -> Callable[[Tale], Tale]:
    """Keep a tale among those that are told."""

    def note(tale: Tale) -> Tale:
        TALES.append((law, tale))
        return tale

    return note


def operation(name: str) -> Callable[[Entry], bool]:
    """Match the operation of this name."""
    return lambda entry: isinstance(entry, Operation) and entry.op_id == name


def reading(kind: Kind) -> Callable[[Entry], bool]:
    """Match the read of this kind."""
    return lambda entry: isinstance(entry, Operation) and entry.kind is kind


def shown(seq: int) -> Callable[[Entry], bool]:
    """Match the event of this seq on the first stream."""
    return lambda entry: isinstance(entry, Shown) and entry.seq == seq


def a(shape: type[Entry], stream: int = 2) -> Callable[[Entry], bool]:
    """Match the only entry of this kind on a stream."""
    return lambda entry: isinstance(entry, shape) and getattr(entry, "stream", stream) == stream


def story() -> Story:
    """Ten changes, a reader from the second on, a turn, a takeover, a late reader, three reads."""
    entries: list[Entry] = []
    records: list[StoredRecord] = []
    for seq, (kind, event, content, about) in enumerate(STEPS, start=1):
        user = "alice" if kind is Kind.CREATE else ""
        entries.append(
            asked(kind, f"op-{seq}", 10 * seq, seq=seq, content=content, about=about, user=user)
        )
        more = {"text": "abcd", "completed": True} if event is EventKind.ENDED else {}
        records.append(recorded(seq, event, content, about, **more))
        if seq > 1:
            entries.append(
                Shown("a", 1, "s", 10 * seq + 4, seq, f"op-{seq}", event, content, about)
            )
    entries += [
        Attached("a", 1, "s", 14, 15, True, "l", 1, log="l", cursor=1),
        Written("w", "s", 85, "t", 0, "ab"),
        Token("a", 1, "s", 86, "t", 0, "ab"),
        Written("w", "s", 87, "t", 2, "cd"),
        Token("a", 1, "s", 88, "t", 2, "cd"),
        Attached("a", 2, "s", 105, 106, False, "l", 10),
        Snapshot("a", 2, "s", 107, "l", 10, MESSAGES, 50),
        CaughtUp("a", 2, "s", 108, 10),
        asked(Kind.GET, "", 110, seq=10, messages=MESSAGES),
        asked(Kind.PAGES, "", 115, messages=MESSAGES),
        asked(Kind.LIST, "", 120, session="", user="alice", listed=(("s", 10),)),
    ]
    return Story(entries, records)


def _entry(session: str, head: StoredHead) -> StoredEntry:
    return StoredEntry(head.user, session, head.seq)


def _when(entry: Entry) -> int:
    return entry.returned if isinstance(entry, Operation) else entry.at
