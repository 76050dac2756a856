"""For each law of the checker tales that break it, and their neighbours that break none."""

from __future__ import annotations

from tests.faults.check_stories import TALES
from tests.faults.check_tales import (
    answers,
    feed,
    forks,
    lists,
    log,
    members,
    rewinds,
    streams,
    time,
    turns,
)

__all__ = [
    "TALES",
    "answers",
    "feed",
    "forks",
    "lists",
    "log",
    "members",
    "rewinds",
    "streams",
    "time",
    "turns",
]
