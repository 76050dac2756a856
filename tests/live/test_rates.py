"""Rates: a burst at once, then so many a second, each caller alone."""

from __future__ import annotations

import pytest

from services.live.rates import CALLERS, Rate, Rates
from sessiond.errors import RateLimited


def test_a_burst_passes_and_one_more_is_told_when_to_come_back() -> None:
    """At burst - 1 and burst it passes; at burst + 1 it is refused with the time to wait."""
    now = [100.0]
    rates = Rates(Rate(per_second=4.0, burst=3), clock=lambda: now[0])
    for _ in range(3):
        rates.take("alice")
    with pytest.raises(RateLimited) as caught:
        rates.take("alice")
    assert caught.value.retry_after == pytest.approx(0.25)
    rates.take("bob")
    now[0] += 0.25
    rates.take("alice")
    with pytest.raises(RateLimited):
        rates.take("alice")


def test_rest_never_earns_more_than_a_burst() -> None:
    """Nobody saves up, and a clock that steps back gives nothing."""
    now = [100.0]
    rates = Rates(Rate(per_second=1000.0, burst=2), clock=lambda: now[0])
    rates.take("alice")
    now[0] += 3600
    for _ in range(2):
        rates.take("alice")
    now[0] -= 60
    with pytest.raises(RateLimited):
        rates.take("alice")


def test_the_callers_remembered_have_a_bound() -> None:
    """The caller seen longest ago is forgotten first, which only ever gives back a full bucket."""
    rates = Rates(Rate(per_second=1.0, burst=1), clock=lambda: 0.0)
    for n in range(CALLERS + 1):
        rates.take(f"user-{n}")
    rates.take("user-0")
    with pytest.raises(RateLimited):
        rates.take(f"user-{CALLERS}")
