"""Copies: a session that stands piece by piece behind a head which nobody else takes for one.

    absent --begin--> building --write--> building ... --finish--> a session
                          \\--drop--> absent

Each write compares the head, as every write of a session does, and is flat, so that etcd counts it
against its space quota.
"""

from __future__ import annotations

from collections.abc import Iterable

from services.store.etcd.client import EtcdClient
from services.store.etcd.commit import UNSTORABLE, owned
from services.store.etcd.errors import EtcdError
from services.store.etcd.etcd_pb2 import ResponseOp, TxnResponse
from services.store.etcd.settling import settle
from services.store.etcd.transactions import (
    Operation,
    Transaction,
    absent,
    delete,
    get_key,
    put,
    transaction,
)
from services.store.keys import Keys
from services.store.repository import Committed, CopyEnd, CopyPiece, Existing, Refused
from sessiond.errors import OutcomeUnknown, SessionFull, Unavailable


class Copies:
    """Writes copies."""

    def __init__(self, etcd: EtcdClient, keys: Keys, *, settle_seconds: float) -> None:
        self._etcd = etcd
        self._keys = keys
        self._settle_seconds = settle_seconds

    async def begin(self, session_id: str, head: bytes) -> Committed | Existing:
        """Put a copy's head where none stands."""
        at, first = self._keys.head(session_id), self._keys.event(session_id, 1)
        request = transaction([absent(at)], [put(at, head)], [get_key(at), get_key(first)])
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
        writes = [put(keys.entry(end.user_id, end.position_ms, session_id), end.entry)]
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

    async def drop(self, session_id: str, head: bytes) -> Committed | Refused:
        """Remove a copy's head and records."""
        at = self._keys.head(session_id)
        writes = [delete(*self._keys.children(session_id)), delete(at)]
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
