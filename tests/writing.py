"""Commits that must succeed, on a machine where etcd may answer late."""

from __future__ import annotations

import asyncio

from services.store.repository import Repository
from services.store.writes import Commit, Committed, Outcome, Refused, Unknown

SECONDS = 60


async def committed(repository: Repository, commit: Commit) -> None:
    """Commit what must succeed; what is not known is settled by the same again."""
    outcome: Outcome = Unknown()
    async with asyncio.timeout(SECONDS):
        while outcome == Unknown():
            (outcome,) = await repository.commit([commit])
            if isinstance(outcome, Refused) and outcome.head == commit.head:
                return  # the one before, of which nothing was known, had succeeded
    assert outcome == Committed()
