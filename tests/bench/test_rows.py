"""From samples to figures."""

from __future__ import annotations

import asyncio
import time

import pytest

from bench.measuring import Sample, Timing, Window, drive
from bench.rows import Spread, percentile, rows_of
from tests.bench.documents import case, samples


def test_ratios_are_taken_inside_each_repeat() -> None:
    """A machine that slows down halfway slows both sides of a ratio."""
    floor = case("bare", floor=True)
    ours = case("Live", beside={"bare": floor})

    bare, row = rows_of("appends", {floor: samples(100, 50, 40), ours: samples(50, 25, 20)})

    assert row.beside["bare"].rate == Spread(0.5, 0.5, 0.5)
    assert row.beside["bare"].p50 == Spread(2, 2, 2)
    assert row.rate == Spread(25, 20, 50)
    assert bare.beside == {}


def test_a_percentile_is_one_of_the_values() -> None:
    """So many percent of the values do not exceed it, and it was measured."""
    values = [float(value) for value in range(100, 0, -1)]

    assert percentile(values, 50) == 51
    assert percentile(values, 99) == 100
    assert percentile([7.0], 99) == 7


def test_what_others_took_is_a_part_of_all_cores() -> None:
    """A second of theirs in a second of ours is half of two cores, and is not shown as ours."""
    own = case("Live")
    sample = Sample(100.0, [0.01], {"live": 0.005, "others": 0.01})

    (row,) = rows_of("appends", {own: [sample]}, cores=2)

    assert row.others == pytest.approx(0.5)
    assert row.cpu_ms == {"live": pytest.approx(5.0)}


def test_what_has_no_rate_has_what_was_counted() -> None:
    """Memory and bytes are rows like any other."""
    own = case("etcd")

    (row,) = rows_of("cost", {own: [Sample(None, (), also={"bytes": 3.0})]})

    assert row.rate is None
    assert row.p50_ms is None
    assert row.also == {"bytes": Spread(3, 3, 3)}


async def test_a_call_that_fails_fails_the_run() -> None:
    """There are no figures of operations that were not done."""

    async def refuse() -> int:
        await asyncio.sleep(0)
        raise ConnectionError

    with pytest.raises(ExceptionGroup) as raised:
        await drive([refuse], Timing(0, 5, dict))

    assert raised.group_contains(ConnectionError)


async def test_operations_are_counted_and_not_calls() -> None:
    """A batch counts as all that it holds, and its cost is shared by them."""
    used = iter(({"etcd": 1.0}, {"etcd": 3.0}))

    async def batch() -> int:
        await asyncio.sleep(0.01)
        return 10

    sample = await drive([batch], Timing(0, 0.2, lambda: next(used)))

    assert sample.rate == pytest.approx(10 * len(sample.latencies) / 0.2)
    assert sample.cpu["etcd"] == pytest.approx(2.0 / (10 * len(sample.latencies)))


async def test_a_window_waits_for_something() -> None:
    """On a machine that stands still there is one answer, late, and a rate that says so."""
    now = time.perf_counter()
    window = Window(now, now + 0.05, dict)

    window.answered(now, now + 2)
    window.answered(now, now + 3)

    sample = await window.sample()
    assert sample.latencies == [2]
    assert sample.rate == 0.5


async def test_what_was_due_counts_from_then() -> None:
    """An answer that comes after the window counts, if its question was due within it."""
    now = time.perf_counter()
    window = Window(now, now + 0.05, dict)

    window.served(now + 0.01, now + 9.01)
    window.served(now - 0.01, now + 0.02)
    window.served(now + 0.06, now + 0.07)

    sample = await window.sample()
    assert len(sample.latencies) == 1
    assert sample.latencies[0] == pytest.approx(9.0)
