"""What is stored at the end of a round, as it was read past all parts, at one revision of etcd."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sessiond.session.events import Record, TurnEnded
from sessiond.session.standing import Forked, Rewound
from sessiond.session.state import TurnOutcome
from tests.faults.history import EventKind, about, actor_name, content_of, event_kind


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """One record. `instance`, `commit_id` and `hash` are hexadecimal.

    `text` is that of a turn's end, "" for all other events; `completed` says whether its worker
    ended that turn well. `past` is the seq that a rewind goes back to, or up to which a fork is a
    copy; 0 for all other events.
    """

    seq: int
    epoch: int
    instance: str
    commit_id: str
    time_ms: int
    actor: str
    op_id: str
    hash: str
    event: EventKind
    content: str
    about: str = ""
    text: str = ""
    completed: bool = False
    past: int = 0


@dataclass(frozen=True, slots=True)
class StoredHead:
    """A session's head. `owner` is hexadecimal, `awaits` an agent's name; both "" for none."""

    log_id: str
    seq: int
    epoch: int
    owner: str
    user: str
    awaits: str = ""


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A session that is not deleted: its head, and its records in order of their keys.

    `states` are digests of the whole session as its log makes it, at the seqs that somebody asked
    for; nothing of those that nobody did.
    """

    head: StoredHead
    records: Sequence[StoredRecord]
    states: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """A session in its user's list."""

    user: str
    session: str
    revision: int


@dataclass(frozen=True, slots=True)
class StoredDraft:
    """A piece of a turn's text."""

    session: str
    turn: str
    offset: int
    text: str


@dataclass(frozen=True, slots=True)
class Final:
    """Everything that is stored.

    Attributes:
        sessions: by id; neither the deleted nor copies that are being written are among them.
        entries: those of every user, in any order.
        tombstones: the ids of deleted sessions whose tombstones are there.
        drafts: in order of turn and offset.
        awaited: each agent's name with each session of its list; None where nobody looked.
        orphans: ids of sessions that have records or other children, and no head.
    """

    sessions: Mapping[str, StoredSession]
    entries: Sequence[StoredEntry] = ()
    tombstones: frozenset[str] = frozenset()
    drafts: Sequence[StoredDraft] = ()
    orphans: frozenset[str] = frozenset()
    awaited: frozenset[tuple[str, str]] | None = None


def stored_record(record: Record) -> StoredRecord:
    """Return what the checker needs of a record."""
    event = record.event
    ended = event if isinstance(event, TurnEnded) else None
    past = 0
    if isinstance(event, Rewound):
        past = event.to_seq
    elif isinstance(event, Forked):
        past = event.seq
    return StoredRecord(
        seq=record.seq,
        epoch=record.epoch,
        instance=record.instance.hex(),
        commit_id=record.commit_id.hex(),
        time_ms=record.time_ms,
        actor=actor_name(record.actor),
        op_id=record.op_id,
        hash=record.hash.hex(),
        event=event_kind(event),
        content=content_of(event),
        about=about(event),
        text="" if ended is None else ended.content,
        completed=ended is not None and ended.outcome is TurnOutcome.COMPLETED,
        past=past,
    )
