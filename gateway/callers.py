"""Who calls: the bearer token, and the user that a service acts for."""

from __future__ import annotations

from typing import Protocol

from starlette.datastructures import Headers

from gateway.problems import ACTING_FOR_HEADER
from services.serving.auth import Verified, bearer
from services.serving.claims import acting_for
from services.serving.context import Call
from sessiond.errors import InvalidArgument, Unauthenticated


class Verifier(Protocol):
    """Verifies tokens; `services.serving.auth.Authenticator` is one."""

    async def verify(self, token: str) -> Verified:
        """Return whom the token speaks of.

        Raises:
            Unauthenticated: the token is not valid, or no longer.
        """


class Callers:
    """Says who sent a request. Store and Live verify the same token again for themselves."""

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier

    async def identify(self, headers: Headers, request_id: str) -> Call:
        """Return the call, in the name of which the parts behind are asked.

        Raises:
            Unauthenticated: there is no valid token.
            PermissionDenied: the caller is no service and names a user to act for.
            InvalidArgument: the user to act for is not named properly.
        """
        authorization = headers.getlist("authorization")
        if len(authorization) > 1:
            raise Unauthenticated("Give one Authorization header.")
        token = bearer(authorization[0] if authorization else None)
        verified = await self._verifier.verify(token)
        identity = verified.identity
        users = headers.getlist(ACTING_FOR_HEADER)
        if len(users) > 1:
            raise InvalidArgument.of(ACTING_FOR_HEADER, "must be given once")
        if users:
            identity = acting_for(identity, users[0])
        return Call(request_id, identity, token, verified.expires_at)
