"""Secrets of links: made here, and guarded against those who guess them, or come and go."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.live.hops import Context, Hops
from services.live.rates import Rates
from sessiond.errors import SessionNotFound
from sessiond.session.access import Identity


def new_secret() -> str:
    """Return a secret that nobody guesses: 32 random bytes, in base64url."""
    return secrets.token_urlsafe(32)


class Guesses:
    """Counts the joins of each caller; whoever guesses has to wait.

    So has whoever joins and leaves, again and again: each makes an event, and a session takes so
    many of them.
    """

    def __init__(self, hops: Hops, joins: Rates) -> None:
        self._hops = hops
        self._joins = joins

    @asynccontextmanager
    async def guarded(self, identity: Identity, context: Context) -> AsyncIterator[None]:
        """Let a caller try to join, and count it unless the block raises another failure than
        SessionNotFound.

        A try counts from its beginning, so that many at once are no more than one after another.
        Those that another Live passes on count there.

        Raises:
            RateLimited: there were too many tries.
        """
        if await self._hops.counted(context):
            yield
            return
        self._joins.take(identity.actor)
        try:
            yield
        except SessionNotFound:
            raise
        except BaseException:
            self._joins.give_back(identity.actor)
            raise
