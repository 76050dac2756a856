"""Reads, writes and transactions against a real etcd."""

from __future__ import annotations

import pytest

from services.store.etcd import transactions
from services.store.etcd.client import EtcdClient
from services.store.etcd.etcd_pb2 import (
    Compare,
    DeleteRangeRequest,
    PutRequest,
    RangeRequest,
    RequestOp,
    TxnRequest,
)
from services.store.etcd.transactions import (
    absent,
    created_at,
    delete,
    exists,
    get,
    get_key,
    modified_at,
    nested,
    prefix_end,
    put,
    read,
    transaction,
    value_is,
    version_is,
)


async def test_a_range_gives_the_keys_of_a_prefix_in_order(
    client: EtcdClient, prefix: bytes
) -> None:
    """A range holds every key from `key` to before `range_end`, and no other."""
    for name in (b"b", b"a", b"c"):
        await client.put(prefix + name, name)
    answer = await client.range(read(prefix, prefix_end(prefix)))
    assert [kv.value for kv in answer.kvs] == [b"a", b"b", b"c"]
    assert answer.count == 3


async def test_limit_order_and_projection_travel(client: EtcdClient, prefix: bytes) -> None:
    """Each option of a read does what it says on the server."""
    for name in (b"a", b"b", b"c"):
        await client.put(prefix + name, name)
    end = prefix_end(prefix)
    first = await client.range(read(prefix, end, limit=2))
    assert [kv.value for kv in first.kvs] == [b"a", b"b"]
    assert first.more
    last = await client.range(read(prefix, end, limit=1, descending=True))
    assert [kv.value for kv in last.kvs] == [b"c"]
    keys = await client.range(read(prefix, end, keys_only=True))
    assert [(kv.key, kv.value) for kv in keys.kvs] == [
        (prefix + n, b"") for n in (b"a", b"b", b"c")
    ]
    count = await client.range(read(prefix, end, count_only=True))
    assert (count.count, len(count.kvs)) == (3, 0)


async def test_a_revision_reads_the_past(client: EtcdClient, prefix: bytes) -> None:
    """A read at a revision gives what was there then."""
    before = await client.put(prefix, b"old")
    await client.put(prefix, b"new")
    answer = await client.range(read(prefix, revision=before.header.revision))
    assert answer.kvs[0].value == b"old"


async def test_a_delete_says_how_many_keys_went(client: EtcdClient, prefix: bytes) -> None:
    """A range is deleted at once; what is absent is no failure."""
    await client.put(prefix + b"a", b"")
    await client.put(prefix + b"b", b"")
    assert (await client.delete(prefix, prefix_end(prefix))).deleted == 2
    assert (await client.delete(prefix, prefix_end(prefix))).deleted == 0


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (b"a", b"b"),
        (b"a\xff", b"b"),
        (b"session:", b"session;"),
        (b"\xff\xff", b"\0"),
        (b"", b"\0"),
    ],
)
def test_the_end_of_a_prefix_comes_after_all_its_keys(start: bytes, end: bytes) -> None:
    """The end of a prefix is the first key after all that begin with it, or the end of all."""
    assert prefix_end(start) == end


def test_a_transaction_is_what_etcds_messages_say() -> None:
    """Joined from encoded parts, it is the message that is built field by field."""
    value = b"v" * 200  # its length takes two bytes, and that of what holds it three
    large = b"v" * 2**14
    inner = transaction(
        [value_is(b"a", value), exists(b"b"), absent(b"c", b"d"), version_is(b"e", 2)],
        [put(b"a", large), put(b"b", b"", lease=7), delete(b"c"), delete(b"d", b"e")],
        [get_key(b"a"), get(read(b"b", keys_only=True))],
    )
    assert TxnRequest.FromString(transaction(success=[nested(inner), put(b"f", b"")])) == _of(
        _nested(
            TxnRequest(
                compare=[
                    Compare(target=Compare.VALUE, key=b"a", value=value),
                    Compare(
                        target=Compare.CREATE, result=Compare.GREATER, key=b"b", create_revision=0
                    ),
                    Compare(target=Compare.CREATE, key=b"c", create_revision=0, range_end=b"d"),
                    Compare(target=Compare.VERSION, key=b"e", version=2),
                ],
                success=[
                    RequestOp(request_put=PutRequest(key=b"a", value=large)),
                    RequestOp(request_put=PutRequest(key=b"b", lease=7)),
                    RequestOp(request_delete_range=DeleteRangeRequest(key=b"c")),
                    RequestOp(request_delete_range=DeleteRangeRequest(key=b"d", range_end=b"e")),
                ],
                failure=[
                    RequestOp(request_range=RangeRequest(key=b"a")),
                    RequestOp(request_range=RangeRequest(key=b"b", keys_only=True)),
                ],
            )
        ),
        RequestOp(request_put=PutRequest(key=b"f")),
    )


def _nested(request: TxnRequest) -> RequestOp:
    return RequestOp(request_txn=request)


def _of(*operations: RequestOp) -> TxnRequest:
    return TxnRequest(success=operations)


async def test_compares_hold_as_they_say(client: EtcdClient, prefix: bytes) -> None:
    """Every compare holds and fails where its sentence says so."""
    key, none = prefix + b"key", prefix + b"none"
    made = (await client.put(key, b"1")).header.revision
    last = (await client.put(key, b"2")).header.revision

    async def holds(compare: transactions.Compare) -> bool:
        return (await client.txn(transaction([compare]))).succeeded

    for compare in (
        *(value_is(key, b"2"), exists(key), created_at(key, made), modified_at(key, last)),
        *(version_is(key, 2), absent(none), version_is(none, 0)),
    ):
        assert await holds(compare), compare
    for compare in (
        *(value_is(key, b"1"), value_is(none, b""), exists(none), created_at(key, last)),
        *(modified_at(key, made), version_is(key, 1), absent(key)),
    ):
        assert not await holds(compare), compare


async def test_a_failed_compare_does_the_other_list(client: EtcdClient, prefix: bytes) -> None:
    """The failure list is done, and its answers come back, where a compare does not hold."""
    await client.put(prefix, b"held")
    done = await client.txn(
        transaction([absent(prefix)], [put(prefix, b"new")], [get(read(prefix))])
    )
    assert not done.succeeded
    assert done.responses[0].response_range.kvs[0].value == b"held"


async def test_a_stale_nested_transaction_fails_alone(client: EtcdClient, prefix: bytes) -> None:
    """Nested transactions decide for themselves, beside a flat put and a delete."""
    await client.put(prefix + b"stale", b"theirs")
    await client.put(prefix + b"gone", b"")
    done = await client.txn(
        transaction(
            success=[
                nested(transaction([absent(prefix + b"a")], [put(prefix + b"a", b"mine")])),
                nested(transaction([absent(prefix + b"stale")], [put(prefix + b"stale", b"mine")])),
                put(prefix + b"flat", b"mine"),
                delete(prefix + b"gone"),
            ]
        )
    )
    assert done.succeeded
    assert [done.responses[n].response_txn.succeeded for n in (0, 1)] == [True, False]
    found = await client.range(read(prefix, prefix_end(prefix)))
    assert {kv.key[len(prefix) :]: kv.value for kv in found.kvs} == {
        b"a": b"mine",
        b"stale": b"theirs",
        b"flat": b"mine",
    }
    assert {kv.mod_revision for kv in found.kvs if kv.value == b"mine"} == {done.header.revision}
