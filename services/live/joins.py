"""Secrets of links: made here, and guarded against those who guess them."""

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
    """Counts the joins of each caller that found nothing; whoever guesses has to wait."""

    def __init__(self, hops: Hops, failures: Rates) -> None:
        self._hops = hops
        self._failures = failures

    @asynccontextmanager
    async def guarded(self, identity: Identity, context: Context) -> AsyncIterator[None]:
        """Let a caller try to join, and count it where the block raises SessionNotFound.

        A try counts from its beginning, so that many at once are no more than one after another.
        Those that another Live passes on count there.

        Raises:
            RateLimited: too many tries found nothing.
        """
        if await self._hops.counted(context):
            yield
            return
        self._failures.take(identity.actor)
        failed = False
        try:
            yield
        except SessionNotFound:
            failed = True
            raise
        finally:
            if not failed:
                self._failures.give_back(identity.actor)
