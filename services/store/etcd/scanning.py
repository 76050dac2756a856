"""All entries of all users, piece by piece.

What users have stands side by side: entries, pointers, templates. So a piece is found by its keys
alone, and only the values of entries are read: a template may be half a megabyte.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from services.store.answers import Entry, EntryScan
from services.store.etcd.client import EtcdClient
from services.store.etcd.reads import ConsensusReads, answered, read_all
from services.store.etcd.transactions import read
from services.store.keys import EntryKey, Keys, Span


class Scanning:
    """Reads all lists."""

    def __init__(self, etcd: EtcdClient, reads: ConsensusReads, keys: Keys) -> None:
        self._etcd = etcd
        self._reads = reads
        self._keys = keys

    async def scan(self, after: bytes | None, limit: int, revision: int | None) -> EntryScan:
        """Read the next piece, at a revision that consensus gives where none is given."""
        span = self._keys.users
        if after is not None:
            span = Span(max(span.start, after + b"\0"), span.end)
        if revision is None:
            revision, _ = await self._reads.read(read(*span, limit=1, keys_only=True))
        with answered():
            page = await self._etcd.range(
                read(*span, revision=revision, limit=limit, keys_only=True)
            )
        keys = [kv.key for kv in page.kvs]
        entries: list[Entry] = []
        for run in self._runs(keys):
            entries += [
                Entry(key.session_id, key.position_ms, kv.value)
                for kv in await read_all(self._etcd, run, revision=revision)
                if (key := self._entry(kv.key)) is not None
            ]
        return EntryScan(revision, tuple(entries), keys[-1] if keys else b"", page.more)

    def _runs(self, keys: Iterable[bytes]) -> Iterator[Span]:
        """Yield the spans of entries that no other key interrupts."""
        for are_entries, group in groupby(keys, lambda key: self._entry(key) is not None):
            if are_entries:
                run = list(group)
                yield Span(run[0], run[-1] + b"\0")

    def _entry(self, key: bytes) -> EntryKey | None:
        try:
            found = self._keys.parse(key)
        except ValueError:
            return None  # none of ours: the doctor names it
        return found if isinstance(found, EntryKey) else None
