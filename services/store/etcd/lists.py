"""Lists: a user's sessions, the sessions that await an agent, and how they change."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from itertools import groupby
from typing import Final

from services.store.answers import (
    AgentScope,
    AwaitedPage,
    Entry,
    EntryPage,
    RevisionCompacted,
    Scope,
    ScopeChange,
    UserScope,
)
from services.store.etcd.client import EtcdClient
from services.store.etcd.etcd_pb2 import Event, KeyValue
from services.store.etcd.reads import ConsensusReads, answered, read_all
from services.store.etcd.transactions import read
from services.store.etcd.watch import Watch
from services.store.keys import Keys, Span

# Entries that a consensus read brings along; 60 readers may share one, and an entry may be 4 KiB.
_FIRST: Final = 200


class Lists:
    """Reads lists, and follows them."""

    def __init__(self, etcd: EtcdClient, reads: ConsensusReads, keys: Keys) -> None:
        self._etcd = etcd
        self._reads = reads
        self._keys = keys

    async def count(self, user_id: str) -> int:
        """Count a user's sessions, through consensus."""
        _, (answer,) = await self._reads.read(read(*self._keys.entries(user_id), count_only=True))
        return answer.count

    async def entries(
        self, user_id: str, *, after: tuple[int, str] | None, limit: int, revision: int | None
    ) -> EntryPage:
        """Read a page of a user's list, through consensus where no revision is given."""
        span = entries = self._keys.entries(user_id)
        if after is not None:
            span = entries.after(self._keys.entry(user_id, *after))
        if revision is None:
            revision, found = await self._newest(span, limit + 1)
        else:
            found = await read_all(self._etcd, span, revision=revision, limit=limit + 1)
        page = tuple(self._entry(entries, kv) for kv in found[:limit])
        return EntryPage(revision, page, more=len(found) > limit)

    async def awaited(self, agent: str) -> AwaitedPage:
        """Read all sessions that await an agent, through consensus."""
        while True:
            try:
                revision, found = await self._newest(self._keys.awaiting(agent), None)
            except RevisionCompacted:
                continue
            entries = ((self._keys.listed_session(kv.key), kv.value) for kv in found)
            return AwaitedPage(revision, tuple(entries))

    @asynccontextmanager
    async def watch(
        self, scope: Scope, *, after_revision: int
    ) -> AsyncIterator[AsyncIterator[ScopeChange]]:
        """Follow a scope."""
        match scope:
            case UserScope(user_id):
                span = self._keys.entries(user_id)
            case AgentScope(agent):
                span = self._keys.awaiting(agent)
        async with self._etcd.watch(*span, start_revision=after_revision + 1) as watch:
            yield _Changes(watch, self._keys.listed_session)

    async def _newest(self, span: Span, limit: int | None) -> tuple[int, list[KeyValue]]:
        """Read a span, or its first `limit` keys, at a revision that consensus gives."""
        first = _FIRST if limit is None else min(limit, _FIRST)
        revision, (answer,) = await self._reads.read(read(*span, limit=first))
        found = list(answer.kvs)
        if answer.more and len(found) != limit:
            rest = None if limit is None else limit - len(found)
            span = span.after(found[-1].key)
            found += await read_all(self._etcd, span, revision=revision, limit=rest)
        return revision, found

    def _entry(self, entries: Span, kv: KeyValue) -> Entry:
        position_ms, session_id = self._keys.place_in(entries, kv.key)
        return Entry(session_id, position_ms, kv.value)


class _Changes(AsyncIterator[ScopeChange]):
    """What each revision did to a scope, out of etcd's batches of revisions."""

    def __init__(self, watch: Watch, session_id_of: Callable[[bytes], str]) -> None:
        self._watch = watch
        self._session_id_of = session_id_of
        self._ready: deque[ScopeChange] = deque()

    async def __anext__(self) -> ScopeChange:
        if not self._ready:
            with answered():
                revision, events = await anext(self._watch)
            if not events:
                return ScopeChange(revision, (), ())
            self._ready.extend(
                self._change(at, together)
                for at, together in groupby(events, key=lambda event: event.kv.mod_revision)
            )
        return self._ready.popleft()

    def _change(self, revision: int, events: Iterable[Event]) -> ScopeChange:
        entries, gone = {}, []
        for event in events:
            session_id = self._session_id_of(event.kv.key)
            if event.type == Event.DELETE:
                gone.append(session_id)
            else:
                entries[session_id] = event.kv.value
        # An entry that moved was deleted and put in one revision: the session never left.
        removed = tuple(session_id for session_id in gone if session_id not in entries)
        return ScopeChange(revision, tuple(entries.items()), removed)
