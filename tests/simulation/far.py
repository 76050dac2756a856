"""The repository as one Store has it, whose etcd is far away."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, TypeVar

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
from services.store.memory import MemoryRepository
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
    Unknown,
)
from sessiond.errors import OutcomeUnknown, Unavailable
from tests.simulation.etcd import Etcd, Lost

T = TypeVar("T")


class FarRepository(Repository):
    """The repository as one Store has it."""

    def __init__(self, etcd: Etcd, kept: MemoryRepository, store: str) -> None:
        self._etcd = etcd
        self._kept = kept
        self._store = store

    async def _read(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        try:
            return await self._etcd.ask(self._store, call, writes=False)
        except Lost:
            raise Unavailable from None

    async def _write(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return await self._etcd.ask(self._store, call, writes=True)

    # --- sessions --------------------------------------------------------------------------------

    async def create(self, creation: Creation) -> Committed | Existing:
        for _ in range(2):
            try:
                return await self._write(lambda: self._kept.create(creation))
            except Lost:
                continue
        raise OutcomeUnknown

    async def snapshot(self, session_id: str) -> Snapshot | None:
        return await self._read(lambda: self._kept.snapshot(session_id))

    async def records(
        self, session_id: str, first_seq: int, last_seq: int, *, revision: int
    ) -> list[bytes]:
        kept = self._kept
        return await self._read(
            lambda: kept.records(session_id, first_seq, last_seq, revision=revision)
        )

    async def records_at(
        self, session_id: str, seqs: Sequence[int], *, revision: int
    ) -> list[bytes]:
        return await self._read(lambda: self._kept.records_at(session_id, seqs, revision=revision))

    async def drafts(self, session_id: str, turn_id: str, *, revision: int) -> list[bytes]:
        return await self._read(lambda: self._kept.drafts(session_id, turn_id, revision=revision))

    # --- lists -----------------------------------------------------------------------------------

    async def count(self, user_id: str) -> int:
        return await self._read(lambda: self._kept.count(user_id))

    async def count_shared(self, user_id: str) -> int:
        return await self._read(lambda: self._kept.count_shared(user_id))

    async def entries(
        self, user_id: str, *, after: tuple[int, str] | None, limit: int, revision: int | None
    ) -> EntryPage:
        kept = self._kept
        return await self._read(
            lambda: kept.entries(user_id, after=after, limit=limit, revision=revision)
        )

    async def shared(self, user_id: str, *, revision: int | None) -> SharedPage:
        return await self._read(lambda: self._kept.shared(user_id, revision=revision))

    async def shared_sessions(
        self, session_ids: Sequence[str], *, revision: int
    ) -> list[SharedSession]:
        return await self._read(lambda: self._kept.shared_sessions(session_ids, revision=revision))

    async def entries_of(
        self, places: Sequence[tuple[str, int, str]], *, revision: int
    ) -> list[bytes]:
        return await self._read(lambda: self._kept.entries_of(places, revision=revision))

    def watch_shared(
        self, user_id: str, *, after_revision: int
    ) -> AbstractAsyncContextManager[AsyncIterator[SharedChange]]:
        return self._kept.watch_shared(user_id, after_revision=after_revision)

    async def awaited(self, agent: str) -> AwaitedPage:
        return await self._read(lambda: self._kept.awaited(agent))

    @asynccontextmanager
    async def watch(
        self, scope: Scope, *, after_revision: int
    ) -> AsyncIterator[AsyncIterator[ScopeChange]]:
        async with self._kept.watch(scope, after_revision=after_revision) as changes:
            yield self._late(changes)

    async def scan(self, after: bytes | None, limit: int, revision: int | None) -> EntryScan:
        return await self._read(lambda: self._kept.scan(after, limit, revision))

    # --- jobs and erasures -----------------------------------------------------------------------

    async def hold_job(self, job: str, holder: bytes, *, ttl_seconds: int) -> int:
        return await self._read(lambda: self._kept.hold_job(job, holder, ttl_seconds=ttl_seconds))

    async def release_job(self, job: str, holder: bytes) -> None:
        await self._read(lambda: self._kept.release_job(job, holder))

    async def erasure(self, user_id: str) -> bytes | None:
        return await self._read(lambda: self._kept.erasure(user_id))

    async def erasures(self) -> tuple[tuple[str, bytes], ...]:
        return await self._read(self._kept.erasures)

    async def ask_erasure(self, user_id: str, erasure: bytes, *, expected: bytes | None) -> bytes:
        kept = self._kept
        return await self._read(lambda: kept.ask_erasure(user_id, erasure, expected=expected))

    async def remains(self, user_id: str) -> Remains:
        return await self._read(lambda: self._kept.remains(user_id))

    async def complete_erasure(
        self, user_id: str, receipt: bytes, *, expected: bytes, revision: int
    ) -> bool:
        kept = self._kept
        return await self._read(
            lambda: kept.complete_erasure(user_id, receipt, expected=expected, revision=revision)
        )

    # --- templates -------------------------------------------------------------------------------

    async def put_template(self, user_id: str, name: str, template: bytes) -> None:
        await self._settled(lambda: self._kept.put_template(user_id, name, template))

    async def template(self, user_id: str, name: str) -> bytes | None:
        return await self._read(lambda: self._kept.template(user_id, name))

    async def templates(self, user_id: str) -> tuple[tuple[str, bytes], ...]:
        return await self._read(lambda: self._kept.templates(user_id))

    async def count_templates(self, user_id: str) -> int:
        return await self._read(lambda: self._kept.count_templates(user_id))

    async def delete_template(self, user_id: str, name: str) -> None:
        await self._settled(lambda: self._kept.delete_template(user_id, name))

    # --- all sessions ----------------------------------------------------------------------------

    @asynccontextmanager
    async def watch_all(self, *, after_revision: int) -> AsyncIterator[AsyncIterator[AllChanges]]:
        async with self._kept.watch_all(after_revision=after_revision) as changes:
            yield self._late(changes)

    async def history_id(self) -> str:
        return await self._read(self._kept.history_id)

    async def check_kept(self, revision: int) -> None:
        await self._read(lambda: self._kept.check_kept(revision))

    async def changed_since(self, after_revision: int) -> ChangedSince:
        return await self._read(lambda: self._kept.changed_since(after_revision))

    async def first_after(self, session_id: str, after_revision: int, *, last_seq: int) -> int:
        kept = self._kept
        return await self._read(
            lambda: kept.first_after(session_id, after_revision, last_seq=last_seq)
        )

    # --- ownership -------------------------------------------------------------------------------

    async def register(self, instance: bytes, *, address: str, ttl_seconds: int) -> int:
        async def effect() -> int:
            lease = await self._kept.register(instance, address=address, ttl_seconds=ttl_seconds)
            self._etcd.prolong(instance, ttl_seconds)
            return lease

        try:
            return await self._write(effect)
        except Lost:
            raise Unavailable from None

    async def heartbeat(self, instance: bytes, lease: int, *, draining: bool) -> bool:
        async def effect() -> bool:
            stands = await self._kept.heartbeat(instance, lease, draining=draining)
            if stands:
                self._etcd.prolong(instance, self._etcd.ttl_seconds)
            return stands

        return await self._read(effect)

    async def deregister(self, instance: bytes, lease: int) -> None:
        try:
            await self._write(lambda: self._kept.deregister(instance, lease))
        except Lost:
            raise Unavailable from None

    async def instances(self) -> tuple[int, tuple[Instance, ...]]:
        return await self._read(self._kept.instances)

    @asynccontextmanager
    async def watch_instances(self) -> AsyncIterator[AsyncIterator[tuple[Instance, ...]]]:
        async with self._kept.watch_instances() as changes:
            yield self._late(changes)

    async def acquire(
        self, session_id: str, instance: bytes, commit_id: bytes
    ) -> Snapshot | Owned | NotRegistered | None:
        # As etcd's: what was read is compared in the write, however late that comes.
        for _ in range(3):
            seen = await self.snapshot(session_id)
            try:
                return await self._write(
                    partial(self._acquire, session_id, instance, commit_id, seen)
                )
            except Lost:
                continue
        raise Unavailable

    async def _acquire(
        self, session_id: str, instance: bytes, commit_id: bytes, seen: Snapshot | None
    ) -> Snapshot | Owned | NotRegistered | None:
        now = await self._kept.snapshot(session_id)
        if (now and now.head) != (seen and seen.head):
            raise Lost
        return await self._kept.acquire(session_id, instance, commit_id)

    async def commit(self, batch: Sequence[Commit]) -> list[Outcome]:
        async def effect() -> list[Outcome]:
            outcomes = await self._kept.commit(batch)
            self._etcd.committed(batch[0].instance)
            return outcomes

        try:
            return await self._write(effect)
        except Lost:
            return [Unknown()] * len(batch)

    async def delete(self, deletion: Deletion) -> Outcome:
        try:
            return await self._write(lambda: self._kept.delete(deletion))
        except Lost:
            return Unknown()

    # --- copies ----------------------------------------------------------------------------------

    async def copies(self, user_id: str) -> tuple[str, ...]:
        return await self._read(lambda: self._kept.copies(user_id))

    async def begin_copy(
        self, session_id: str, head: bytes, *, maker_id: str
    ) -> Committed | Existing:
        return await self._settled(
            lambda: self._kept.begin_copy(session_id, head, maker_id=maker_id)
        )

    async def write_copy(self, piece: CopyPiece) -> Committed | Refused:
        return await self._settled(lambda: self._kept.write_copy(piece))

    async def finish_copy(self, end: CopyEnd) -> Committed | Refused:
        try:
            return await self._settled(lambda: self._kept.finish_copy(end))
        except Unavailable:
            raise OutcomeUnknown from None

    async def drop_copy(
        self, session_id: str, head: bytes, *, maker_id: str
    ) -> Committed | Refused:
        return await self._settled(
            lambda: self._kept.drop_copy(session_id, head, maker_id=maker_id)
        )

    async def _settled(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        for _ in range(2):
            try:
                return await self._write(call)
            except Lost:
                continue
        raise Unavailable

    async def _late(self, changes: AsyncIterator[T]) -> AsyncIterator[T]:
        async for change in changes:
            await self._etcd.lagging()
            yield change
