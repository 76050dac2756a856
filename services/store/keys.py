"""Every key in etcd: how it is written, and what a key that was read stands for.

    session:{sid}                          head
    session:{sid}:event:{seq}              one record; seq has 10 digits
    session:{sid}:outputs                  table of outputs
    session:{sid}:members                  table of members and links
    session:{sid}:draft:{turn}:{n}         a piece of the running turn's text; n has 10 digits
    user:{uid}:sessions:{~t}:{sid}         index entry; ~t has 13 digits and falls as t rises
    user:{uid}:shared:{sid}                the session is shared with this user; it holds nothing
    user:{uid}:template:{name}             a template of the user's
    user:{uid}:copy:{sid}                  a copy that counts as this user's until it is finished;
                                           it holds nothing
    agent:{agent}:{sid}                    the session awaits this agent
    live:{instance}                        a registered instance of Live, in hex
    job:{name}                             who does this work at the moment, on a lease of theirs
    erasure:{uid}                          an erasure of a user, asked for or done
    deleted:{sid}                          stands as long as a tombstone does; it holds nothing
    history                                made anew when a backup is restored: which history the
                                           revisions of cursors belong to; absent before that
    batch                                  rewritten by each batch of commits; it holds nothing
    compaction                             rewritten by the Store whose turn it is to compact

All stand behind one namespace, which is empty as shipped.

Ids are escaped so that none contains the separator: `%`, `:` and ASCII control characters become
`%XX`, all else stays as it is, in UTF-8. So keys of ordinary ids look as above to the letter, no
two ids share a key, and user `a` has no key among those of user `a:b`. Session ids never need
escaping, so their keys sort as they do.

A session's children lie from `session:{sid}:` to before `session:{sid};`. A range that started at
`session:{sid}` would take in the session `{sid}-1`, which sorts between the two.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from services.store.key_parts import digits, escaped, instance_of, number_of, unescaped

_SEQ_DIGITS: Final = 10
_POSITION_DIGITS: Final = 13

LAST_SEQ: Final = 10**_SEQ_DIGITS - 1
"""The greatest seq that fits into a key."""

LAST_DRAFT: Final = LAST_SEQ
"""The greatest number of a draft that fits into a key."""

LAST_POSITION_MS: Final = 10**_POSITION_DIGITS - 1
"""The latest t that fits into a key: in the year 2286."""


class HeadKey(NamedTuple):
    """A session's head."""

    session_id: str


class EventKey(NamedTuple):
    """One record of a session."""

    session_id: str
    seq: int


class OutputsKey(NamedTuple):
    """A session's table of outputs."""

    session_id: str


class MembersKey(NamedTuple):
    """A session's table of members and links."""

    session_id: str


class DraftKey(NamedTuple):
    """A piece of the text of a session's running turn."""

    session_id: str
    turn_id: str
    number: int


class EntryKey(NamedTuple):
    """A session in its user's list; newest position first."""

    user_id: str
    position_ms: int
    session_id: str


class SharedKey(NamedTuple):
    """A session among those that are shared with a user."""

    user_id: str
    session_id: str


class TemplateKey(NamedTuple):
    """A template of a user's."""

    user_id: str
    name: str


class CopyKey(NamedTuple):
    """A copy that a user makes."""

    user_id: str
    session_id: str


class AwaitedKey(NamedTuple):
    """A session among those that await an agent."""

    agent: str
    session_id: str


class LiveKey(NamedTuple):
    """A registered instance of Live."""

    instance: bytes


class JobKey(NamedTuple):
    """Who holds a job."""

    job: str


class ErasureKey(NamedTuple):
    """An erasure of a user."""

    user_id: str


class DeletedKey(NamedTuple):
    """A session of which a tombstone stands."""

    session_id: str


Key = (
    HeadKey
    | EventKey
    | OutputsKey
    | MembersKey
    | DraftKey
    | EntryKey
    | SharedKey
    | TemplateKey
    | CopyKey
    | AwaitedKey
    | LiveKey
    | JobKey
    | ErasureKey
    | DeletedKey
)


class Span(NamedTuple):
    """The keys from `start` to before `end`."""

    start: bytes
    end: bytes

    def after(self, key: bytes) -> Span:
        """Return the part that comes after a key of it."""
        return Span(key + b"\0", self.end)


class Keys:
    """The keys behind one namespace.

    Building raises ValueError for what no key can hold: an empty id, text that is not Unicode, a
    number that is negative or has too many digits.
    """

    def __init__(self, namespace: str = "") -> None:
        self._namespace = namespace.encode()

    @property
    def batch(self) -> bytes:
        """The key that every batch of commits rewrites."""
        return self._namespace + b"batch"

    @property
    def compaction(self) -> bytes:
        """The key whose version says whose turn it is to compact; it holds a revision."""
        return self._namespace + b"compaction"

    @property
    def history(self) -> bytes:
        """The key that says which history etcd's revisions belong to; it holds 16 hex digits."""
        return self._namespace + b"history"

    @property
    def erasures(self) -> Span:
        """All erasures."""
        return self._under(b"erasure")

    @property
    def instances(self) -> Span:
        """All registrations."""
        return self._under(b"live")

    @property
    def sessions(self) -> Span:
        """All heads, and all that sessions have beside them."""
        return self._under(b"session")

    @property
    def users(self) -> Span:
        """All that users have in lists of their own."""
        return self._under(b"user")

    @property
    def deletions(self) -> Span:
        """All sessions of which a tombstone stands."""
        return self._under(b"deleted")

    def head(self, session_id: str) -> bytes:
        """Return the key of a session's head."""
        return self._join(b"session", escaped(session_id))

    def children(self, session_id: str) -> Span:
        """Return all keys of a session but its head."""
        return self._under(b"session", escaped(session_id))

    def event(self, session_id: str, seq: int) -> bytes:
        """Return the key of one record."""
        return self._join(b"session", escaped(session_id), b"event", digits(seq, _SEQ_DIGITS))

    def events(self, session_id: str, first_seq: int, last_seq: int) -> Span:
        """Return the keys of the records `first_seq` to `last_seq`."""
        return Span(self.event(session_id, first_seq), self.event(session_id, last_seq) + b"\0")

    def outputs(self, session_id: str) -> bytes:
        """Return the key of a session's table of outputs."""
        return self._join(b"session", escaped(session_id), b"outputs")

    def members(self, session_id: str) -> bytes:
        """Return the key of a session's table of members and links."""
        return self._join(b"session", escaped(session_id), b"members")

    def draft(self, session_id: str, turn_id: str, number: int) -> bytes:
        """Return the key of one piece of a turn's text."""
        place = digits(number, _SEQ_DIGITS)
        return self._join(b"session", escaped(session_id), b"draft", escaped(turn_id), place)

    def drafts(self, session_id: str, turn_id: str) -> Span:
        """Return all pieces of a turn's text."""
        return self._under(b"session", escaped(session_id), b"draft", escaped(turn_id))

    def entry(self, user_id: str, position_ms: int, session_id: str) -> bytes:
        """Return the key of a session in its user's list."""
        inverted = digits(LAST_POSITION_MS - position_ms, _POSITION_DIGITS)
        return self._join(b"user", escaped(user_id), b"sessions", inverted, escaped(session_id))

    def entries(self, user_id: str) -> Span:
        """Return a user's list."""
        return self._under(b"user", escaped(user_id), b"sessions")

    def shared(self, user_id: str, session_id: str) -> bytes:
        """Return the key of a session among those that are shared with a user."""
        return self._join(b"user", escaped(user_id), b"shared", escaped(session_id))

    def shared_with(self, user_id: str) -> Span:
        """Return all sessions that are shared with a user."""
        return self._under(b"user", escaped(user_id), b"shared")

    def template(self, user_id: str, name: str) -> bytes:
        """Return the key of a user's template."""
        return self._join(b"user", escaped(user_id), b"template", escaped(name))

    def templates(self, user_id: str) -> Span:
        """Return all templates of a user."""
        return self._under(b"user", escaped(user_id), b"template")

    def copy(self, user_id: str, session_id: str) -> bytes:
        """Return the key of a copy that a user makes."""
        return self._join(b"user", escaped(user_id), b"copy", escaped(session_id))

    def copies(self, user_id: str) -> Span:
        """Return all copies that a user makes."""
        return self._under(b"user", escaped(user_id), b"copy")

    def awaited(self, agent: str, session_id: str) -> bytes:
        """Return the key of a session among those that await an agent."""
        return self._join(b"agent", escaped(agent), escaped(session_id))

    def awaiting(self, agent: str) -> Span:
        """Return all sessions that await an agent."""
        return self._under(b"agent", escaped(agent))

    def live(self, instance: bytes) -> bytes:
        """Return the key of a registration."""
        if not instance:
            raise ValueError("an instance has an id")
        return self._join(b"live", instance.hex().encode())

    def job(self, job: str) -> bytes:
        """Return the key of a job's holder."""
        return self._join(b"job", escaped(job))

    def erasure(self, user_id: str) -> bytes:
        """Return the key of a user's erasure."""
        return self._join(b"erasure", escaped(user_id))

    def deleted(self, session_id: str) -> bytes:
        """Return the key of a deleted session."""
        return self._join(b"deleted", escaped(session_id))

    def parse(self, key: bytes) -> Key:
        """Return what a key stands for.

        Raises:
            ValueError: it is none of ours, or not as we would write it.
        """
        if key.startswith(self._namespace):
            match key[len(self._namespace) :].split(b":"):
                case [b"session", session_id]:
                    return HeadKey(unescaped(session_id))
                case [b"session", session_id, b"event", seq]:
                    return EventKey(unescaped(session_id), number_of(seq, _SEQ_DIGITS))
                case [b"session", session_id, b"outputs"]:
                    return OutputsKey(unescaped(session_id))
                case [b"session", session_id, b"members"]:
                    return MembersKey(unescaped(session_id))
                case [b"session", session_id, b"draft", turn_id, number]:
                    value = number_of(number, _SEQ_DIGITS)
                    return DraftKey(unescaped(session_id), unescaped(turn_id), value)
                case [b"user", user_id, b"sessions", inverted, session_id]:
                    position_ms = LAST_POSITION_MS - number_of(inverted, _POSITION_DIGITS)
                    return EntryKey(unescaped(user_id), position_ms, unescaped(session_id))
                case [b"user", user_id, b"shared", session_id]:
                    return SharedKey(unescaped(user_id), unescaped(session_id))
                case [b"user", user_id, b"template", name]:
                    return TemplateKey(unescaped(user_id), unescaped(name))
                case [b"user", user_id, b"copy", session_id]:
                    return CopyKey(unescaped(user_id), unescaped(session_id))
                case [b"agent", agent, session_id]:
                    return AwaitedKey(unescaped(agent), unescaped(session_id))
                case [b"live", instance]:
                    return LiveKey(instance_of(instance))
                case [b"job", job]:
                    return JobKey(unescaped(job))
                case [b"erasure", user_id]:
                    return ErasureKey(unescaped(user_id))
                case [b"deleted", session_id]:
                    return DeletedKey(unescaped(session_id))
        raise ValueError(f"{key!r} is no key of ours")

    def place_in(self, entries: Span, key: bytes) -> tuple[int, str]:
        """Return the position and the session that a key in a user's `entries` stands for.

        Raises:
            ValueError: it is not as we would write it.
        """
        inverted, _, session_id = key[len(entries.start) :].partition(b":")
        return LAST_POSITION_MS - number_of(inverted, _POSITION_DIGITS), unescaped(session_id)

    def parse_entry(self, key: bytes) -> EntryKey:
        """Return what the key of an entry stands for; ValueError if it is no such key."""
        found = self.parse(key)
        if not isinstance(found, EntryKey):
            raise ValueError(f"{key!r} is not the key of an entry")
        return found

    def shared_in(self, shared: Span, key: bytes) -> str:
        """Return the session that a key among those `shared_with` a user stands for."""
        return unescaped(key[len(shared.start) :])

    def copy_in(self, copies: Span, key: bytes) -> str:
        """Return the session that a key among a user's `copies` stands for."""
        return unescaped(key[len(copies.start) :])

    def parse_live(self, key: bytes) -> LiveKey:
        """Return what the key of a registration stands for; ValueError if it is no such key."""
        found = self.parse(key)
        if not isinstance(found, LiveKey):
            raise ValueError(f"{key!r} is not the key of a registration")
        return found

    def listed_session(self, key: bytes) -> str:
        """Return the session of a key in some list; ValueError if it is no such key."""
        match self.parse(key):
            case (
                EntryKey(session_id=session_id)
                | SharedKey(session_id=session_id)
                | AwaitedKey(session_id=session_id)
            ):
                return session_id
        raise ValueError(f"{key!r} is not a key in a list")

    def _join(self, *parts: bytes) -> bytes:
        return self._namespace + b":".join(parts)

    def _under(self, *parts: bytes) -> Span:
        # `;` is the byte after `:`.
        stem = self._join(*parts)
        return Span(stem + b":", stem + b";")
