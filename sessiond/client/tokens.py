"""The bearer token of a client: given once, or asked for as it runs out.

What a token says of itself is read without being verified: it serves to renew it in time, and to
know whose lists are one's own. Servers verify it.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

Provider = Callable[[], str | Awaitable[str]]

SPARE_SECONDS = 30.0
"""A token that ends within this is renewed before it is used, half a life at most."""


class Tokens:
    """The token to use now. `clock` gives seconds since 1970."""

    def __init__(self, given: str | Provider, *, clock: Callable[[], float]) -> None:
        self._provider = None if isinstance(given, str) else given
        self._token = given if isinstance(given, str) else ""
        self._renew_at = 0.0
        self._clock = clock
        self._lock = asyncio.Lock()

    @property
    def renewable(self) -> bool:
        """Whether there may be another one."""
        return self._provider is not None

    async def current(self) -> str:
        """Return a token that is good for a while, as far as can be known."""
        if self._provider is None or (self._token and self._clock() < self._renew_at):
            return self._token
        return await self.another(self._token)

    async def another(self, than: str) -> str:
        """Ask for a token, unless one that is not `than` has come meanwhile; it may be the same."""
        async with self._lock:
            if self._provider is None or (self._token and self._token != than):
                return self._token
            token = self._provider()
            if not isinstance(token, str):
                token = await token
            self._token = token
            self._renew_at = renewal_of(token, self._clock())
            return token

    def seconds_left(self) -> float | None:
        """Return after how many seconds the token should be renewed; None when it cannot be."""
        if self._provider is None or not self._token or self._renew_at <= 0:
            return None
        return max(0.0, self._renew_at - self._clock())


class SyncTokens:
    """The token to use now; several threads may ask. `clock` gives seconds since 1970."""

    def __init__(self, given: str | Callable[[], str], *, clock: Callable[[], float]) -> None:
        self._provider = None if isinstance(given, str) else given
        self._token = given if isinstance(given, str) else ""
        self._renew_at = 0.0
        self._clock = clock
        self._lock = threading.Lock()

    @property
    def renewable(self) -> bool:
        """Whether there may be another one."""
        return self._provider is not None

    def current(self) -> str:
        """Return a token that is good for a while, as far as can be known."""
        if self._provider is None or (self._token and self._clock() < self._renew_at):
            return self._token
        return self.another(self._token)

    def another(self, than: str) -> str:
        """Ask for a token, unless one that is not `than` has come meanwhile; it may be the same."""
        with self._lock:
            if self._provider is None or (self._token and self._token != than):
                return self._token
            self._token = self._provider()
            self._renew_at = renewal_of(self._token, self._clock())
            return self._token


def renewal_of(token: str, now: float) -> float:
    """Return when to ask for another token, in seconds since 1970; 0 where that is not known."""
    expires = expiry_of(token)
    return 0.0 if expires is None else expires - min(SPARE_SECONDS, (expires - now) / 2)


def claims_of(token: str) -> Mapping[str, Any]:
    """Return what a JSON Web Token says of itself, unverified; {} where it is none."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        return {}
    return claims if isinstance(claims, dict) else {}


def expiry_of(token: str) -> float | None:
    """Return when the token says that it ends, in seconds since 1970; None where it does not."""
    expires = claims_of(token).get("exp")
    if isinstance(expires, bool) or not isinstance(expires, int | float):
        return None
    return float(expires)


def subject_of(token: str) -> str:
    """Return whose the token says that it is; "" where it does not."""
    subject = claims_of(token).get("sub")
    return subject if isinstance(subject, str) else ""
