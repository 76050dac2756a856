"""The last line of a show: its figures, what was wrong, and whether all is well."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

MISSED = 3.0
"""A time is told beside its aim, and fails only past so many times of it: machines differ."""

TOLD = 12
"""Complaints that are spelled out; the others are counted."""


class Outcome:
    """What one show found; `ok` until something is wrong."""

    def __init__(self, scenario: str, seed: int) -> None:
        self.scenario = scenario
        self.seed = seed
        self.figures: dict[str, Any] = {"scenario": scenario, "seed": seed}
        self.wrong: list[str] = []

    @property
    def ok(self) -> bool:
        """Whether nothing was wrong."""
        return not self.wrong

    def tell(self, **figures: Any) -> None:
        """Add figures, in this order."""
        self.figures.update(figures)

    def complain(self, complaints: Iterable[str]) -> None:
        """Add what was wrong."""
        self.wrong.extend(complaints)

    def aim(self, name: str, found: float | None, aimed: float) -> None:
        """Tell a figure that should be at most so much; None, when there is none, is wrong."""
        self.figures[name] = found
        self.figures[f"{name}_aim"] = aimed
        if found is None:
            self.wrong.append(f"there is no {name}")
        elif found > MISSED * aimed:
            self.wrong.append(f"{name} is {found:g}, over {MISSED:g} times its aim of {aimed:g}")

    def line(self) -> str:
        """Return the last line, JSON."""
        told: Mapping[str, Any] = self.figures
        if self.wrong:
            more = len(self.wrong) - TOLD
            spelled = self.wrong[:TOLD] + ([f"and {more} more"] if more > 0 else [])
            told = {**told, "wrong": spelled}
        return json.dumps({**told, "ok": self.ok})


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value that so many percent of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def ms(values: Sequence[float], percent: float) -> float | None:
    """Return a percentile of some seconds, in milliseconds; None of none."""
    return round(percentile(values, percent) * 1000, 1) if values else None
