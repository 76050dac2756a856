"""Duties: erasures first, then a run, again and again; and how a user is erased."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.retention.duties import LOOK_SECONDS, Duties
from services.retention.erasing import MOST_IN_A_ROW, erase
from services.retention.metrics import RetentionMetrics
from services.retention.pace import Pace
from services.retention.runs import Runs
from sessiond.errors import Internal, SessiondError, SessionNotFound, Unavailable
from sessiond.policies import Policy
from tests.retention.parts import NOW_MS, Parts, erasure, summary


class Time:
    """A clock that moves by what is slept; after so many sleeps it stands still."""

    def __init__(self, sleeps: int) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        self.over = asyncio.Event()
        self._sleeps = sleeps

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        if len(self.slept) == self._sleeps:
            self.over.set()
            await asyncio.Event().wait()
        self.slept.append(seconds)
        self.now += seconds


async def worked(
    parts: Parts,
    *,
    sleeps: int,
    every_seconds: float = 100.0,
    dry_run: bool = False,
    policies: Sequence[Policy] = (),
    registry: CollectorRegistry | None = None,
) -> tuple[Time, list[Mapping[str, Any]]]:
    """Work until so many pauses were made; return them, and what was told."""
    time, told = Time(sleeps), list[Mapping[str, Any]]()
    pace = Pace(1e9, clock=time)
    metrics = RetentionMetrics(registry or CollectorRegistry())
    runs = Runs(parts, policies, None, pace, metrics, now_ms=lambda: NOW_MS, clock=time)
    duties = Duties(
        parts,
        runs,
        pace,
        metrics,
        every_seconds=every_seconds,
        dry_run=dry_run,
        tell=told.append,
        clock=time,
        sleep=time.sleep,
    )
    working = asyncio.create_task(duties.work(3))
    await time.over.wait()
    working.cancel()
    await asyncio.wait({working})
    return time, told


async def test_a_run_is_made_every_so_often_and_erasures_are_looked_for_between() -> None:
    """From the beginning of one run to that of the next."""
    time, told = await worked(Parts(), sleeps=5)
    assert time.slept == [30.0, 30.0, 30.0, 10.0, 30.0]
    assert [line["term"] for line in told] == [3, 3]


async def test_a_run_that_breaks_is_made_again_soon() -> None:
    """Not after an hour, and not at once."""
    parts = Parts()
    parts.scan_breaks = Unavailable()
    policies = [Policy("all")]
    time, told = await worked(parts, sleeps=2, every_seconds=3600.0, policies=policies)
    assert time.slept == [LOOK_SECONDS] * 2
    assert len(told) == 3


async def test_without_policies_nothing_is_scanned() -> None:
    """Erasures are looked for all the same, and a run says that it was made."""
    parts = Parts(summary("s-1"))
    parts.scan_breaks = Unavailable()
    parts.asked = [erasure("bob")]
    _, told = await worked(parts, sleeps=2, every_seconds=3600.0)
    assert [line["scanned"] for line in told if "scanned" in line] == [0]
    assert parts.completed[0][0] == "bob"
    assert set(parts.sessions) == {"s-1"}


async def test_a_dry_run_lets_erasures_wait() -> None:
    """Nothing is changed at all."""
    parts = Parts(summary("s-1"))
    parts.asked = [erasure("alice")]
    _, told = await worked(parts, sleeps=0, dry_run=True, policies=[Policy("all")])
    assert told[-1]["dryRun"]
    assert told[-1]["due"] == 1
    assert (parts.completed, set(parts.sessions)) == ([], {"s-1"})


async def test_an_erasure_that_fails_keeps_nobody_waiting() -> None:
    """It is tried again at the next look."""
    parts = Parts(summary("s-1", "bob"), summary("s-2", "carol"))
    parts.fails = {"s-1": Unavailable()}
    parts.asked = [erasure("bob"), erasure("carol")]
    registry = CollectorRegistry()
    _, told = await worked(parts, sleeps=1, registry=registry)
    assert parts.completed == [("carol", 1, 0), ("bob", 1, 0)]
    for outcome, times in (("done", 2), ("failed", 1)):
        labels = {"outcome": outcome}
        assert registry.get_sample_value("sessiond_retention_erasures_total", labels) == times
    assert [line["erased"] for line in told if "erased" in line] == [1, 1]


async def test_a_user_is_erased() -> None:
    """Own sessions by name of the user, memberships, and the receipt; what is held stays."""
    parts = Parts(summary("s-1"), summary("s-2"), summary("of-bob", "bob"))
    parts.held = {"s-2"}
    parts.shared = {"alice": ["of-bob", "gone"]}
    parts.fails = {"gone": SessionNotFound()}
    pace = Pace(1e9, clock=asyncio.get_running_loop().time)
    receipt = await erase(parts, erasure("alice", 77), pace)
    assert parts.deletions == [("alice", "s-1", "erasure:77")]
    assert parts.left == [("alice", "of-bob", "erasure:77")]
    assert (receipt.sessions, receipt.shares) == (1, 1)
    assert set(parts.sessions) == {"s-2", "of-bob"}


async def test_what_fails_keeps_no_other_session_waiting() -> None:
    """The rest of the user goes at once, and no receipt is written until all of it went."""
    parts = Parts(
        summary("s-1"), summary("s-2"), summary("of-bob", "bob"), summary("by-bob", "bob")
    )
    parts.shared = {"alice": ["of-bob", "by-bob"]}
    parts.fails = {"s-1": Internal(), "of-bob": Unavailable()}
    pace = Pace(1e9, clock=asyncio.get_running_loop().time)
    with pytest.raises(Internal):
        await erase(parts, erasure("alice", 77), pace)
    assert [session_id for _, session_id, _ in parts.deletions] == ["s-2"]
    assert [session_id for _, session_id, _ in parts.left] == ["by-bob"]
    assert parts.completed == []
    receipt = await erase(parts, erasure("alice", 77), pace)
    assert (receipt.sessions, receipt.shares) == (1, 1)
    assert set(parts.sessions) == {"of-bob", "by-bob"}


@pytest.mark.parametrize(("failure", "deleted"), [(Unavailable, 0), (Internal, 1)])
async def test_an_erasure_is_left_when_nobody_answers(
    failure: type[SessiondError], deleted: int
) -> None:
    """Each step waits long for parts that are down; one that is refused takes no time."""
    names = [f"s-{number}" for number in range(MOST_IN_A_ROW + 1)]
    parts = Parts(*map(summary, names))
    parts.fails = {name: failure() for name in names[:-1]}
    pace = Pace(1e9, clock=asyncio.get_running_loop().time)
    with pytest.raises(failure):
        await erase(parts, erasure("alice"), pace)
    assert len(parts.deletions) == deleted
