"""The entries of a history, each written once and never changed.

All times are nanoseconds of the one monotonic clock of the process that makes the load. The order
of entries is the order in which they were written: for one stream, the order of arrival.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What a client asked for."""

    CREATE = "create"
    APPEND = "append"
    UPDATE = "update"
    SUBMIT = "submit"
    EDIT = "edit"
    DECIDE = "decide"
    PAUSE = "pause"
    RESUME = "resume"
    BEGIN = "begin"
    END = "end"
    CANCEL = "cancel"
    REWIND = "rewind"
    SHARE = "share"
    UNSHARE = "unshare"
    TRANSFER = "transfer"
    FORK = "fork"
    DELETE = "delete"
    GET = "get"
    PAGES = "pages"
    LIST = "list"


READS = frozenset({Kind.GET, Kind.PAGES, Kind.LIST})
"""Kinds that change nothing; the others are changes."""


class EventKind(Enum):
    """What happened in a session."""

    CREATED = "created"
    MESSAGE = "message"
    UPDATED = "updated"
    SUBMITTED = "submitted"
    EDITED = "edited"
    DECIDED = "decided"
    PAUSED = "paused"
    RESUMED = "resumed"
    BEGUN = "begun"
    ENDED = "ended"
    REWOUND = "rewound"
    GRANTED = "granted"
    REVOKED = "revoked"
    TRANSFERRED = "transferred"
    FORKED = "forked"
    STANDING = "standing"
    """Anything else about the session as a whole."""


class Outcome(Enum):
    """What a client knows of its operation.

    FAIL means that it cannot have been applied, now or later: each try was refused with a failure
    that says so, and no relay may have delivered the request another time. A refusal that follows
    a try of unknown fate proves nothing, since the first try may still be on its way: UNKNOWN.
    """

    OK = "ok"
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation, from its first try to its last word.

    A read that runs through pages is one operation; all its pages are of one revision, so it
    returned when its first page came. A listing is of all sessions of one user, unfiltered.

    Attributes:
        client: who asked, for people.
        actor: who asked, as `actor_name` names the actor in records.
        session: which session; "" for a listing.
        invoked: when its first try was sent.
        returned: when its last word came, or when its client gave up.
        op_id: under which operation id; "" for reads.
        failure: the name of the failure that was its last word; "" for none.
        seq: the seq that a change was answered with (1 for a creation, 0 for a deletion; a fork's
            is that of the event that says so), the revision that a `get` stands at, 0 for other
            reads.
        content: what a change carries, digested as `content_of` does it for its event; "" where
            the client does not say.
        expected: the revision that a change asked the session to have; 0 where it did not.
        about: the output that is decided, the turn that is ended, the user whom a session is shared
            with, the session that is forked; "" where not named.
        messages: seq and digest of each message that a read holds, oldest first.
        tail: how many of the newest messages a read asked for; None for all.
        user: whose sessions are listed, or who owns the created session; "" otherwise.
        listed: session and revision of each summary of a listing.
        state: the revision and the digest of the whole session that came with the answer; 0 and ""
            where none came, or nobody looked.
    """

    kind: Kind
    client: str
    actor: str
    session: str
    invoked: int
    returned: int
    outcome: Outcome
    op_id: str = ""
    failure: str = ""
    seq: int = 0
    content: str = ""
    expected: int = 0
    about: str = ""
    messages: tuple[tuple[int, str], ...] = ()
    tail: int | None = None
    user: str = ""
    listed: tuple[tuple[str, int], ...] = ()
    state: tuple[int, str] = (0, "")


@dataclass(frozen=True, slots=True)
class Attached:
    """A session's attachment was granted on a stream; it replaces an earlier one there.

    `stream` numbers the streams of a client: with every connection comes a new number. `log` and
    `cursor` are the log id and seq of the cursor that the client gave ("" and 0 for none).
    `turns` holds each running turn with the text that the server gave with it. `actor` is who
    attached, as in `Operation`; "" where nobody says.
    """

    client: str
    stream: int
    session: str
    asked: int
    at: int
    recovered: bool
    log_id: str
    head: int
    log: str = ""
    cursor: int = 0
    turns: tuple[tuple[str, str], ...] = ()
    actor: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The last part of a snapshot came; it held these messages, of at most `tail` asked for."""

    client: str
    stream: int
    session: str
    at: int
    log_id: str
    seq: int
    messages: tuple[tuple[int, str], ...]
    tail: int


@dataclass(frozen=True, slots=True)
class Shown:
    """An event came. `about` is the output or turn that it speaks of."""

    client: str
    stream: int
    session: str
    at: int
    seq: int
    op_id: str
    event: EventKind
    content: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a running turn's text came; `offset` is in characters."""

    client: str
    stream: int
    session: str
    at: int
    turn: str
    offset: int
    text: str


@dataclass(frozen=True, slots=True)
class Written:
    """A worker is about to send a piece of its turn's text: noted before it is sent."""

    client: str
    session: str
    at: int
    turn: str
    offset: int
    text: str


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """The server says that everything up to a seq was shown."""

    client: str
    stream: int
    session: str
    at: int
    seq: int


@dataclass(frozen=True, slots=True)
class Reset:
    """What the client holds is void, and a snapshot follows."""

    client: str
    stream: int
    session: str
    at: int
    reason: str


@dataclass(frozen=True, slots=True)
class Goaway:
    """An attachment ended, or with session "" its whole stream."""

    client: str
    stream: int
    session: str
    at: int
    reason: str


@dataclass(frozen=True, slots=True)
class Fed:
    """The feed told of an event. Whoever reads it began before there was any session."""

    client: str
    session: str
    at: int
    seq: int
    op_id: str
    event: EventKind
    content: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class FedDeletion:
    """The feed told that a session was deleted."""

    client: str
    session: str
    at: int


@dataclass(frozen=True, slots=True)
class FedReset:
    """The feed said that deletions may be missing."""

    client: str
    at: int


Feeding = Fed | FedDeletion | FedReset
Entry = (
    Operation
    | Attached
    | Snapshot
    | Shown
    | Token
    | Written
    | CaughtUp
    | Reset
    | Goaway
    | Fed
    | FedDeletion
    | FedReset
)
History = Sequence[Entry]
