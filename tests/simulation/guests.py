"""Somebody with whom sessions are shared now and then, and who follows them as long as they are."""

from __future__ import annotations

import asyncio

from tests.simulation.followed import Followed
from tests.simulation.followers import Follower


class GuestFollower(Follower):
    """Asks again for what is not there: it may be shared once more."""

    ends: frozenset[str] = frozenset()

    async def _attach_again(self, followed: Followed) -> None:
        call = self._call
        await asyncio.sleep(self.chance.uniform(0.1, 0.6))
        if call is self._call:
            await self._attach(followed)
