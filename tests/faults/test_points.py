"""The points at which parts can be made to die are all come to, and nothing breaks of it."""

from __future__ import annotations

import json
import subprocess
import sys
from textwrap import dedent

from cluster.processes import CHECKOUT
from tests.faults.parts.points import POINTS

_PLAYED = dedent(
    """
    import json
    from collections import Counter
    from tests.faults.parts.points import wrap
    from tests.simulation.play import play

    reached = Counter()
    for kind in ("live", "store"):
        wrap(kind, lambda point: reached.update([point]))
    wrong = [line for seed in range(40) for line in play(seed).violations]
    print(json.dumps({"reached": reached, "wrong": wrong}))
    """
)


def test_every_point_is_come_to_and_nothing_breaks_of_it() -> None:
    """A point that the product's code has left behind would let a crash never happen."""
    # Points are put into classes for good: so a process of its own.
    done = subprocess.run(
        [sys.executable, "-c", _PLAYED], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["wrong"] == []
    assert set(told["reached"]) == {point for points in POINTS.values() for point in points}
