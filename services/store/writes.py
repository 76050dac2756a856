"""What a repository is asked to write, and what becomes of it.

Bytes are opaque here, as `services.store.repository` says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class BatchRefused(Exception):
    """The batch was refused as a whole and nothing of it was stored.

    Raised when it is too large, touches a key twice, or the like; its parts may pass one by one.
    """


@dataclass(frozen=True, slots=True)
class Creation:
    """A new session: its head, its first record, and its places in lists.

    `position_ms` is the t of its entry; `awaited_agent` is "" when it awaits nobody.
    """

    session_id: str
    user_id: str
    head: bytes
    record: bytes
    entry: bytes
    position_ms: int
    awaited_agent: str = ""


# Commits and their parts are not frozen: to make one would take almost three times as long. Nobody
# changes one.


@dataclass(slots=True)
class IndexWrite:
    """The session's entry in its user's list, and where it stood before.

    `previous_user_id` names whose list that was, where it was another user's; "" for the same.
    """

    user_id: str
    position_ms: int
    previous_position_ms: int
    entry: bytes
    previous_user_id: str = ""


@dataclass(slots=True)
class AwaitedWrite:
    """Under which agent the session is found from now on, and was before; "" for none."""

    agent: str
    previous_agent: str


@dataclass(slots=True)
class DraftWrite:
    """A piece of a running turn's text; `number` is its place among them: 1, 2, ..."""

    turn_id: str
    number: int
    value: bytes


@dataclass(slots=True)
class SharedWrite:
    """Whether the session is shared with a user from now on."""

    user_id: str
    shared: bool


@dataclass(slots=True)
class Commit:
    """One session's durable batch, written by the instance that owns it.

    `records` have the seqs from `first_seq` on. `outputs` None leaves the table as it is, `members`
    None that of members and links, `index` None the entry, `awaited` None the place among those
    that await an agent. `shared` names each user once. `successor` names an instance that must be
    registered as well; empty for none. `deferrable` is for who sends it here: it makes no
    difference to what is stored.

    `drafts` are put, and all drafts of `ended_turn` are removed; empty for none. No draft is of the
    turn that ends, and none is named twice. `head` empty leaves the head as it is: then there are
    drafts and nothing else.
    """

    instance: bytes
    session_id: str
    expected_head: bytes
    head: bytes
    first_seq: int = 0
    records: Sequence[bytes] = ()
    outputs: bytes | None = None
    index: IndexWrite | None = None
    awaited: AwaitedWrite | None = None
    successor: bytes = b""
    drafts: tuple[DraftWrite, ...] = ()
    ended_turn: str = ""
    deferrable: bool = False
    members: bytes | None = None
    shared: tuple[SharedWrite, ...] = ()

    @property
    def coherent(self) -> bool:
        """Whether its parts go together, as said above."""
        if self.awaited is not None and self.awaited.agent and self.index is None:
            return False  # there is no entry to show under the agent
        if self.shared and len({each.user_id for each in self.shared}) < len(self.shared):
            return False
        if not self.drafts:
            return self.head != b""
        named = {(draft.turn_id, draft.number) for draft in self.drafts}
        if len(named) < len(self.drafts):
            return False
        if any(draft.turn_id == self.ended_turn for draft in self.drafts):
            return False
        if self.head:
            return True
        beside = self.records or self.index or self.awaited or self.successor or self.ended_turn
        return not (beside or self.shared) and self.outputs is None and self.members is None

    @property
    def operations(self) -> int:
        """How many operations it is in a transaction, at most."""
        return (
            (self.head != b"")
            + len(self.records)
            + (self.outputs is not None)
            + (self.members is not None)
            + len(self.shared)
            + 2 * (self.index is not None)
            + 2 * (self.awaited is not None)
            + len(self.drafts)
            + (self.ended_turn != "")
        )

    @property
    def size(self) -> int:
        """About how many bytes it is in a transaction, comparisons included."""
        size = 512 + len(self.expected_head) + len(self.head) + len(self.outputs or b"")
        if self.members is not None:
            size += len(self.members) + 256
        size += 768 * len(self.shared)
        for record in self.records:
            size += len(record) + 128
        if self.index is not None:
            size += len(self.index.entry) + 512
        for draft in self.drafts:
            size += len(draft.value) + 256
        return size


@dataclass(frozen=True, slots=True)
class Deletion:
    """The end of a session: `head` holds its tombstone. It was shared with `shared_with`."""

    instance: bytes
    session_id: str
    expected_head: bytes
    head: bytes
    user_id: str
    position_ms: int
    awaited_agent: str = ""
    shared_with: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CopyPiece:
    """Some records of a copy, from `first_seq` on, and its head with them; still not visible.

    At most 100 records, of at most 1 MiB.
    """

    session_id: str
    expected_head: bytes
    head: bytes
    first_seq: int
    records: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class CopyEnd:
    """What makes a copy visible: its final head, and its places in lists.

    `maker_id` is whose copy it was called when it was begun; whose session it is then is `user_id`.
    `outputs` and `members` empty are no tables; `shared_with` are its members.
    """

    session_id: str
    expected_head: bytes
    head: bytes
    maker_id: str
    user_id: str
    entry: bytes
    position_ms: int
    outputs: bytes = b""
    members: bytes = b""
    shared_with: Sequence[str] = ()
    awaited_agent: str = ""


# --- what becomes of it ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Committed:
    """It is stored."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A comparison failed, and this try stored nothing. This is what stood there instead.

    `head` is empty when there is none. `registered` says whether the writer's registration stood.
    """

    head: bytes
    registered: bool


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may or may not be stored, now or later."""


@dataclass(frozen=True, slots=True)
class Unstorable:
    """It was not stored and cannot be as it is, by anyone: too large, or malformed."""


@dataclass(frozen=True, slots=True)
class PutOff:
    """It was not tried, since space is short. Store says that before it asks any repository."""


Outcome = Committed | Refused | Unknown | Unstorable | PutOff
