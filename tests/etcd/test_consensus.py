"""Which reads go through raft, and what they promise."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from services.store.etcd.client import EtcdClient
from services.store.etcd.transactions import exists, get, nested, put, read, transaction

Call = Callable[[EtcdClient, bytes], Awaitable[object]]


@pytest.mark.parametrize(
    ("entries", "call"),
    [
        pytest.param(1, lambda etcd, key: etcd.consensus_range(read(key)), id="consensus range"),
        pytest.param(
            1,
            lambda etcd, key: etcd.txn(
                transaction(success=[nested(transaction([exists(key)])), get(read(key))])
            ),
            id="nested compare",
        ),
        pytest.param(
            1, lambda etcd, key: etcd.txn(transaction(success=[put(key, b"")])), id="write"
        ),
        pytest.param(0, lambda etcd, key: etcd.range(read(key)), id="range"),
        pytest.param(0, lambda etcd, key: etcd.txn(transaction([exists(key)])), id="compare alone"),
        pytest.param(
            0, lambda etcd, key: etcd.txn(transaction(success=[get(read(key))])), id="plain get"
        ),
    ],
)
async def test_only_writes_and_nested_transactions_go_through_raft(
    client: EtcdClient, prefix: bytes, entries: int, call: Call
) -> None:
    """A nested transaction is one raft entry, like a write; plain reads and compares are none."""
    before = (await client.status()).raftIndex
    await call(client, prefix)
    assert (await client.status()).raftIndex - before == entries


async def test_a_consensus_read_leaves_the_revision_as_it_is(
    client: EtcdClient, prefix: bytes
) -> None:
    """Going through raft writes nothing that a watch or a revision would show."""
    revisions = {(await client.consensus_range(read(prefix))).revision for _ in range(5)}
    assert len(revisions) == 1


async def test_a_consensus_read_sees_all_its_keys_at_one_revision(
    client: EtcdClient, prefix: bytes
) -> None:
    """127 reads share one transaction and one revision."""
    written = await client.put(prefix + b"5", b"five")
    seen = await client.consensus_range(*(read(prefix + b"%d" % n) for n in range(127)))
    assert seen.revision == written.header.revision
    assert [n for n, answer in enumerate(seen.answers) if answer.count] == [5]
    first = (await client.consensus_range(read(prefix + b"5"))).first()
    assert first is not None
    assert first.value == b"five"
    assert (await client.consensus_range(read(prefix + b"6"))).first() is None
