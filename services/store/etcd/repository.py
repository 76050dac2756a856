"""The repository on etcd: `services.store.repository`, with a collaborator for each part of it.

async with EtcdClient([...]) as etcd, EtcdRepository(etcd, namespace="") as repository:
    ...
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Self

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
from services.store.etcd.acquisition import Acquisition
from services.store.etcd.client import EtcdClient
from services.store.etcd.commit import Commits
from services.store.etcd.copying import Copies
from services.store.etcd.deletion import Deletions
from services.store.etcd.erasures import Erasures
from services.store.etcd.feed import Feed
from services.store.etcd.jobs import Jobs
from services.store.etcd.lists import Lists
from services.store.etcd.reads import ConsensusReads
from services.store.etcd.registrations import Registrations
from services.store.etcd.scanning import Scanning
from services.store.etcd.sessions import Sessions
from services.store.etcd.shared import Shared
from services.store.etcd.templates import Templates
from services.store.keys import Keys
from services.store.repository import Repository
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


class EtcdRepository(Repository):
    """Keeps everything in etcd, under one namespace; an async context manager.

    `settle_seconds` is how long a creation, acquisition or registration of unknown fate is
    repeated; `clock` gives seconds that never go back.
    """

    def __init__(
        self,
        etcd: EtcdClient,
        *,
        namespace: str = "",
        settle_seconds: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        keys = Keys(namespace)
        self._reads = reads = ConsensusReads(etcd)
        self._sessions = Sessions(etcd, reads, keys, settle_seconds=settle_seconds)
        self._lists = Lists(etcd, reads, keys)
        self._scanning = Scanning(etcd, reads, keys)
        self._jobs = Jobs(etcd, reads, keys, settle_seconds=settle_seconds)
        self._erasures = Erasures(etcd, reads, keys, settle_seconds=settle_seconds)
        self._shared = Shared(etcd, reads, keys)
        self._templates = Templates(etcd, reads, keys, settle_seconds=settle_seconds)
        self._feed = Feed(etcd, reads, keys)
        self._registrations = Registrations(etcd, reads, keys, settle_seconds=settle_seconds)
        self._acquisition = Acquisition(etcd, reads, keys, settle_seconds=settle_seconds)
        self._commits = Commits(etcd, keys, self._registrations)
        self._deletions = Deletions(etcd, keys, clock=clock)
        self._copies = Copies(etcd, reads, keys, settle_seconds=settle_seconds)

    async def __aenter__(self) -> Self:
        """Return the repository."""
        await self._reads.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End what is in flight; the client stays open."""
        await self._reads.__aexit__(kind, error, trace)

    async def create(self, creation: Creation) -> Committed | Existing:
        """Store a new session, or say what stands in its place."""
        return await self._sessions.create(creation)

    async def snapshot(self, session_id: str) -> Snapshot | None:
        """Read head and tables as they are now."""
        return await self._sessions.snapshot(session_id)

    async def records(
        self, session_id: str, first_seq: int, last_seq: int, *, revision: int
    ) -> list[bytes]:
        """Return the records of a range of seqs at a revision."""
        return await self._sessions.records(session_id, first_seq, last_seq, revision=revision)

    async def records_at(
        self, session_id: str, seqs: Sequence[int], *, revision: int
    ) -> list[bytes]:
        """Return the records of these seqs at a revision."""
        return await self._sessions.records_at(session_id, seqs, revision=revision)

    async def drafts(self, session_id: str, turn_id: str, *, revision: int) -> list[bytes]:
        """Return the drafts of a turn at a revision."""
        return await self._sessions.drafts(session_id, turn_id, revision=revision)

    async def count(self, user_id: str) -> int:
        """Return how many sessions the user has now."""
        return await self._lists.count(user_id)

    async def count_shared(self, user_id: str) -> int:
        """Return how many sessions are shared with the user now."""
        return await self._shared.count(user_id)

    async def entries(
        self, user_id: str, *, after: tuple[int, str] | None, limit: int, revision: int | None
    ) -> EntryPage:
        """Return a page of a user's entries."""
        return await self._lists.entries(user_id, after=after, limit=limit, revision=revision)

    async def shared(self, user_id: str, *, revision: int | None) -> SharedPage:
        """Return which sessions are shared with a user."""
        return await self._shared.pointers(user_id, revision=revision)

    async def shared_sessions(
        self, session_ids: Sequence[str], *, revision: int
    ) -> list[SharedSession]:
        """Return heads and members of these sessions."""
        return await self._shared.sessions(session_ids, revision=revision)

    async def entries_of(
        self, places: Sequence[tuple[str, int, str]], *, revision: int
    ) -> list[bytes]:
        """Return the entries that stand at these places."""
        return await self._shared.entries(places, revision=revision)

    def watch_shared(
        self, user_id: str, *, after_revision: int
    ) -> AbstractAsyncContextManager[AsyncIterator[SharedChange]]:
        """Follow what is shared with a user from a revision on."""
        return self._shared.watch(user_id, after_revision=after_revision)

    async def awaited(self, agent: str) -> AwaitedPage:
        """Return all sessions that await an agent now."""
        return await self._lists.awaited(agent)

    def watch(
        self, scope: Scope, *, after_revision: int
    ) -> AbstractAsyncContextManager[AsyncIterator[ScopeChange]]:
        """Follow a scope from a revision on."""
        return self._lists.watch(scope, after_revision=after_revision)

    async def scan(self, after: bytes | None, limit: int, revision: int | None) -> EntryScan:
        """Return a piece of all entries."""
        return await self._scanning.scan(after, limit, revision)

    async def hold_job(self, job: str, holder: bytes, *, ttl_seconds: int) -> int:
        """Take or prolong a job."""
        return await self._jobs.hold(job, holder, ttl_seconds=ttl_seconds)

    async def release_job(self, job: str, holder: bytes) -> None:
        """Let a job go."""
        await self._jobs.release(job, holder)

    async def erasure(self, user_id: str) -> bytes | None:
        """Return a user's erasure."""
        return await self._erasures.get(user_id)

    async def erasures(self) -> tuple[tuple[str, bytes], ...]:
        """Return all erasures."""
        return await self._erasures.all()

    async def ask_erasure(self, user_id: str, erasure: bytes, *, expected: bytes | None) -> bytes:
        """Store an erasure in the place of the expected one."""
        return await self._erasures.ask(user_id, erasure, expected=expected)

    async def remains(self, user_id: str) -> Remains:
        """Return what names a user."""
        return await self._erasures.remains(user_id)

    async def complete_erasure(
        self, user_id: str, receipt: bytes, *, expected: bytes, revision: int
    ) -> bool:
        """Write a receipt, and remove pointers and templates."""
        return await self._erasures.complete(user_id, receipt, expected=expected, revision=revision)

    async def put_template(self, user_id: str, name: str, template: bytes) -> None:
        """Store a template."""
        await self._templates.put(user_id, name, template)

    async def template(self, user_id: str, name: str) -> bytes | None:
        """Return a template."""
        return await self._templates.get(user_id, name)

    async def templates(self, user_id: str) -> tuple[tuple[str, bytes], ...]:
        """Return all templates of a user by name."""
        return await self._templates.all(user_id)

    async def count_templates(self, user_id: str) -> int:
        """Return how many templates the user has."""
        return await self._templates.count(user_id)

    async def delete_template(self, user_id: str, name: str) -> None:
        """Delete a template."""
        await self._templates.delete(user_id, name)

    def watch_all(
        self, *, after_revision: int
    ) -> AbstractAsyncContextManager[AsyncIterator[AllChanges]]:
        """Follow all sessions from a revision on."""
        return self._feed.watch(after_revision=after_revision)

    async def history_id(self) -> str:
        """Return which history revisions belong to."""
        return await self._feed.history_id()

    async def check_kept(self, revision: int) -> None:
        """Return if what happened after a revision is still kept."""
        await self._feed.check_kept(revision)

    async def changed_since(self, after_revision: int) -> ChangedSince:
        """Return which sessions were written or deleted after a revision."""
        return await self._feed.changed_since(after_revision)

    async def first_after(self, session_id: str, after_revision: int, *, last_seq: int) -> int:
        """Return the seq of the first record written after a revision."""
        return await self._feed.first_after(session_id, after_revision, last_seq=last_seq)

    async def register(self, instance: bytes, *, address: str, ttl_seconds: int) -> int:
        """Register an instance."""
        return await self._registrations.register(
            instance, address=address, ttl_seconds=ttl_seconds
        )

    async def heartbeat(self, instance: bytes, lease: int, *, draining: bool) -> bool:
        """Prolong a registration, and say whether it stands."""
        return await self._registrations.heartbeat(instance, lease, draining=draining)

    async def deregister(self, instance: bytes, lease: int) -> None:
        """End a registration."""
        await self._registrations.deregister(lease)

    async def instances(self) -> tuple[int, tuple[Instance, ...]]:
        """Return who is registered now."""
        return await self._registrations.all()

    def watch_instances(self) -> AbstractAsyncContextManager[AsyncIterator[tuple[Instance, ...]]]:
        """Follow who is registered."""
        return self._registrations.watch()

    async def acquire(
        self, session_id: str, instance: bytes, commit_id: bytes
    ) -> Snapshot | Owned | NotRegistered | None:
        """Make the instance the owner, unless another registered one is."""
        return await self._acquisition.acquire(session_id, instance, commit_id)

    async def commit(self, batch: Sequence[Commit]) -> list[Outcome]:
        """Store each commit, or say what stood in its way."""
        return await self._commits.commit(batch)

    async def delete(self, deletion: Deletion) -> Outcome:
        """Replace a session by its tombstone."""
        return await self._deletions.delete(deletion)

    async def copies(self, user_id: str) -> tuple[str, ...]:
        """Return which copies the user makes now."""
        return await self._copies.all(user_id)

    async def begin_copy(
        self, session_id: str, head: bytes, *, maker_id: str
    ) -> Committed | Existing:
        """Put a copy's head, or say what stands in its place."""
        return await self._copies.begin(session_id, head, maker_id=maker_id)

    async def write_copy(self, piece: CopyPiece) -> Committed | Refused:
        """Store a piece of a copy."""
        return await self._copies.write(piece)

    async def finish_copy(self, end: CopyEnd) -> Committed | Refused:
        """Make a copy visible."""
        return await self._copies.finish(end)

    async def drop_copy(
        self, session_id: str, head: bytes, *, maker_id: str
    ) -> Committed | Refused:
        """Remove a copy."""
        return await self._copies.drop(session_id, head, maker_id=maker_id)
