"""That the checker names every bug that is put into the product, and so is worth its silence."""

from __future__ import annotations

import itertools
import json

import pytest

from tests.faults.check import Law
from tests.simulation.bugs import BUGS, Bug, table
from tests.simulation.bugs.table import Found, Tasks, met
from tests.simulation.play import play

WITHIN = 300
"""Schedules that meet a bug, of which one at least must catch it."""

NAMED = 20
"""Bugs that there must be at least."""


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_is_caught_and_named(bug: Bug) -> None:
    """A product with this bug breaks a promise within so many schedules."""
    for seed in itertools.islice(met(bug), WITHIN):
        with bug.injected():
            verdict = play(seed)
        if bug.caught_by(verdict.violations):
            return
    pytest.fail(f"{bug.name} was not caught")


def test_there_are_enough_bugs_and_each_has_its_name() -> None:
    """The table is about as many different bugs as it says."""
    assert len({bug.name for bug in BUGS}) == len(BUGS) >= NAMED


def test_a_bug_is_gone_when_its_block_ends() -> None:
    """What is played after a bug is the product as it was."""
    before = play(3).digest
    for bug in BUGS:
        with bug.injected():
            pass
    assert play(3).digest == before


def test_a_bug_is_caught_only_by_a_law_that_names_it() -> None:
    """What the checker says of something else does not count."""
    bug = next(each for each in BUGS if Law.STREAM_GAP in each.laws)
    assert bug.caught_by(["STREAM_GAP in s0: ..."]) == {Law.STREAM_GAP}
    assert not bug.caught_by(["STREAM_GAPS in s0: ...", "STREAM_REPEAT in s0: ...", "a STREAM_GAP"])


@pytest.fixture
def found() -> Found:
    """What a table is told of instead of playing: every bug is caught, and nothing else."""
    found = Found(played=1)
    for bug in BUGS:
        found.caught[bug.name] = 1
        found.laws[bug.name][min(law.name for law in bug.laws)] = 1
    return found


def told(found: Found, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    tasks = Tasks({bug.name: [7] for bug in BUGS}, [])
    code = table._print(tasks, found, 1.0)
    return code, capsys.readouterr().out.splitlines()


def test_the_table_has_a_row_for_each_bug(found: Found, capsys: pytest.CaptureFixture[str]) -> None:
    """All caught, and nothing without them: that is well."""
    code, lines = told(found, capsys)
    assert code == 0
    assert sum(line.endswith("| 1 of 1 | 0 |") for line in lines) == len(BUGS)
    assert json.loads(lines[-1])["missed"] == []


def test_a_bug_that_is_missed_fails_the_table(
    found: Found, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bug that no violation names is told, and ends the command with a failure."""
    found.caught[BUGS[0].name] = 0
    code, lines = told(found, capsys)
    assert code == 1
    assert json.loads(lines[-1])["missed"] == [BUGS[0].name]


def test_a_promise_that_breaks_without_a_bug_fails_the_table(
    found: Found, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same seeds must break nothing where there is no bug."""
    found.violated.add(7)
    code, lines = told(found, capsys)
    assert code == 1
    assert json.loads(lines[-1])["violated_without_a_bug"] == [7]


def test_the_tasks_are_each_bug_and_the_product_without_on_the_same_seeds() -> None:
    """What is compared was played on the same schedules."""
    tasks = Tasks.of(2)
    plain = {seed for bug, seed in tasks.all if bug is None}
    for bug in BUGS:
        mine = {seed for each, seed in tasks.all if each is bug}
        assert mine == {*tasks.seeds[bug.name]}
        assert mine <= plain
        assert len(mine) == 2
