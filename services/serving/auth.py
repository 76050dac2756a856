"""Who calls: bearer tokens verified against keys we trust.

The rules are the same in every part. The algorithm must be one that the settings pin; `iss`,
`aud`, `exp` and `sub` are required, `nbf` and `iat` are checked where present; clocks may differ
by the leeway. Callers learn that a token is not valid or has expired, and nothing more; our log
learns why.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import structlog
from joserfc import jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jws import JWSRegistry
from joserfc.jwt import JWTClaimsRegistry

from services.serving.claims import ClaimRefused, acting_for, identity_of
from services.serving.context import Call
from services.serving.keys import KeyFile, KeySource, KeyUrl, SharedSecret
from services.serving.settings import Settings
from sessiond.errors import Unauthenticated
from sessiond.session.access import Identity

_log = structlog.get_logger(__name__)

TOKEN_BYTES = 8192
"""Longer tokens are refused unread. gRPC's own limit on all metadata of a call is of this size."""


class Verified(NamedTuple):
    """Whom a token speaks of, and until when.

    `expires_at` is in seconds since 1970 and includes the leeway: from then on the token is void,
    also for a stream that was opened with it.
    """

    identity: Identity
    expires_at: float


class Authenticator:
    """Verifies tokens, and remembers what it verified for a short while.

    A token that was good is not verified again for `remember` seconds, or until it expires: so a
    withdrawn key keeps its tokens alive that long. At most `capacity` tokens are remembered; when
    there are more, the oldest verification is forgotten. `leeway` is in seconds.
    """

    def __init__(
        self,
        keys: KeySource,
        *,
        issuer: str,
        audience: str,
        algorithms: Sequence[str],
        clock: Callable[[], float] = time.time,
        leeway: int = 5,
        remember: float = 30.0,
        capacity: int = 10_000,
    ) -> None:
        if not algorithms or "none" in algorithms:
            raise ValueError("algorithms must be named, and none is not one")
        self._keys = keys
        self._algorithms = frozenset(algorithms)
        # Other headers than the registered ones are no fault: identity providers add their own.
        self._registry = JWSRegistry(algorithms=sorted(self._algorithms), strict_check_header=False)
        self._clock = clock
        self._leeway = leeway
        self._remember = remember
        self._capacity = capacity
        self._remembered: dict[bytes, tuple[Verified, float]] = {}
        self._issuer = issuer
        self._audience = audience

    def recall(self, token: str) -> Verified | None:
        """Return what was verified lately, without waiting; None when it must be verified."""
        known = self._remembered.get(_digest(token))
        return known[0] if known is not None and self._clock() < known[1] else None

    async def verify(self, token: str) -> Verified:
        """Return whom the token speaks of.

        Raises:
            Unauthenticated: the token is not valid, or no longer.
        """
        verified = self.recall(token)
        if verified is not None:
            return verified
        try:
            verified = await self._verify(token)
        except ExpiredTokenError:
            _log.info("credentials refused", why="expired")
            raise Unauthenticated("The token has expired.") from None
        except ClaimRefused as refused:
            _log.info("credentials refused", why=refused.claim)
            raise Unauthenticated("The token is not valid.") from None
        # What a hostile token makes the parsers raise is not for the caller to see.
        except (JoseError, ValueError, TypeError, RecursionError, OverflowError) as error:
            _log.info("credentials refused", why=type(error).__name__)
            raise Unauthenticated("The token is not valid.") from None
        self._keep(token, verified)
        return verified

    async def admit(self, request_id: str, authorization: str | None, user: str | None) -> Call:
        """Return the call that these headers or metadata of a request make.

        `authorization` is `Bearer` and a token, `user` what stands in `sessiond-user`; None where
        the request has none.

        Raises:
            Unauthenticated: there is no valid token.
            PermissionDenied: a user is named, and the caller is not a service.
            InvalidArgument: the user is not a percent-encoded user id.
        """
        token = bearer(authorization)
        verified = self.recall(token) or await self.verify(token)
        identity = verified.identity if user is None else acting_for(verified.identity, user)
        return Call(request_id, identity, token, verified.expires_at)

    async def _verify(self, token: str) -> Verified:
        if len(token) > TOKEN_BYTES or not token.isascii():
            raise ClaimRefused("size")
        header = _header(token)
        algorithm, kid = header.get("alg"), header.get("kid")
        if not isinstance(algorithm, str) or algorithm not in self._algorithms:
            raise ClaimRefused("alg")
        # We understand no critical extension, so a token that needs one is not for us (RFC 7515).
        if "crit" in header or "b64" in header or not isinstance(kid, str | None):
            raise ClaimRefused("header")
        key = await self._keys.find(kid, algorithm)
        if key is None:
            raise ClaimRefused("kid")
        claims = jwt.decode(token, key, registry=self._registry).claims
        self._claims_at(int(self._clock())).validate(claims)
        return Verified(identity_of(claims), float(claims["exp"]) + self._leeway)

    def _claims_at(self, now: int) -> JWTClaimsRegistry:
        return JWTClaimsRegistry(
            now=now,
            leeway=self._leeway,
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": self._audience},
            exp={"essential": True},
            sub={"essential": True},
        )

    def _keep(self, token: str, verified: Verified) -> None:
        digest = _digest(token)
        self._remembered.pop(digest, None)
        while len(self._remembered) >= self._capacity:
            del self._remembered[next(iter(self._remembered))]
        until = min(verified.expires_at, self._clock() + self._remember)
        self._remembered[digest] = (verified, until)


@asynccontextmanager
async def authenticating(
    settings: Settings, *, clock: Callable[[], float] = time.time
) -> AsyncIterator[Authenticator]:
    """Open the authenticator that the settings describe."""

    def authenticator(keys: KeySource) -> Authenticator:
        return Authenticator(
            keys,
            issuer=settings.jwt_issuer,
            audience=settings.jwt_audience,
            algorithms=settings.jwt_algorithms,
            clock=clock,
        )

    if settings.jwt_secret_file is not None:
        yield authenticator(SharedSecret.from_file(settings.jwt_secret_file))
        return
    where = settings.jwt_jwks or ""
    if "://" not in where:
        yield authenticator(KeyFile(Path(where), production=settings.production))
        return
    async with httpx.AsyncClient() as client:
        source = KeyUrl(where, client, production=settings.production)
        try:
            yield authenticator(source)
        finally:
            await source.close()


def bearer(authorization: str | None) -> str:
    """Return the token of an `Authorization: Bearer ...` header or metadata value.

    Raises:
        Unauthenticated: there is none.
    """
    scheme, _, token = (authorization or "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated
    return token


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _header(token: str) -> dict[str, Any]:
    segment = token.split(".", 1)[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    except binascii.Error:
        raise ClaimRefused("header") from None
    if not isinstance(header, dict):
        raise ClaimRefused("header")
    return header
