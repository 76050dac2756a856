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

from services.store.etcd.acquisition import Acquisition
from services.store.etcd.client import EtcdClient
from services.store.etcd.commit import Commits
from services.store.etcd.deletion import Deletions
from services.store.etcd.feed import Feed
from services.store.etcd.lists import Lists
from services.store.etcd.reads import ConsensusReads
from services.store.etcd.registrations import Registrations
from services.store.etcd.sessions import Sessions
from services.store.keys import Keys
from services.store.repository import (
    AllChanges,
    AwaitedPage,
    ChangedSince,
    Commit,
    Committed,
    Creation,
    Deletion,
    EntryPage,
    Existing,
    Instance,
    NotRegistered,
    Outcome,
    Owned,
    Repository,
    Scope,
    ScopeChange,
    Snapshot,
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
        self._feed = Feed(etcd, reads, keys)
        self._registrations = Registrations(etcd, reads, keys, settle_seconds=settle_seconds)
        self._acquisition = Acquisition(etcd, reads, keys, settle_seconds=settle_seconds)
        self._commits = Commits(etcd, keys, self._registrations)
        self._deletions = Deletions(etcd, keys, clock=clock)

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
        """Read head and outputs as they are now."""
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

    async def entries(
        self, user_id: str, *, after: tuple[int, str] | None, limit: int, revision: int | None
    ) -> EntryPage:
        """Return a page of a user's entries."""
        return await self._lists.entries(user_id, after=after, limit=limit, revision=revision)

    async def awaited(self, agent: str) -> AwaitedPage:
        """Return all sessions that await an agent now."""
        return await self._lists.awaited(agent)

    def watch(
        self, scope: Scope, *, after_revision: int
    ) -> AbstractAsyncContextManager[AsyncIterator[ScopeChange]]:
        """Follow a scope from a revision on."""
        return self._lists.watch(scope, after_revision=after_revision)

    def watch_all(
        self, *, after_revision: int
    ) -> AbstractAsyncContextManager[AsyncIterator[AllChanges]]:
        """Follow all sessions from a revision on."""
        return self._feed.watch(after_revision=after_revision)

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
