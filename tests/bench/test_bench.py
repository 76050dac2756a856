"""Every group on real parts: what it measures, beside what, and that it does not count lies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from bench.bench import Bench
from bench.groups import GROUPS
from bench.measuring import Timing
from bench.product import Lost, Product
from bench.rows import Row
from bench.streams import append_over
from bench.system import running
from cluster.etcd_binary import EtcdBinary
from tests.bench.tiny import TINY

STREAMS, BARE = "Live, streams", "bare pipeline"
BATCHES, PUTS = "etcd: nested batches", "etcd: put of the record"
EMPTY, ECHO = "gRPC: empty server", "gRPC: streams that echo"
RANGE, PAIR = "etcd: range", "gRPC: pass-through pair"
EACH, JOINED = "gRPC: bare fan-out, a message each", "gRPC: bare fan-out, joined"

Stands = Mapping[tuple[str, tuple[int | str, ...]], set[str]]

EXPECTED: Mapping[str, Stands] = {
    "appends": {
        (PUTS, (1,)): set(),
        (BATCHES, (1,)): set(),
        (BARE, (1, 1)): set(),
        (STREAMS, (1, 1)): {BARE, BATCHES, PUTS},
        (PUTS, (4,)): set(),
        (BATCHES, (4,)): set(),
        (BARE, (4, 4)): set(),
        (STREAMS, (4, 4)): {BARE, BATCHES, PUTS},
        (BARE, (4, 2)): set(),
        (STREAMS, (4, 2)): {BARE, BATCHES, PUTS},
        (EMPTY, (2,)): set(),
        ("Live, unary", (2,)): {EMPTY},
        ("gateway, REST", (2,)): {EMPTY},
        (ECHO, (2,)): set(),
    },
    "history": {
        (BARE, (4, 2)): set(),
        (STREAMS, (4, 2, 0)): {BARE},
        (STREAMS, (4, 2, 20)): {BARE, "history of 0"},
    },
    "loads": {
        (RANGE, (5,)): set(),
        (PAIR, (5,)): set(),
        ("Store, gRPC", (5,)): {PAIR, RANGE},
        ("gateway, REST", (5,)): {PAIR, RANGE},
    },
    "lists": {
        (what, size): beside
        for size in ((2, 4), (3, 3))
        for what, beside in (
            (RANGE, set[str]()),
            (PAIR, set[str]()),
            ("Store, gRPC", {PAIR, RANGE}),
            ("gateway, REST", {PAIR, RANGE}),
        )
    },
    "fan_out": {(EACH, (2,)): set(), (JOINED, (2,)): set(), (STREAMS, (2,)): {EACH, JOINED}},
    "tokens": {(JOINED, (2, 2, 50)): set(), (STREAMS, (2, 2, 50)): {JOINED}},
    "idle": {(STREAMS, (8, 4)): set()},
    "takeover": {
        ("Live, unary", (4, 0)): set(),
        ("Live, unary", (4, 5)): {"history of 0"},
    },
    "open_loop": {
        (BARE, (4, 2, "70% of its capacity")): set(),
        (STREAMS, (4, 2, "70% of its capacity")): {BARE},
    },
    "cluster": {
        (BATCHES, (4,)): set(),
        (BARE, (4, 4)): set(),
        (STREAMS, (4, 4)): {BARE, BATCHES},
        (BARE, (4, 2)): set(),
        (STREAMS, (4, 2)): {BARE, BATCHES},
    },
    "cost": {
        ("stored in etcd", (4, 5)): set(),
        ("Live, memory", (4, 5)): set(),
        ("Live, memory", (4, 1)): set(),
        (STREAMS, (4, 2)): set(),
    },
}


@pytest.mark.parametrize("group", GROUPS)
async def test_a_group_measures_what_it_promises(
    group: str, etcd_binary: EtcdBinary, tmp_path: Path
) -> None:
    """Each figure is there, with its floors beside it, and the run's data is removed."""
    bench = Bench(group, TINY, etcd_binary, tmp_path, cores=1, told=lambda _: None)

    rows = await GROUPS[group](bench)

    assert {_key(row): set(row.beside) for row in rows} == EXPECTED[group]
    for row in rows:
        assert row.group == group
        assert row.also or row.rate is not None
        if row.rate is not None and row.p50_ms is not None:
            assert row.p99_ms is not None
            assert 0 < row.p50_ms <= row.p99_ms
            assert 0 < row.rate.least <= row.rate.median
    assert not list(tmp_path.glob("*"))  # noqa: ASYNC240


async def test_an_append_that_was_acknowledged_and_is_not_stored_fails_the_run(
    etcd_binary: EtcdBinary, tmp_path: Path
) -> None:
    """Only what is durable counts: the sessions are compared with what was acknowledged."""
    async with running(tmp_path, etcd_binary, gateways=0) as system:
        product = Product(system, content_bytes=64)
        lanes = await product.lanes(2, 1)
        await append_over(product.road, lanes, Timing(0.0, 0.1, dict))
        await product.check(lanes)
        lanes[0].authors[0].acknowledged += 1
        with pytest.raises(ExceptionGroup) as raised:
            await product.check(lanes)
        assert raised.group_contains(Lost)


def _key(row: Row) -> tuple[str, tuple[int | str, ...]]:
    return row.what, tuple(row.parameters.values())
