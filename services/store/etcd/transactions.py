"""The parts that transactions are made of: ranges, compares, operations, nesting.

Compares, operations and transactions are built as they travel: encoded when they are made, and
joined as bytes where one holds others. A record of a batch stands four messages deep, and messages
within messages would be copied, and walked through, at each level.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, NewType

from services.store.etcd import etcd_pb2 as pb
from services.store.etcd.etcd_pb2 import KeyValue, RangeRequest, RangeResponse, TxnResponse
from sessiond.encoding import as_field, field_tag

TXN = "/etcdserverpb.KV/Txn"
"""The method that takes a transaction. Its stub serializes a message; ours are encoded already."""

Compare = NewType("Compare", bytes)
"""An encoded message of that name."""

Operation = NewType("Operation", bytes)
"""An encoded `RequestOp`."""

Transaction = NewType("Transaction", bytes)
"""An encoded `TxnRequest`."""

_VALUE_IS = pb.Compare(target=pb.Compare.VALUE).SerializeToString()
_COMPARED_KEY = field_tag(pb.Compare.KEY_FIELD_NUMBER)
_COMPARED_VALUE = field_tag(pb.Compare.VALUE_FIELD_NUMBER)
_PUT_KEY = field_tag(pb.PutRequest.KEY_FIELD_NUMBER)
_PUT_VALUE = field_tag(pb.PutRequest.VALUE_FIELD_NUMBER)
_RANGE_KEY = field_tag(pb.RangeRequest.KEY_FIELD_NUMBER)
_RANGE = field_tag(pb.RequestOp.REQUEST_RANGE_FIELD_NUMBER)
_PUT = field_tag(pb.RequestOp.REQUEST_PUT_FIELD_NUMBER)
_DELETE = field_tag(pb.RequestOp.REQUEST_DELETE_RANGE_FIELD_NUMBER)
_NESTED = field_tag(pb.RequestOp.REQUEST_TXN_FIELD_NUMBER)
_COMPARE = field_tag(pb.TxnRequest.COMPARE_FIELD_NUMBER)
_SUCCESS = field_tag(pb.TxnRequest.SUCCESS_FIELD_NUMBER)
_FAILURE = field_tag(pb.TxnRequest.FAILURE_FIELD_NUMBER)


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
    return Compare(_VALUE_IS + as_field(_COMPARED_KEY, key) + as_field(_COMPARED_VALUE, value))


def absent(key: bytes, range_end: bytes = b"") -> Compare:
    """Hold where there is no such key, or none from `key` to before `range_end`."""
    return _compare(
        pb.Compare(target=pb.Compare.CREATE, key=key, create_revision=0, range_end=range_end)
    )


def exists(key: bytes) -> Compare:
    """Hold where there is such a key."""
    return _compare(
        pb.Compare(target=pb.Compare.CREATE, result=pb.Compare.GREATER, key=key, create_revision=0)
    )


def created_at(key: bytes, revision: int) -> Compare:
    """Hold where the key was made at this revision; overwriting does not change that."""
    return _compare(pb.Compare(target=pb.Compare.CREATE, key=key, create_revision=revision))


def modified_at(key: bytes, revision: int) -> Compare:
    """Hold where the key was last written at this revision."""
    return _compare(pb.Compare(target=pb.Compare.MOD, key=key, mod_revision=revision))


def unwritten_since(span_start: bytes, span_end: bytes, revision: int) -> Compare:
    """Hold where no key from `span_start` to before `span_end` was written after a revision."""
    return _compare(
        pb.Compare(
            target=pb.Compare.MOD,
            result=pb.Compare.LESS,
            key=span_start,
            range_end=span_end,
            mod_revision=revision + 1,
        )
    )


def version_is(key: bytes, version: int) -> Compare:
    """Hold where the key was written this often since it was made; 0 where it is absent."""
    return _compare(pb.Compare(target=pb.Compare.VERSION, key=key, version=version))


def put(key: bytes, value: bytes, lease: int = 0) -> Operation:
    """Write one key; `lease` 0 is none."""
    request = as_field(_PUT_KEY, key) + as_field(_PUT_VALUE, value)
    if lease:
        request += pb.PutRequest(lease=lease).SerializeToString()
    return Operation(as_field(_PUT, request))


def delete(key: bytes, range_end: bytes = b"") -> Operation:
    """Delete one key, or `key` to before `range_end`."""
    request = pb.DeleteRangeRequest(key=key, range_end=range_end)
    return Operation(as_field(_DELETE, request.SerializeToString()))


def get(request: RangeRequest) -> Operation:
    """Read within a transaction: what the operations before it left."""
    return Operation(as_field(_RANGE, request.SerializeToString()))


def get_key(key: bytes) -> Operation:
    """Read one key within a transaction, as `get(read(key))` does, in a fraction of its time."""
    return Operation(as_field(_RANGE, as_field(_RANGE_KEY, key)))


def nested(part: Transaction) -> Operation:
    """Hold one transaction inside another; it compares, succeeds or fails alone."""
    return Operation(as_field(_NESTED, part))


def transaction(
    compare: Iterable[Compare] = (),
    success: Iterable[Operation] = (),
    failure: Iterable[Operation] = (),
) -> Transaction:
    """Do `success` if all of `compare` hold in the state before the transaction, else `failure`."""
    fields = [as_field(_COMPARE, each) for each in compare]
    fields += [as_field(_SUCCESS, each) for each in success]
    fields += [as_field(_FAILURE, each) for each in failure]
    return Transaction(b"".join(fields))


def joined(*parts: Transaction) -> Transaction:
    """Return the transaction that compares and does all that these do, in their order."""
    return Transaction(b"".join(parts))


def _compare(compare: pb.Compare) -> Compare:
    return Compare(compare.SerializeToString())


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


def consensus(requests: Iterable[RangeRequest]) -> Transaction:
    """Return a transaction that carries at most 127 reads through raft.

    etcd answers a transaction of plain reads from the member's own state, after asking the
    leader; servers of the field have answered that stale after a pause, and one of compares alone
    they answer without asking anybody. A nested transaction is not looked into: it is proposed
    like a write, and only a quorum can answer it.
    """
    return transaction(success=[nested(transaction(success=map(get, requests)))])


def consensus_read(response: TxnResponse) -> ConsensusRead:
    """Return what the answer to a `consensus` transaction holds."""
    inner = response.responses[0].response_txn
    return ConsensusRead(
        response.header.revision, [answer.response_range for answer in inner.responses]
    )
