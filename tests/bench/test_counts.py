"""What an append costs where it can be counted: a regression shows on any machine, however slow.

128 sessions are busy over four streams, one append of each under way, 2,048 in all.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from bench.product import Product
from bench.streams import carry, opened
from bench.system import running
from cluster.etcd_binary import EtcdBinary
from tests.bench.counting import counted

SESSIONS, STREAMS, EACH = 128, 4, 16
APPENDS = SESSIONS * EACH
HEARTBEAT = "/sessiond.v1.OwnershipService/Heartbeat"


@dataclass(frozen=True, slots=True)
class Counts:
    """What was counted from the first append to the last."""

    etcd: Counter[str]
    store: Counter[str]
    live: Counter[str]
    messages: int
    received: int


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def counts(
    etcd_binary: EtcdBinary, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Counts]:
    home = tmp_path_factory.mktemp("counts")
    async with running(home, etcd_binary, gateways=0) as system:
        product = Product(system, content_bytes=512)
        lanes = await product.lanes(SESSIONS, STREAMS)
        async with opened(product.road, lanes) as calls:
            readers = [Reading(call) for call in calls]
            parts = ("etcd-1", "store-1", "live-1")
            before = [await counted(system, part) for part in parts]
            async with asyncio.TaskGroup() as tasks:
                for reader, lane in zip(readers, lanes, strict=True):
                    going_on = carry(
                        reader,
                        lane,
                        lambda author, _: author.acknowledged < EACH,
                        lambda *_: None,
                    )
                    tasks.create_task(going_on)
            after = [await counted(system, part) for part in parts]
        await product.check(lanes)
    etcd, store, live = (now - then for now, then in zip(after, before, strict=True))
    yield Counts(
        etcd,
        store,
        live,
        messages=sum(reader.messages for reader in readers),
        received=sum(reader.received for reader in readers),
    )


class Reading:
    """A call that counts what it reads."""

    def __init__(self, call: object) -> None:
        self._call = call
        self.messages = 0
        self.received = 0
        self.write = call.write  # type: ignore[attr-defined]

    async def read(self) -> bytes:
        data: bytes = await self._call.read()  # type: ignore[attr-defined]
        self.messages += 1
        self.received += len(data)
        return data


def test_many_appends_share_a_transaction(counts: Counts) -> None:
    """At most 0.1 of etcd's transactions an append: a tenth of what it would be without batches.

    A heartbeat is a transaction too, one a second however long this takes: it does not count.
    """
    transactions = counts.etcd["grpc_server_handled_total{OK,Txn,etcdserverpb.KV,unary}"]
    heartbeats = counts.store[f"sessiond_grpc_calls_total{{OK,{HEARTBEAT}}}"]
    assert 0 < transactions - heartbeats <= 0.1 * APPENDS


def test_an_append_is_committed_once(counts: Counts) -> None:
    """One commit each, whatever was repeated because nobody knew."""
    assert APPENDS <= counts.store["sessiond_store_commits_total"] <= 1.05 * APPENDS


def test_an_append_writes_three_keys(counts: Counts) -> None:
    """A record, a head and an entry, and one more key for each transaction that they share."""
    assert 3 * APPENDS <= counts.etcd["etcd_mvcc_put_total"] <= 3.15 * APPENDS
    assert counts.etcd["etcd_mvcc_delete_total"] <= 1.05 * APPENDS


def test_what_an_append_sends_to_etcd_is_bounded(counts: Counts) -> None:
    """512 bytes of text became 1,940: the record, the head and what it was, the entry, and keys."""
    assert counts.etcd["etcd_network_client_grpc_received_bytes_total"] <= 2_150 * APPENDS


def test_no_append_is_a_call(counts: Counts) -> None:
    """Between Live and Store commits travel on one stream; only heartbeats are calls."""
    calls = counts.store["sessiond_grpc_calls_total"]
    heartbeats = counts.store[f"sessiond_grpc_calls_total{{OK,{HEARTBEAT}}}"]
    assert calls - heartbeats <= 0.01 * APPENDS
    assert counts.live["sessiond_grpc_calls_total"] <= 0.01 * APPENDS


def test_what_waits_for_a_client_travels_together(counts: Counts) -> None:
    """A message of Live holds what several appends gave: 0.05 messages an append were seen."""
    assert counts.messages <= 0.25 * APPENDS


def test_what_a_client_gets_for_an_append_is_bounded(counts: Counts) -> None:
    """512 bytes of text came back in 782: the event, and the reply."""
    assert 512 * APPENDS < counts.received <= 860 * APPENDS
