"""How fast one caller may change things: token buckets, one a caller."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from sessiond.errors import RateLimited

CALLERS = 10_000
"""Buckets that are kept; the one that was used longest ago goes first, and comes back full."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many a second in the long run, and so many at once."""

    per_second: float
    burst: int


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float


class Rates:
    """Counts the changes of each caller against a rate. `clock` gives seconds."""

    def __init__(self, rate: Rate, *, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._clock = clock
        self._buckets: OrderedDict[Hashable, _Bucket] = OrderedDict()

    def take(self, caller: Hashable) -> None:
        """Count one change.

        Raises:
            RateLimited: the caller has none left; it says when there will be one.
        """
        now = self._clock()
        bucket = self._buckets.get(caller)
        if bucket is None:
            bucket = self._buckets[caller] = _Bucket(float(self._rate.burst), now)
            if len(self._buckets) > CALLERS:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(caller)
        earned = max(0.0, now - bucket.filled_at) * self._rate.per_second
        bucket.tokens = min(float(self._rate.burst), bucket.tokens + earned)
        bucket.filled_at = now
        if bucket.tokens < 1.0:
            raise RateLimited(retry_after=(1.0 - bucket.tokens) / self._rate.per_second)
        bucket.tokens -= 1.0

    def give_back(self, caller: Hashable) -> None:
        """Count one less: what was taken turned out to be nothing that counts."""
        bucket = self._buckets.get(caller)
        if bucket is not None:
            bucket.tokens = min(float(self._rate.burst), bucket.tokens + 1.0)
