"""Changes of all sessions: as they happen, and which there were since a revision."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from itertools import groupby
from typing import Final

from services.store.answers import AllChanges, ChangedSince, RevisionCompacted
from services.store.etcd.client import EtcdClient
from services.store.etcd.etcd_pb2 import Event, KeyValue
from services.store.etcd.reads import ConsensusReads, answered
from services.store.etcd.transactions import read
from services.store.etcd.watch import Watch
from services.store.keys import DeletedKey, EntryKey, EventKey, HeadKey, Key, Keys, Span

# Keys in one answer, about 100 bytes each.
_KEYS: Final = 1000
# Single heads in one request; etcd takes 127 reads in a transaction.
_HEADS: Final = 100


class Feed:
    """Follows all sessions."""

    def __init__(self, etcd: EtcdClient, reads: ConsensusReads, keys: Keys) -> None:
        self._etcd = etcd
        self._reads = reads
        self._keys = keys

    @asynccontextmanager
    async def watch(self, *, after_revision: int) -> AsyncIterator[AsyncIterator[AllChanges]]:
        """Follow all sessions."""
        span = self._keys.sessions
        async with self._etcd.watch(*span, start_revision=after_revision + 1) as watch:
            yield _Changes(watch, self._keys)

    async def history_id(self) -> str:
        """Read what the doctor wrote when a backup was restored."""
        found = (await self._reads.read(read(self._keys.history))).first()
        return "" if found is None else found.value.decode()

    async def check_kept(self, revision: int) -> None:
        """Read anything at the revision: whoever answers knows of every compaction before."""
        with answered():
            await self._etcd.range(read(self._keys.batch, revision=revision, keys_only=True))

    async def changed_since(self, after_revision: int) -> ChangedSince:
        """Read the keys of all entries and deletions, and the tombstones that are new."""
        while True:
            # An entry is written in every commit of its session.
            revision, _ = await self._reads.read(read(self._keys.batch, keys_only=True))
            try:
                entries = [
                    key.session_id
                    async for key in self._written(self._keys.users, after_revision, revision)
                    if isinstance(key, EntryKey)
                ]
                deleted = [
                    key.session_id
                    async for key in self._written(self._keys.deletions, after_revision, revision)
                    if isinstance(key, DeletedKey)
                ]
                tombstones = await self._heads(deleted, revision)
            except RevisionCompacted:
                continue
            return ChangedSince(revision, tuple(entries), tombstones)

    async def first_after(self, session_id: str, after_revision: int, *, last_seq: int) -> int:
        """Look at the keys of the records, from the newest on."""
        last = last_seq
        while last > 0:
            first = max(1, last - _KEYS + 1)
            found = await self._page(self._keys.events(session_id, first, last), 0)
            older = sum(kv.mod_revision <= after_revision for kv in found)
            if older:
                return first + older
            last = first - 1
        return 1

    async def _written(
        self, span: Span, after_revision: int, revision: int
    ) -> AsyncIterator[Key | None]:
        """Yield what the keys of a span stand for that were written after a revision."""
        while True:
            found = await self._page(span, revision)
            for kv in found:
                if kv.mod_revision > after_revision:
                    yield _meaning(self._keys, kv.key)
            if len(found) < _KEYS:
                return
            span = span.after(found[-1].key)

    async def _page(self, span: Span, revision: int) -> list[KeyValue]:
        with answered():
            request = read(*span, revision=revision, limit=_KEYS, keys_only=True)
            return list((await self._etcd.range(request)).kvs)

    async def _heads(self, session_ids: list[str], revision: int) -> tuple[tuple[str, bytes], ...]:
        found: list[tuple[str, bytes]] = []
        for start in range(0, len(session_ids), _HEADS):
            some = session_ids[start : start + _HEADS]
            requests = [read(self._keys.head(each), revision=revision) for each in some]
            with answered():
                _, answers = await self._etcd.consensus_range(*requests)
            found += [
                (session_id, kv.value)
                for session_id, answer in zip(some, answers, strict=True)
                for kv in answer.kvs
            ]
        return tuple(found)


class _Changes(AsyncIterator[AllChanges]):
    """What each revision did to all sessions, out of etcd's batches of revisions."""

    def __init__(self, watch: Watch, keys: Keys) -> None:
        self._watch = watch
        self._keys = keys
        self._ready: deque[AllChanges] = deque()

    async def __anext__(self) -> AllChanges:
        if not self._ready:
            with answered():
                revision, events = await anext(self._watch)
            if not events:
                return AllChanges(revision)
            self._ready.extend(
                self._change(at, together)
                for at, together in groupby(events, key=lambda event: event.kv.mod_revision)
            )
        return self._ready.popleft()

    def _change(self, revision: int, events: Iterable[Event]) -> AllChanges:
        heads: dict[str, bytes] = {}
        records: list[tuple[EventKey, bytes]] = []
        gone: list[str] = []
        emptied: set[str] = set()
        for event in events:
            match _meaning(self._keys, event.kv.key):
                case HeadKey(session_id):
                    if event.type == Event.DELETE:
                        gone.append(session_id)
                    else:
                        heads[session_id] = event.kv.value
                case EventKey(session_id) as key:
                    if event.type == Event.DELETE:
                        emptied.add(session_id)
                    else:
                        records.append((key, event.kv.value))
        records.sort(key=lambda record: record[0])
        return AllChanges(
            revision,
            heads,
            tuple((key.session_id, value) for key, value in records),
            # A tombstone that expires goes alone: it has no records any more.
            tuple(session_id for session_id in gone if session_id in emptied),
        )


def _meaning(keys: Keys, key: bytes) -> Key | None:
    try:
        return keys.parse(key)
    except ValueError:
        return None  # of a later version; the doctor names it
