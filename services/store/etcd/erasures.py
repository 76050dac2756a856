"""Erasures of users: what is asked for, what is left of a user, and the receipt."""

from __future__ import annotations

from typing import Final

from services.store.answers import Entry, Remains, RevisionCompacted
from services.store.etcd.client import EtcdClient
from services.store.etcd.errors import EtcdError
from services.store.etcd.reads import ConsensusReads, read_all
from services.store.etcd.settling import settle
from services.store.etcd.transactions import (
    Compare,
    Operation,
    absent,
    delete,
    get,
    put,
    read,
    transaction,
    unwritten_since,
    value_is,
)
from services.store.keys import ErasureKey, Keys
from sessiond.errors import OutcomeUnknown, Unavailable

# Who is compacted away from so often in one read is not merely unlucky.
_TRIES: Final = 3


class Erasures:
    """Keeps erasures."""

    def __init__(
        self, etcd: EtcdClient, reads: ConsensusReads, keys: Keys, *, settle_seconds: float
    ) -> None:
        self._etcd = etcd
        self._reads = reads
        self._keys = keys
        self._settle_seconds = settle_seconds

    async def get(self, user_id: str) -> bytes | None:
        """Read a user's erasure, through consensus."""
        found = (await self._reads.read(read(self._keys.erasure(user_id)))).first()
        return None if found is None else found.value

    async def all(self) -> tuple[tuple[str, bytes], ...]:
        """Read all erasures at one revision."""
        for _ in range(_TRIES):
            span = self._keys.erasures
            revision, _answers = await self._reads.read(read(*span, limit=1, keys_only=True))
            try:
                found = await read_all(self._etcd, span, revision=revision)
            except RevisionCompacted:
                continue
            return tuple((self._user_of(kv.key), kv.value) for kv in found)
        raise Unavailable

    async def ask(self, user_id: str, erasure: bytes, *, expected: bytes | None) -> bytes:
        """Store an erasure where the expected one stands, and return what stands."""
        key = self._keys.erasure(user_id)
        stands = absent(key) if expected is None else value_is(key, expected)
        found = await self._settled([stands], [put(key, erasure)], key)
        return erasure if found is None else found

    async def remains(self, user_id: str) -> Remains:
        """Read what names a user, at a revision that consensus gives."""
        keys = self._keys
        entries, shares = keys.entries(user_id), keys.shared_with(user_id)
        copies = keys.copies(user_id)
        for _ in range(_TRIES):
            revision, (templates,) = await self._reads.read(
                read(*keys.templates(user_id), count_only=True)
            )
            try:
                own = await read_all(self._etcd, entries, revision=revision)
                shared = await read_all(self._etcd, shares, revision=revision)
                begun = await read_all(self._etcd, copies, revision=revision)
            except RevisionCompacted:
                continue
            return Remains(
                revision,
                tuple(self._entry(user_id, kv.key, kv.value) for kv in own),
                tuple(keys.shared_in(shares, kv.key) for kv in shared),
                templates.count,
                tuple(keys.copy_in(copies, kv.key) for kv in begun),
            )
        raise Unavailable

    async def complete(
        self, user_id: str, receipt: bytes, *, expected: bytes, revision: int
    ) -> bool:
        """Write the receipt, and remove the rest, where nothing changed meanwhile."""
        keys, key = self._keys, self._keys.erasure(user_id)
        left = (keys.shared_with(user_id), keys.templates(user_id), keys.copies(user_id))
        compares = [value_is(key, expected), unwritten_since(*keys.entries(user_id), revision)]
        compares += [unwritten_since(*span, revision) for span in left]
        writes = [put(key, receipt), *(delete(*span) for span in left)]
        found = await self._settled(compares, writes, key)
        return found is None or found == receipt

    async def _settled(
        self, compares: list[Compare], writes: list[Operation], key: bytes
    ) -> bytes | None:
        """Write until it is settled; None where that was done now, else what stands at the key."""
        request = transaction(compares, writes, [get(read(key))])
        try:
            done = await settle(self._etcd, request, seconds=self._settle_seconds)
        except EtcdError as error:
            raise OutcomeUnknown from error
        if done.succeeded:
            return None
        kvs = done.responses[0].response_range.kvs
        return kvs[0].value if kvs else b""

    def _entry(self, user_id: str, key: bytes, value: bytes) -> Entry:
        position_ms, session_id = self._keys.place_in(self._keys.entries(user_id), key)
        return Entry(session_id, position_ms, value)

    def _user_of(self, key: bytes) -> str:
        found = self._keys.parse(key)
        assert isinstance(found, ErasureKey)  # the span holds no other keys of ours
        return found.user_id
