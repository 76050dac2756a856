"""Who calls: the bearer token, and the user that a service acts for, from a request's headers."""

from __future__ import annotations

from starlette.datastructures import Headers

from gateway.problems import ACTING_FOR_HEADER
from services.serving.auth import Authenticator
from services.serving.context import Call
from sessiond.errors import InvalidArgument, Unauthenticated


async def identify(authenticator: Authenticator, headers: Headers, request_id: str) -> Call:
    """Return the call, in the name of which the parts behind are asked.

    They verify the same token again for themselves. It may raise as `Authenticator.admit` does,
    and where a header that says who calls is given twice.
    """
    authorizations = headers.getlist("authorization")
    if len(authorizations) > 1:
        raise Unauthenticated("Give one Authorization header.")
    users = headers.getlist(ACTING_FOR_HEADER)
    if len(users) > 1:
        raise InvalidArgument.of(ACTING_FOR_HEADER, "must be given once")
    return await authenticator.admit(
        request_id,
        authorizations[0] if authorizations else None,
        users[0] if users else None,
    )
