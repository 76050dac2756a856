"""Bugs, as they are made: each takes one promise from the product, for as long as a block runs.

That the checker names each of them, and says nothing of the product without them, is what its
silence is worth: `python -m tests.simulation.bugs`.
"""

from tests.simulation.bugs import (
    access,
    answers,
    deletion,
    feed,
    forks,
    index,
    ownership,
    rewinds,
    storage,
    streams,
    turns,
)
from tests.simulation.bugs.bug import BUGS, Bug

__all__ = [
    "BUGS",
    "Bug",
    "access",
    "answers",
    "deletion",
    "feed",
    "forks",
    "index",
    "ownership",
    "rewinds",
    "storage",
    "streams",
    "turns",
]
