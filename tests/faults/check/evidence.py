"""A history sorted by session, with the log of each as far as it is known."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.faults.final import Final, StoredRecord, StoredSession
from tests.faults.history import (
    READS,
    EventKind,
    Fed,
    FedDeletion,
    FedReset,
    History,
    Kind,
    Operation,
    Outcome,
    Shown,
    Snapshot,
    Token,
    Written,
)
from tests.faults.history.entries import Attached, CaughtUp, Goaway, Reset

Streamed = Attached | Snapshot | Shown | Token | CaughtUp | Reset | Goaway
Key = tuple[str, str]
"""An actor and an operation id: they name one change of a session."""

MESSAGES = frozenset({EventKind.MESSAGE, EventKind.ENDED})
"""Kinds of events that make a message, where they have a text."""

MAKING = frozenset({Kind.CREATE, Kind.FORK})
"""Kinds of changes that make a session."""

UNCHANGING = frozenset(
    {
        Kind.UPDATE,
        Kind.EDIT,
        Kind.DECIDE,
        Kind.PAUSE,
        Kind.RESUME,
        Kind.END,
        Kind.CANCEL,
        Kind.REWIND,
        Kind.SHARE,
        Kind.UNSHARE,
        Kind.TRANSFER,
    }
)
"""Kinds of changes that can be granted without a record of their own."""


@dataclass(slots=True)
class Case:
    """Everything about one session.

    Attributes:
        stored: what is stored of it; None where it is not, or no longer, there.
        changes: the entries of each change, by its key: more than one where it was repeated.
        reads: those that were granted or refused; listings are not among them.
        listings: each listing that holds it, with the revision that it shows.
        deletions: what may have deleted it.
        visits: what came over each stream, by client and stream number, in order.
        written: what workers wrote, in order.
        placed: each record of the log by its key; its first, should there be several.
        by_seq: each record of the log by its seq; its first, should there be several.
        messages: the seqs of the stored messages, in order, whether they still count or not.
        rewinds: the seqs of the rewinds, in order.
        fed: what each reader of the feed was told, in order.
    """

    session: str
    stored: StoredSession | None
    changes: dict[Key, list[Operation]] = field(default_factory=lambda: defaultdict(list))
    reads: list[Operation] = field(default_factory=list)
    listings: list[tuple[Operation, int]] = field(default_factory=list)
    deletions: list[Operation] = field(default_factory=list)
    visits: dict[tuple[str, int], list[Streamed]] = field(default_factory=lambda: defaultdict(list))
    written: list[Written] = field(default_factory=list)
    placed: dict[Key, StoredRecord] = field(default_factory=dict)
    by_seq: dict[int, StoredRecord] = field(default_factory=dict)
    messages: list[int] = field(default_factory=list)
    rewinds: list[int] = field(default_factory=list)
    fed: dict[str, list[Fed | FedDeletion]] = field(default_factory=lambda: defaultdict(list))

    @property
    def records(self) -> Iterable[StoredRecord]:
        """The stored log; nothing where the session is not there."""
        return () if self.stored is None else self.stored.records

    @property
    def log_id(self) -> str:
        """The id of its log; the first that was told where it is not stored; "" where none was."""
        if self.stored is not None:
            return self.stored.head.log_id
        told = (entry for visit in self.visits.values() for entry in visit)
        return next((entry.log_id for entry in told if isinstance(entry, Attached)), "")

    @property
    def creation(self) -> Operation | None:
        """The operation that may have created it, as far as the history knows."""
        tries = (each for tries in self.changes.values() for each in tries)
        made = (e for e in tries if e.kind in MAKING and e.outcome is not Outcome.FAIL)
        return next(made, None)

    @property
    def forked(self) -> StoredRecord | None:
        """The event that says what it is a fork of; None where it is none."""
        forked = [record for record in self.records if record.event is EventKind.FORKED]
        return forked[-1] if forked else None  # a copy holds those of what it copies

    def past(self, seq: int) -> list[StoredRecord]:
        """Return the records that make the session what it is at a seq, in order.

        A rewind leaves out what came after the event to which it goes, whatever that left out. It
        is not among them itself.
        """
        made = []
        while (record := self.by_seq.get(seq)) is not None:
            if record.event is EventKind.REWOUND and record.past < seq:
                seq = record.past
            else:
                made.append(record)
                seq -= 1
        return made[::-1]

    def messages_at(self, seq: int) -> Sequence[int]:
        """Return the seqs of the messages that the session holds at a seq, in order."""
        if not self.rewinds or seq < self.rewinds[0]:
            return self.messages[: bisect_right(self.messages, seq)]
        return [record.seq for record in self.past(seq) if is_message(record)]

    def position(self, change: Operation) -> int:
        """Return where a change stands in the log; 0 where it is not known to stand anywhere."""
        record = self.placed.get((change.actor, change.op_id))
        if record is not None:
            return record.seq
        known = change.outcome is Outcome.OK and self.stored is None
        return change.seq if known and change.kind not in UNCHANGING else 0


def cases_of(history: History, final: Final) -> Mapping[str, Case]:
    """Return what is known of each session that is stored or that anybody spoke of."""
    cases: dict[str, Case] = {}

    def case(session: str) -> Case:
        found = cases.get(session)
        if found is None:
            found = cases[session] = Case(session, final.sessions.get(session))
        return found

    for session in final.sessions:
        _place(case(session))
    for entry in history:
        if isinstance(entry, Operation):
            if entry.kind is Kind.LIST:
                for session, revision in entry.listed:
                    case(session).listings.append((entry, revision))
            else:
                _ask(case(entry.session), entry)
        elif isinstance(entry, Fed | FedDeletion):
            case(entry.session).fed[entry.client].append(entry)
        elif isinstance(entry, FedReset):
            pass
        elif isinstance(entry, Written):
            case(entry.session).written.append(entry)
        elif entry.session:
            case(entry.session).visits[entry.client, entry.stream].append(entry)
    return cases


def is_message(record: StoredRecord) -> bool:
    """Return whether a record made a message."""
    return record.event in MESSAGES and record.content != ""


def _place(case: Case) -> None:
    for record in case.records:
        case.placed.setdefault((record.actor, record.op_id), record)
        case.by_seq.setdefault(record.seq, record)
        if is_message(record):
            case.messages.append(record.seq)
        elif record.event is EventKind.REWOUND:
            case.rewinds.append(record.seq)


def _ask(case: Case, entry: Operation) -> None:
    if entry.kind in READS:
        case.reads.append(entry)
    else:
        case.changes[entry.actor, entry.op_id].append(entry)
        if entry.kind is Kind.DELETE and entry.outcome is not Outcome.FAIL:
            case.deletions.append(entry)
