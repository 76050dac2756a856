"""Rounds on real parts, of the same seeds each time, and nothing that was promised breaks."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from tests.faults.command import play_all

SEED = 18_000
"""The first of a block of seeds that uses each kind of fault once."""

SECONDS = float(os.environ.get("SESSIOND_FAULTS_SECONDS", "240"))
AT_LEAST = 8
"""So many rounds have to count."""

AT_MOST = 50
"""So many are played, however few count."""


@pytest.mark.alone
@pytest.mark.timeout(SECONDS + 900)
def test_rounds_on_real_parts_are_well() -> None:
    """Rounds are played for four minutes, and on until enough of them count."""
    begin = time.monotonic()
    lines: list[dict[str, Any]] = []

    def counted() -> int:
        return sum(line["counted"] for line in lines)

    def seeds() -> Iterator[int]:
        for number in count():
            late = time.monotonic() - begin > SECONDS
            if number == AT_MOST or (late and counted() >= AT_LEAST):
                return
            yield SEED + number

    for line in play_all(seeds(), jobs=2):
        lines.append(line)
    wrong = [line for line in lines if line["violations"] or line["stuck"]]
    assert wrong == []
    assert counted() >= AT_LEAST
