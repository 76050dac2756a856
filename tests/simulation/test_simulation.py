"""That schedules keep every promise, are the same each time, and notice what breaks one."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys

import pytest

from tests.simulation.bugs import BUGS, Bug, patched
from tests.simulation.play import play
from tests.simulation.schedule import FAULTS, Schedule

WITHIN = 200
"""Schedules that meet a bug, of which one at least must catch it."""


@pytest.mark.parametrize("first", range(0, 200, 50))
def test_no_schedule_breaks_a_promise(first: int) -> None:
    """Whatever goes wrong, what clients saw is what the product promises."""
    for seed in range(first, first + 50):
        verdict = play(seed)
        assert not verdict.violations, str(verdict)


def test_a_seed_is_the_same_story_each_time() -> None:
    """A schedule that is played again takes the same steps."""
    for seed in range(10):
        assert play(seed).digest == play(seed).digest


def test_another_seed_is_another_story() -> None:
    """Schedules differ, or many would be no more than one."""
    assert len({play(seed).digest for seed in range(10)}) == 10


def test_a_schedule_has_at_least_fifty_operations() -> None:
    """Each schedule is long enough to be worth its faults."""
    assert all(len(play(seed).history.operations) >= 50 for seed in range(5))


def test_every_kind_of_fault_comes() -> None:
    """No kind of fault is left out of the first few hundred schedules."""
    come = {fault.kind for seed in range(300) for fault in Schedule.of(seed).faults}
    assert come == set(FAULTS)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.patch.__name__)
def test_a_bug_is_caught_and_named(bug: Bug) -> None:
    """A product without this law breaks a promise within so many schedules."""
    seeds = (seed for seed in itertools.count() if bug.meets(Schedule.of(seed)))
    for seed in itertools.islice(seeds, WITHIN):
        with patched(bug.patch()):
            verdict = play(seed)
        if any(bug.words in violation for violation in verdict.violations):
            return
    pytest.fail(f"{bug.patch.__name__} was not caught")


def test_a_campaign_tells_what_it_played_in_its_last_line() -> None:
    """`python -m tests.simulation` ends with one line of JSON, and well when nothing is broken."""
    command = [sys.executable, "-m", "tests.simulation", "--schedules", "30", "--seed", "7"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=True)
    told = json.loads(done.stdout.splitlines()[-1])
    assert (told["schedules"], told["first_seed"], told["violated"]) == (30, 7, 0)
    assert told["operations"] >= 30 * 50
