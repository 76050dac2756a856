"""Commits: one compared transaction for each session, many of them in one of etcd's.

    a batch of one                     a batch of many

    if   head = expected, live:{me}    nested(if ... then ... else ...)    for each commit
    then put ...                       put batch
    else get head, live:{me}

A nested transaction compares, and fails, alone. The flat put beside them rewrites one key that
holds nothing: etcd counts a transaction against its space quota only where it sees a put, and it
does not look into nested ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Final

from services.store.etcd.client import EtcdClient
from services.store.etcd.errors import (
    Ambiguous,
    DuplicateKey,
    EtcdError,
    InvalidRequest,
    TooLarge,
    TooManyOperations,
)
from services.store.etcd.etcd_pb2 import TxnResponse
from services.store.etcd.patience import Patience
from services.store.etcd.registrations import Registrations
from services.store.etcd.transactions import (
    Compare,
    Operation,
    Transaction,
    delete,
    exists,
    get,
    get_key,
    joined,
    nested,
    put,
    read,
    transaction,
    value_is,
)
from services.store.keys import Keys
from services.store.writes import (
    BatchRefused,
    Commit,
    Committed,
    Outcome,
    Refused,
    Unknown,
    Unstorable,
)
from sessiond.errors import Unavailable

_FENCES: Final = 64

UNSTORABLE = (TooLarge, TooManyOperations, DuplicateKey, InvalidRequest)
"""What etcd says of a transaction that it would never take."""


class Commits:
    """Sends batches of commits."""

    def __init__(self, etcd: EtcdClient, keys: Keys, registrations: Registrations) -> None:
        self._etcd = etcd
        self._keys = keys
        self._registrations = registrations
        self._fence = lru_cache(maxsize=_FENCES)(partial(fence_of, keys))
        self._patience = Patience()

    async def commit(self, batch: Sequence[Commit]) -> list[Outcome]:
        """Send a batch, once."""
        outcomes: list[Outcome] = [Unknown()] * len(batch)
        try:
            accepting = await self._registrations.accepting(
                {commit.successor for commit in batch if commit.successor}
            )
        except Unavailable:
            return outcomes
        parts: dict[int, Transaction] = {}
        for place, commit in enumerate(batch):
            try:
                parts[place] = self._transaction(commit, accepting)
            except ValueError:  # some key or value cannot be written at all
                outcomes[place] = Unstorable()
        if not parts:
            return outcomes
        try:
            answers = await self._send(list(parts.values()))
        except UNSTORABLE as error:
            if len(parts) > 1:
                raise BatchRefused from error
            answers = None
        except EtcdError:
            return outcomes
        for number, place in enumerate(parts):
            outcomes[place] = outcome(answers[number]) if answers else Unstorable()
        return outcomes

    async def _send(self, parts: Sequence[Transaction]) -> list[TxnResponse]:
        if len(parts) == 1:
            return [await self._write(parts[0])]
        flat = put(self._keys.batch, b"")
        done = await self._write(transaction(success=[*map(nested, parts), flat]))
        return [answer.response_txn for answer in done.responses[:-1]]

    async def _write(self, request: Transaction) -> TxnResponse:
        clock, patience = asyncio.get_running_loop().time, self._patience
        began, within = clock(), patience.seconds
        try:
            answer = await self._etcd.txn(request, within=within)
        except Ambiguous:
            if clock() - began >= within:
                patience.lost()
            raise
        patience.answered(clock() - began)
        return answer

    def _transaction(self, commit: Commit, accepting: Mapping[bytes, Compare]) -> Transaction:
        if not commit.coherent:
            raise ValueError("a commit whose parts do not go together")
        head = self._keys.head(commit.session_id)
        own = owned(head, commit.expected_head, _writes(self._keys, head, commit))
        fence = self._fence(commit.instance)
        if commit.successor:
            return joined(own, fence, transaction([accepting[commit.successor]]))
        return joined(own, fence)


def owned(head: bytes, expected: bytes, writes: Iterable[Operation]) -> Transaction:
    """Write if the head is the very bytes that are expected, else show it; goes with a fence."""
    return transaction([value_is(head, expected)], writes, [get_key(head)])


def fence_of(keys: Keys, instance: bytes) -> Transaction:
    """Return what every write of an instance is joined with: that it is registered, else show that.

    Raises:
        ValueError: it has no id.
    """
    live = keys.live(instance)
    return transaction([exists(live)], failure=[get(read(live, keys_only=True))])


def outcome(answer: TxnResponse) -> Committed | Refused:
    """Return what became of an `owned` write behind its fence."""
    if answer.succeeded:
        return Committed()
    head, live = (each.response_range.kvs for each in answer.responses)
    return Refused(head[0].value if head else b"", registered=bool(live))


def _writes(keys: Keys, head: bytes, commit: Commit) -> list[Operation]:
    session_id, index, awaited = commit.session_id, commit.index, commit.awaited
    writes = [
        put(keys.draft(session_id, draft.turn_id, draft.number), draft.value)
        for draft in commit.drafts
    ]
    if not commit.head:
        return writes
    if commit.ended_turn:
        writes.append(delete(*keys.drafts(session_id, commit.ended_turn)))
    for seq, record in enumerate(commit.records, commit.first_seq):
        writes.append(put(keys.event(session_id, seq), record))
    writes.append(put(head, commit.head))
    if commit.outputs is not None:
        writes.append(put(keys.outputs(session_id), commit.outputs))
    if commit.members is not None:
        writes.append(put(keys.members(session_id), commit.members))
    for each in commit.shared:
        pointer = keys.shared(each.user_id, session_id)
        writes.append(put(pointer, b"") if each.shared else delete(pointer))
    if index is not None:
        user_id, position_ms = index.user_id, index.position_ms
        before = index.previous_user_id or user_id, index.previous_position_ms
        if before != (user_id, position_ms):
            writes.append(delete(keys.entry(*before, session_id)))
        writes.append(put(keys.entry(user_id, position_ms, session_id), index.entry))
    if awaited is not None and awaited.agent != awaited.previous_agent:
        if awaited.previous_agent:
            writes.append(delete(keys.awaited(awaited.previous_agent, session_id)))
        if awaited.agent and index is not None:
            writes.append(put(keys.awaited(awaited.agent, session_id), index.entry))
    return writes
