"""The last line: what it holds, and when it says no."""

from __future__ import annotations

import json

import pytest

from show.outcome import TOLD, Outcome, ms, percentile


def test_figures_stand_before_ok() -> None:
    """One line, with what was found in the order in which it was told."""
    outcome = Outcome("kill", 7)
    outcome.tell(planned=3, acknowledged=3)
    line = outcome.line()
    assert "\n" not in line
    assert list(json.loads(line)) == ["scenario", "seed", "planned", "acknowledged", "ok"]
    assert json.loads(line)["ok"] is True


def test_a_complaint_makes_it_not_ok() -> None:
    """The first ones are spelled out, and the others counted."""
    outcome = Outcome("kill", 7)
    outcome.complain(f"complaint {number}" for number in range(TOLD + 5))
    said = json.loads(outcome.line())
    assert said["ok"] is False
    assert said["wrong"] == [*(f"complaint {n}" for n in range(TOLD)), "and 5 more"]


@pytest.mark.parametrize(
    ("found", "ok"), [(900.0, True), (2900.0, True), (3100.0, False), (None, False)]
)
def test_a_time_fails_only_past_three_times_its_aim(found: float | None, ok: bool) -> None:
    """It is told beside the aim; one that could not be measured is wrong."""
    outcome = Outcome("kill", 7)
    outcome.aim("gap_p99_ms", found, 1000.0)
    said = json.loads(outcome.line())
    assert (said["gap_p99_ms"], said["gap_p99_ms_aim"]) == (found, 1000.0)
    assert said["ok"] is ok


def test_a_percentile_is_one_of_the_values() -> None:
    """In milliseconds where seconds were measured; none of none."""
    values = [float(value) for value in range(100, 0, -1)]
    assert (percentile(values, 50), percentile(values, 99), percentile(values, 100)) == (
        51,
        100,
        100,
    )
    assert ms([0.25, 0.5], 99) == 500.0
    assert ms([], 99) is None
