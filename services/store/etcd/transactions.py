"""The parts that transactions are made of: ranges, compares, operations, nesting.

Plain functions over etcd's own messages, so that what is sent is what was built.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from services.store.etcd.etcd_pb2 import (
    Compare,
    DeleteRangeRequest,
    KeyValue,
    PutRequest,
    RangeRequest,
    RangeResponse,
    RequestOp,
    TxnRequest,
    TxnResponse,
)


def prefix_end(prefix: bytes) -> bytes:
    """Return the end of the range of all keys that begin with `prefix`.

    It is the zero byte, etcd's word for "to the end of all keys", where no key comes after them.
    """
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes((stem[-1] + 1,)) if stem else b"\0"


def read(
    key: bytes,
    range_end: bytes = b"",
    *,
    revision: int = 0,
    limit: int = 0,
    keys_only: bool = False,
    count_only: bool = False,
    descending: bool = False,
) -> RangeRequest:
    """Return a read of one key, or of `key` to before `range_end`, in key order.

    `revision` 0 is the newest, `limit` 0 is none. Descending, etcd reads the whole range before
    it cuts at the limit.
    """
    request = RangeRequest(
        key=key,
        range_end=range_end,
        revision=revision,
        limit=limit,
        keys_only=keys_only,
        count_only=count_only,
    )
    if descending:
        request.sort_order = RangeRequest.DESCEND
    return request


def value_is(key: bytes, value: bytes) -> Compare:
    """Hold where the key's value is exactly this; an absent key never holds."""
    return Compare(target=Compare.VALUE, key=key, value=value)


def absent(key: bytes) -> Compare:
    """Hold where there is no such key."""
    return Compare(target=Compare.CREATE, key=key, create_revision=0)


def exists(key: bytes) -> Compare:
    """Hold where there is such a key."""
    return Compare(target=Compare.CREATE, result=Compare.GREATER, key=key, create_revision=0)


def created_at(key: bytes, revision: int) -> Compare:
    """Hold where the key was made at this revision; overwriting does not change that."""
    return Compare(target=Compare.CREATE, key=key, create_revision=revision)


def modified_at(key: bytes, revision: int) -> Compare:
    """Hold where the key was last written at this revision."""
    return Compare(target=Compare.MOD, key=key, mod_revision=revision)


def version_is(key: bytes, version: int) -> Compare:
    """Hold where the key was written this often since it was made; 0 where it is absent."""
    return Compare(target=Compare.VERSION, key=key, version=version)


def put(key: bytes, value: bytes, lease: int = 0) -> RequestOp:
    """Write one key; `lease` 0 is none."""
    return RequestOp(request_put=PutRequest(key=key, value=value, lease=lease))


def delete(key: bytes, range_end: bytes = b"") -> RequestOp:
    """Delete one key, or `key` to before `range_end`."""
    return RequestOp(request_delete_range=DeleteRangeRequest(key=key, range_end=range_end))


def get(request: RangeRequest) -> RequestOp:
    """Read within a transaction: what the operations before it left."""
    return RequestOp(request_range=request)


def nested(request: TxnRequest) -> RequestOp:
    """Hold one transaction inside another; it compares, succeeds or fails alone."""
    return RequestOp(request_txn=request)


def transaction(
    compare: Iterable[Compare] = (),
    success: Iterable[RequestOp] = (),
    failure: Iterable[RequestOp] = (),
) -> TxnRequest:
    """Do `success` if all of `compare` hold in the state before the transaction, else `failure`."""
    return TxnRequest(compare=compare, success=success, failure=failure)


class ConsensusRead(NamedTuple):
    """What a consensus read saw.

    Attributes:
        revision: the revision at which all of it was read.
        answers: one per request, in their order.
    """

    revision: int
    answers: list[RangeResponse]

    def first(self) -> KeyValue | None:
        """Return the first key of the first answer, or None where it has none."""
        kvs = self.answers[0].kvs
        return kvs[0] if kvs else None


def consensus(requests: Iterable[RangeRequest]) -> TxnRequest:
    """Return a transaction that carries at most 127 reads through raft.

    etcd answers a transaction of plain reads from the member's own state, after asking the
    leader; servers of the field have answered that stale after a pause, and one of compares alone
    they answer without asking anybody. A nested transaction is not looked into: it is proposed
    like a write, and only a quorum can answer it.
    """
    return TxnRequest(success=[nested(TxnRequest(success=[get(request) for request in requests]))])


def consensus_read(response: TxnResponse) -> ConsensusRead:
    """Return what the answer to a `consensus` transaction holds."""
    inner = response.responses[0].response_txn
    return ConsensusRead(
        response.header.revision, [answer.response_range for answer in inner.responses]
    )
