"""What a repository answers with: what is stored, who is registered, and what changes.

Bytes are opaque here, as `services.store.repository` says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


class RevisionCompacted(Exception):
    """What stood at this revision is no longer kept: start again at the present."""


@dataclass(frozen=True, slots=True)
class Existing:
    """The id of a creation is taken. `record` is the first one; empty beside a tombstone."""

    head: bytes
    record: bytes


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A session's head and its tables at one revision: of outputs, and of members and links.

    A table is empty for none.
    """

    revision: int
    head: bytes
    outputs: bytes
    members: bytes = b""


@dataclass(frozen=True, slots=True)
class Owned:
    """A registered instance, not the asking one, owns the session."""

    instance: bytes
    address: str


@dataclass(frozen=True, slots=True)
class NotRegistered:
    """The asking instance's own registration is gone; nothing was changed."""


@dataclass(slots=True)  # not frozen, as a commit is not: a list holds a thousand
class Entry:
    """A session in its user's list: the bytes of its entry, and the t of its key."""

    session_id: str
    position_ms: int
    value: bytes


@dataclass(frozen=True, slots=True)
class EntryPage:
    """Entries in the order of their keys: newest position first, ties by id.

    `more` says that others follow after the last one.
    """

    revision: int
    entries: tuple[Entry, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class SharedPage:
    """The ids of the sessions that are shared with a user, in their order."""

    revision: int
    session_ids: tuple[str, ...]


@dataclass(slots=True)
class SharedSession:
    """A session's head, and its table of members and links (empty for none)."""

    session_id: str
    head: bytes
    members: bytes


@dataclass(frozen=True, slots=True)
class SharedChange:
    """Which of the sessions that are shared with a user may have changed, or come or gone."""

    revision: int
    session_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AwaitedPage:
    """The sessions that await an agent, each as its entry stood when it came to await it."""

    revision: int
    entries: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class EntryScan:
    """A piece of the entries of all users, user by user, each user's as in their list.

    `last_key` says where the scan goes on, and means nothing else; `more` says that there may be
    more. A piece without entries need not be the last.
    """

    revision: int
    entries: tuple[Entry, ...]
    last_key: bytes
    more: bool


@dataclass(frozen=True, slots=True)
class Remains:
    """What names a user at one revision.

    The own sessions, the ids of those that a pointer calls shared, how many templates there are,
    and the ids of the copies that the user makes.
    """

    revision: int
    entries: tuple[Entry, ...]
    shared: tuple[str, ...]
    templates: int
    copies: tuple[str, ...] = ()

    @property
    def anything(self) -> bool:
        """Whether anything is there."""
        return bool(self.entries or self.shared or self.templates or self.copies)


@dataclass(frozen=True, slots=True)
class Instance:
    """A registered instance of Live."""

    instance: bytes
    lease: int
    address: str
    draining: bool


@dataclass(frozen=True, slots=True)
class UserScope:
    """All sessions of a user."""

    user_id: str


@dataclass(frozen=True, slots=True)
class SharedScope:
    """All sessions that are shared with a user; `watch_shared` follows them."""

    user_id: str


@dataclass(frozen=True, slots=True)
class AgentScope:
    """All sessions that await one agent."""

    agent: str


Scope = UserScope | AgentScope
"""What `watch` follows."""


@dataclass(frozen=True, slots=True)
class ScopeChange:
    """What one revision did to a scope.

    `entries` are the sessions that are in it with a new entry, `removed` the ids of those that
    left it. A session whose entry moved is in `entries` alone. Both may be empty: then the scope
    is known to be unchanged up to `revision`.
    """

    revision: int
    entries: tuple[tuple[str, bytes], ...]
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AllChanges:
    """What one revision did to all sessions.

    `heads` are those that were put, tombstones and heads of copies that are being built included;
    `records` are those that were written, each with its session, and those of one session in order
    of seq. `erased` are the sessions that went without leaving a tombstone. All may be empty: then
    nothing is known to have happened up to `revision`.
    """

    revision: int
    heads: Mapping[str, bytes] = field(default_factory=dict)
    records: Sequence[tuple[str, bytes]] = ()
    erased: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ChangedSince:
    """What changed after some revision, as it stands at `revision`.

    The ids of the sessions that live, and the tombstones of those that do not.
    """

    revision: int
    session_ids: tuple[str, ...]
    tombstones: tuple[tuple[str, bytes], ...]
