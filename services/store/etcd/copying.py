"""Copies: a session that stands piece by piece behind a head which nobody else takes for one.

    absent --begin--> building --write--> building ... --finish--> a session
                          \\--drop--> absent

Each write compares the head, as every write of a session does, and is flat, so that etcd counts it
against its space quota.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from services.store.answers import Existing, RevisionCompacted
from services.store.etcd.client import EtcdClient
from services.store.etcd.commit import UNSTORABLE, owned
from services.store.etcd.errors import EtcdError
from services.store.etcd.etcd_pb2 import ResponseOp, TxnResponse
from services.store.etcd.reads import ConsensusReads, read_all
from services.store.etcd.settling import settle
from services.store.etcd.transactions import (
    Operation,
    Transaction,
    absent,
    delete,
    get_key,
    put,
    read,
    transaction,
)
from services.store.keys import Keys
from services.store.writes import Committed, CopyEnd, CopyPiece, Refused
from sessiond.errors import OutcomeUnknown, SessionFull, Unavailable

# Who is compacted away from so often in one read is not merely unlucky.
_TRIES: Final = 3


class Copies:
    """Writes copies."""

    def __init__(
        self, etcd: EtcdClient, reads: ConsensusReads, keys: Keys, *, settle_seconds: float
    ) -> None:
        self._etcd = etcd
        self._reads = reads
        self._keys = keys
        self._settle_seconds = settle_seconds

    async def all(self, user_id: str) -> tuple[str, ...]:
        """Read which copies a user makes, at a revision that consensus gives."""
        span = self._keys.copies(user_id)
        for _ in range(_TRIES):
            revision, _answers = await self._reads.read(read(*span, limit=1, keys_only=True))
            try:
                found = await read_all(self._etcd, span, revision=revision)
            except RevisionCompacted:
                continue
            return tuple(self._keys.copy_in(span, kv.key) for kv in found)
        raise Unavailable

    async def begin(self, session_id: str, head: bytes, *, maker_id: str) -> Committed | Existing:
        """Put a copy's head where none stands."""
        at, first = self._keys.head(session_id), self._keys.event(session_id, 1)
        writes = [put(at, head), put(self._keys.copy(maker_id, session_id), b"")]
        request = transaction([absent(at)], writes, [get_key(at), get_key(first)])
        done = await self._settle(request)
        if done.succeeded:
            return Committed()
        standing, record = map(_value, done.responses)
        return Committed() if standing == head else Existing(standing, record)

    async def write(self, piece: CopyPiece) -> Committed | Refused:
        """Store a piece, and the head with it."""
        keys, session_id = self._keys, piece.session_id
        writes = [
            put(keys.event(session_id, seq), record)
            for seq, record in enumerate(piece.records, piece.first_seq)
        ]
        return await self._write(session_id, piece.expected_head, piece.head, writes)

    async def finish(self, end: CopyEnd) -> Committed | Refused:
        """Put the final head, the tables, and the places in lists."""
        keys, session_id = self._keys, end.session_id
        writes = [
            put(keys.entry(end.user_id, end.position_ms, session_id), end.entry),
            delete(keys.copy(end.maker_id, session_id)),
        ]
        if end.outputs:
            writes.append(put(keys.outputs(session_id), end.outputs))
        if end.members:
            writes.append(put(keys.members(session_id), end.members))
        writes += [put(keys.shared(user_id, session_id), b"") for user_id in end.shared_with]
        if end.awaited_agent:
            writes.append(put(keys.awaited(end.awaited_agent, session_id), end.entry))
        try:
            return await self._write(session_id, end.expected_head, end.head, writes)
        except Unavailable as error:
            raise OutcomeUnknown from error

    async def drop(self, session_id: str, head: bytes, *, maker_id: str) -> Committed | Refused:
        """Remove a copy's head and records."""
        at, copy = self._keys.head(session_id), self._keys.copy(maker_id, session_id)
        writes = [delete(*self._keys.children(session_id)), delete(at), delete(copy)]
        done = await self._settle(owned(at, head, writes))
        if done.succeeded:
            return Committed()
        standing = _value(done.responses[0])
        return Refused(standing, registered=True) if standing else Committed()

    async def _write(
        self, session_id: str, expected: bytes, head: bytes, writes: Iterable[Operation]
    ) -> Committed | Refused:
        at = self._keys.head(session_id)
        done = await self._settle(owned(at, expected, [*writes, put(at, head)]))
        if done.succeeded:
            return Committed()
        standing = _value(done.responses[0])
        # An earlier try may have been applied, and its answer lost.
        return Committed() if standing == head else Refused(standing, registered=True)

    async def _settle(self, request: Transaction) -> TxnResponse:
        try:
            return await settle(self._etcd, request, seconds=self._settle_seconds)
        except UNSTORABLE as error:
            raise SessionFull from error
        except EtcdError as error:
            raise Unavailable from error


def _value(response: ResponseOp) -> bytes:
    found = response.response_range.kvs
    return found[0].value if found else b""
