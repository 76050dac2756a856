"""Commits that must succeed, on a machine where etcd may answer late."""

from __future__ import annotations

import asyncio

from services.store.repository import Repository
from services.store.writes import Commit, Committed, Unknown

SECONDS = 60


async def committed(repository: Repository, commit: Commit) -> None:
    """Commit what must succeed; what is not known is settled by the same again."""
    async with asyncio.timeout(SECONDS):
        while (outcomes := await repository.commit([commit])) == [Unknown()]:
            pass
    assert outcomes == [Committed()]
