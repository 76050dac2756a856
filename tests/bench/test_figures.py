"""From samples to figures."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext

import pytest

from bench.figures import Spread, figures_of, percentile
from bench.load import Sample, drive
from bench.scenario import Scenario


def scenario(what: str, *, in_flight: int = 1, floor: bool = False) -> Scenario:
    return Scenario("append", what, in_flight, floor, lambda: nullcontext([]))


def samples(*rates: float) -> list[Sample]:
    return [Sample(rate, [1 / rate], {"load": 0.001}) for rate in rates]


def test_ratios_are_taken_inside_each_repeat() -> None:
    """A machine that slows down halfway slows both sides of a ratio."""
    floor, ours = scenario("etcd", floor=True), scenario("Live")

    _, figure = figures_of([floor, ours], [samples(100, 50, 40), samples(50, 25, 20)])

    assert figure.of_floors == {"etcd": Spread(0.5, 0.5, 0.5)}
    assert figure.rate == Spread(25, 20, 50)


def test_a_ratio_compares_what_is_equally_busy() -> None:
    """Floors with another number in flight stand beside other figures."""
    alone, many = scenario("etcd", floor=True), scenario("etcd", in_flight=16, floor=True)

    figures = figures_of(
        [alone, many, scenario("Live", in_flight=16)], [samples(10), samples(100), samples(50)]
    )

    assert figures[-1].of_floors == {"etcd": Spread(0.5, 0.5, 0.5)}
    assert figures[0].of_floors == {}


def test_a_percentile_is_one_of_the_values() -> None:
    """So many percent of the values do not exceed it, and it was measured."""
    values = [float(value) for value in range(100, 0, -1)]

    assert percentile(values, 50) == 51
    assert percentile(values, 99) == 100
    assert percentile([7.0], 99) == 7


async def test_a_call_that_fails_fails_the_run() -> None:
    """There are no figures of operations that were not done."""

    async def refuse() -> int:
        await asyncio.sleep(0)
        raise ConnectionError

    with pytest.raises(ExceptionGroup) as raised:
        await drive([refuse], warm_up=0, seconds=5, usage=dict)

    assert raised.group_contains(ConnectionError)


async def test_operations_are_counted_and_not_calls() -> None:
    """A batch counts as all that it holds, and its cost is shared by them."""
    used = iter(({"etcd": 1.0}, {"etcd": 3.0}))

    async def batch() -> int:
        await asyncio.sleep(0.01)
        return 10

    sample = await drive([batch], warm_up=0, seconds=0.2, usage=lambda: next(used))

    assert sample.rate == pytest.approx(10 * len(sample.latencies) / 0.2)
    assert sample.cpu["etcd"] == pytest.approx(2.0 / (10 * len(sample.latencies)))
