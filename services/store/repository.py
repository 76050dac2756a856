"""What Store needs from a place that keeps sessions, as a contract.

Two implementations keep it: `services.store.etcd.repository` and the in-memory reference
`services.store.memory`; `tests/contracts` runs every sentence below on both. What it is given is in
`services.store.writes`, what it gives in `services.store.answers`.

Heads, records, output tables, drafts and entries are opaque bytes here: what one caller wrote,
another reads, to the bit. Whoever compares a head compares these bytes, never a re-encoding.

Revisions are positive integers. Every write that changes anything makes a new, larger one, and a
read at a revision sees exactly what was written up to it.

Failures. A read that cannot be answered raises `sessiond.errors.Unavailable`. A write whose fate
is not known is `Unknown`; it is settled by the identical write again, by whoever knows that it is
identical, and never by a read. Nothing here repeats a write by itself unless it says so.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager

from services.store.answers import (
    AllChanges,
    AwaitedPage,
    ChangedSince,
    EntryPage,
    EntryScan,
    Existing,
    Instance,
    NotRegistered,
    Owned,
    Remains,
    Scope,
    ScopeChange,
    SharedChange,
    SharedPage,
    SharedSession,
    Snapshot,
)
from services.store.writes import (
    Commit,
    Committed,
    CopyEnd,
    CopyPiece,
    Creation,
    Deletion,
    Outcome,
    Refused,
)


class Repository(ABC):
    """Keeps sessions, user indexes and the registrations of Live instances."""

    # --- sessions --------------------------------------------------------------------------------

    @abstractmethod
    async def create(self, creation: Creation) -> Committed | Existing:
        """Store a new session: head, first record, entry and awaited place, together or not at all.

        The id is taken while a head stands there, a tombstone included: `Existing`, nothing
        stored. A try whose fate is unknown is repeated here until it is settled, so a creation
        that was stored is answered `Committed` even if an answer was lost (its own first record is
        recognised by its bytes).

        Raises:
            OutcomeUnknown: it could not be settled in time.
            SessionFull: it can never be stored as it is (too large).
        """

    @abstractmethod
    async def snapshot(self, session_id: str) -> Snapshot | None:
        """Read head and tables together, through consensus: no older than the call's beginning.

        A deleted session gives its tombstone head; None where no head stands.
        """

    @abstractmethod
    async def records(
        self, session_id: str, first_seq: int, last_seq: int, *, revision: int
    ) -> list[bytes]:
        """Return the records first_seq..last_seq that stand at the revision, in order of seq.

        Raises:
            RevisionCompacted: the revision is no longer kept.
        """

    @abstractmethod
    async def records_at(
        self, session_id: str, seqs: Sequence[int], *, revision: int
    ) -> list[bytes]:
        """Return the records of these seqs that stand at the revision, in the order asked.

        Raises:
            RevisionCompacted: the revision is no longer kept.
        """

    @abstractmethod
    async def drafts(self, session_id: str, turn_id: str, *, revision: int) -> list[bytes]:
        """Return the drafts of a turn that stand at the revision, in order of their numbers.

        Raises:
            RevisionCompacted: the revision is no longer kept.
        """

    # --- lists -----------------------------------------------------------------------------------

    @abstractmethod
    async def count(self, user_id: str) -> int:
        """Return how many sessions the user has, no older than the call's beginning."""

    @abstractmethod
    async def count_shared(self, user_id: str) -> int:
        """Return how many sessions are shared with the user, no older than the call's beginning."""

    @abstractmethod
    async def entries(
        self, user_id: str, *, after: tuple[int, str] | None, limit: int, revision: int | None
    ) -> EntryPage:
        """Return up to `limit` entries of a user after a key `(position_ms, session_id)`.

        Without a revision the read goes through consensus and the page says at which it read.

        Raises:
            RevisionCompacted: the revision is no longer kept.
        """

    @abstractmethod
    async def shared(self, user_id: str, *, revision: int | None) -> SharedPage:
        """Return which sessions are shared with a user.

        Without a revision the read goes through consensus and the page says at which it read.

        Raises:
            RevisionCompacted: the revision is no longer kept.
        """

    @abstractmethod
    async def shared_sessions(
        self, session_ids: Sequence[str], *, revision: int
    ) -> list[SharedSession]:
        """Return heads and members of those of these sessions that stand at the revision, in order.

        A deleted session gives its tombstone head.

        Raises:
            RevisionCompacted: the revision is no longer kept.
        """

    @abstractmethod
    async def entries_of(
        self, places: Sequence[tuple[str, int, str]], *, revision: int
    ) -> list[bytes]:
        """Return the entries that stand at these `(user_id, position_ms, session_id)`, in order.

        b"" for each place where none stands at the revision.

        Raises:
            RevisionCompacted: the revision is no longer kept.
        """

    @abstractmethod
    def watch_shared(
        self, user_id: str, *, after_revision: int
    ) -> AbstractAsyncContextManager[AsyncIterator[SharedChange]]:
        """Follow which sessions are shared with a user, and the heads of the first 1,000 of them.

        Changes may overtake one another, also those of one session: that it left may come after
        what happened to its head since. Once it has come, no more is told of it. It is otherwise as
        `watch`.
        """

    @abstractmethod
    async def awaited(self, agent: str) -> AwaitedPage:
        """Return all sessions that await an agent, read through consensus."""

    @abstractmethod
    def watch(
        self, scope: Scope, *, after_revision: int
    ) -> AbstractAsyncContextManager[AsyncIterator[ScopeChange]]:
        """Follow a scope: every change after the revision once, in order of revision.

        The iterator outlives lost connections. It raises `RevisionCompacted` when changes between
        the last one given and the present are no longer kept.
        """

    @abstractmethod
    async def scan(self, after: bytes | None, limit: int, revision: int | None) -> EntryScan:
        """Return a piece of all entries, of at most `limit`: the first one, or after a `last_key`.

        Without a revision the read goes through consensus and the piece says at which it read.

        Raises:
            RevisionCompacted: the revision is no longer kept.
        """

    # --- jobs ------------------------------------------------------------------------------------

    @abstractmethod
    async def hold_job(self, job: str, holder: bytes, *, ttl_seconds: int) -> int:
        """Take a job that nobody holds, or prolong the holder's; return the term, 0 if another's.

        A hold ends when it was not prolonged for `ttl_seconds`. The term rises each time that the
        job is taken, and a term says, through consensus, that the hold stands.

        Raises:
            Unavailable: there is no answer; the job may be the holder's now.
        """

    @abstractmethod
    async def release_job(self, job: str, holder: bytes) -> None:
        """Let a job go; harmless where another, or nobody, holds it."""

    # --- erasures --------------------------------------------------------------------------------

    @abstractmethod
    async def erasure(self, user_id: str) -> bytes | None:
        """Return a user's erasure, read through consensus; None where nobody asked for one."""

    @abstractmethod
    async def erasures(self) -> tuple[tuple[str, bytes], ...]:
        """Return all erasures by their users, done ones too, in no particular order."""

    @abstractmethod
    async def ask_erasure(self, user_id: str, erasure: bytes, *, expected: bytes | None) -> bytes:
        """Store an erasure where the expected one stands, or none; return what stands then.

        A write of unknown fate is repeated here.

        Raises:
            OutcomeUnknown: it could not be settled in time.
        """

    @abstractmethod
    async def remains(self, user_id: str) -> Remains:
        """Return what names a user, read through consensus."""

    @abstractmethod
    async def complete_erasure(
        self, user_id: str, receipt: bytes, *, expected: bytes, revision: int
    ) -> bool:
        """Write the receipt, and remove all pointers and templates of the user, together.

        And what names copies of theirs: the caller has seen that it is stray.

        False, and nothing is changed, where another erasure stands than the expected one, or an
        entry, pointer or template was written after the revision, or a copy was begun. Settled as
        `ask_erasure` is.

        Raises:
            OutcomeUnknown: it could not be settled in time.
        """

    # --- templates -------------------------------------------------------------------------------

    @abstractmethod
    async def put_template(self, user_id: str, name: str, template: bytes) -> None:
        """Store a template of a user's, over whatever stands under this name.

        A try whose fate is unknown is repeated here until it is settled, and never over what
        another call wrote since: of calls at the same time any may be the last. One limit: what was
        put under a new name, deleted by another call and then repeated, stands again.

        Raises:
            OutcomeUnknown: it could not be settled in time.
            Unavailable: nothing can be read; nothing was stored.
            InvalidArgument: it can never be stored as it is (too large).
        """

    @abstractmethod
    async def template(self, user_id: str, name: str) -> bytes | None:
        """Return a template, read through consensus; None where there is none."""

    @abstractmethod
    async def templates(self, user_id: str) -> tuple[tuple[str, bytes], ...]:
        """Return all templates of a user by name, at one revision, read through consensus."""

    @abstractmethod
    async def count_templates(self, user_id: str) -> int:
        """Return how many templates the user has, no older than the call's beginning."""

    @abstractmethod
    async def delete_template(self, user_id: str, name: str) -> None:
        """Delete a template; where there is none, nothing happens. Settled as `put_template` is.

        Raises:
            OutcomeUnknown: it could not be settled in time.
            Unavailable: nothing can be read; nothing was deleted.
        """

    # --- all sessions ----------------------------------------------------------------------------

    @abstractmethod
    def watch_all(
        self, *, after_revision: int
    ) -> AbstractAsyncContextManager[AsyncIterator[AllChanges]]:
        """Follow all sessions as `watch` follows a scope. Expiring tombstones are no change.

        What is compacted before it is given may be left out, in etcd before 3.5.13 without a word.
        """

    @abstractmethod
    async def history_id(self) -> str:
        """Return which history revisions belong to, read through consensus; "" for the first one.

        It is another one once a backup was restored: then the same revision means something else.
        """

    @abstractmethod
    async def check_kept(self, revision: int) -> None:
        """Return if what happened after a revision is still kept, no older than the call.

        Raises:
            RevisionCompacted: it is not.
        """

    @abstractmethod
    async def changed_since(self, after_revision: int) -> ChangedSince:
        """Return which sessions were written or deleted after a revision, read through consensus.

        The revision need not be kept any more. A session that was deleted more than 24 hours ago
        may be missing, and so may one that left no tombstone.
        """

    @abstractmethod
    async def first_after(self, session_id: str, after_revision: int, *, last_seq: int) -> int:
        """Return the seq of the first of the records 1..last_seq written after a revision.

        That is last_seq + 1 where all are older. The revision need not be kept any more.
        """

    # --- ownership -------------------------------------------------------------------------------

    @abstractmethod
    async def register(self, instance: bytes, *, address: str, ttl_seconds: int) -> int:
        """Register a new instance, and return its lease.

        Its registration ends when no heartbeat came for `ttl_seconds`. Registrations of other
        instances with the same address are ended first. An instance is registered once, ever.
        """

    @abstractmethod
    async def heartbeat(self, instance: bytes, lease: int, *, draining: bool) -> bool:
        """Prolong a registration, and say through consensus whether it stands.

        `draining` is stored with it when it changes. False is for ever. Raises `Unavailable` when
        there is no answer: the registration may or may not stand.
        """

    @abstractmethod
    async def deregister(self, instance: bytes, lease: int) -> None:
        """End a registration; harmless when it is gone."""

    @abstractmethod
    async def instances(self) -> tuple[int, tuple[Instance, ...]]:
        """Return a revision, read through consensus, and the instances registered at it."""

    @abstractmethod
    def watch_instances(self) -> AbstractAsyncContextManager[AsyncIterator[tuple[Instance, ...]]]:
        """Give all registered instances, and all of them again at each change."""

    @abstractmethod
    async def acquire(
        self, session_id: str, instance: bytes, commit_id: bytes
    ) -> Snapshot | Owned | NotRegistered | None:
        """Make the instance the owner, in the next epoch, and read the session as it then stands.

        The head read through consensus is replaced, in one compared write, by
        `sessiond.store.codec.take_over` of it. That is done only while the instance is registered
        and the former owner is none, is the instance itself, or is no longer registered;
        otherwise `Owned` or `NotRegistered`, nothing stored. A tombstone is returned as it is,
        never replaced. None where no head stands, or that of a copy which is still being
        written. A write of unknown fate is repeated here: a head
        that carries `commit_id` is this acquisition.

        Raises:
            Unavailable: not settled in time; the session may be owned now, by the instance, in an
                epoch that it does not know. Acquiring again is safe.
        """

    @abstractmethod
    async def commit(self, batch: Sequence[Commit]) -> list[Outcome]:
        """Store each commit of the batch, or not, on its own; outcomes in the order given.

        A commit is stored if and only if its session's head is, to the bit, `expected_head`, its
        instance is registered, and its successor, if any, is registered and not draining. All
        that it writes and removes does so at one revision. The batch holds each session at most
        once.

        A commit of drafts alone compares the same and leaves the head as it was. So the identical
        one may be stored any number of times, and it makes no other difference; a later head
        refuses it as it refuses all others.

        Raises:
            BatchRefused: nothing of it was stored.
        """

    @abstractmethod
    async def delete(self, deletion: Deletion) -> Outcome:
        """Replace all of a session by its tombstone, under the conditions of a commit.

        Head becomes `deletion.head` for 24.5 to 25 hours; records, tables, drafts, the entry, the
        awaited place and that it was shared are gone at the same revision.
        """

    # --- copies ----------------------------------------------------------------------------------

    @abstractmethod
    async def copies(self, user_id: str) -> tuple[str, ...]:
        """Return the ids of the copies that a user makes, no older than the call's beginning."""

    @abstractmethod
    async def begin_copy(
        self, session_id: str, head: bytes, *, maker_id: str
    ) -> Committed | Existing:
        """Put the head of a copy where none stands; a tombstone and another copy's are heads too.

        From then on it is among the copies of `maker_id`, until it is finished or dropped.
        Settled here, as a creation is: a head of these very bytes is this one.

        Raises:
            Unavailable: it could not be settled in time; to begin again is safe.
        """

    @abstractmethod
    async def write_copy(self, piece: CopyPiece) -> Committed | Refused:
        """Store a piece if the head is, to the bit, the expected one; settled here.

        Raises:
            Unavailable: it could not be settled in time; the head tells how far it came.
            SessionFull: it can never be stored as it is (too large).
        """

    @abstractmethod
    async def finish_copy(self, end: CopyEnd) -> Committed | Refused:
        """Make a copy visible, all of it together, under the same comparison; settled here.

        Raises:
            OutcomeUnknown: it could not be settled in time.
            SessionFull: it can never be stored as it is (too large).
        """

    @abstractmethod
    async def drop_copy(
        self, session_id: str, head: bytes, *, maker_id: str
    ) -> Committed | Refused:
        """Remove a copy whose head is, to the bit, this one, and all of its records; settled here.

        Raises:
            Unavailable: it could not be settled in time.
        """
