"""A history sorted by session, with the log of each as far as it is known."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tests.faults.final import Final, StoredRecord, StoredSession
from tests.faults.history import (
    READS,
    EventKind,
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

UNCHANGING = frozenset(
    {Kind.UPDATE, Kind.EDIT, Kind.DECIDE, Kind.PAUSE, Kind.RESUME, Kind.END, Kind.CANCEL}
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
        messages: the seqs of the stored messages, in order.
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
        made = (e for e in tries if e.kind is Kind.CREATE and e.outcome is not Outcome.FAIL)
        return next(made, None)

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
        elif isinstance(entry, Written):
            case(entry.session).written.append(entry)
        elif entry.session:
            case(entry.session).visits[entry.client, entry.stream].append(entry)
    return cases


def _place(case: Case) -> None:
    for record in case.records:
        case.placed.setdefault((record.actor, record.op_id), record)
        case.by_seq.setdefault(record.seq, record)
        if record.event in MESSAGES and record.content:
            case.messages.append(record.seq)


def _ask(case: Case, entry: Operation) -> None:
    if entry.kind in READS:
        case.reads.append(entry)
    else:
        case.changes[entry.actor, entry.op_id].append(entry)
        if entry.kind is Kind.DELETE and entry.outcome is not Outcome.FAIL:
            case.deletions.append(entry)
