"""Calls that one Live passes on to another: in the caller's name, and how often already.

What a caller may do is judged by its own token, which travels with the call. That a call was
passed on, and counted against its caller's rate, is believed only if a Live says so, by a token of
its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import grpc

from services.serving.auth import Authenticator
from services.serving.context import Call
from services.serving.identity import PartIdentity
from sessiond.errors import SessiondError
from sessiond.session.access import Role

HOPS_KEY = "sessiond-hops"
"""gRPC metadata: how many Lives passed this call on."""

FORWARDER_KEY = "sessiond-forwarder"
"""gRPC metadata: the token of the Live that did so last."""

OWNER_KEY = "sessiond-owner"
"""gRPC trailing metadata of SESSION_MOVED, between Lives: the address of the session's owner."""

Context = grpc.aio.ServicerContext[Any, Any]


class Hops:
    """Marks calls that are passed on, and reads the marks."""

    def __init__(self, authenticator: Authenticator, identity: PartIdentity) -> None:
        self._authenticator = authenticator
        self._identity = identity

    def onward(self, call: Call, hops: int) -> tuple[tuple[str, str], ...]:
        """Return the metadata of a call that is passed on after so many hops.

        Raises:
            Unavailable: this part has no identity.
        """
        forwarder = (FORWARDER_KEY, self._identity.token())
        return (*call.metadata(), (HOPS_KEY, str(hops + 1)), forwarder)

    async def counted(self, context: Context) -> bool:
        """Return whether a Live passed this call on, and has counted it."""
        token = _value(context, FORWARDER_KEY)
        if token is None or not hops_of(context):
            return False
        try:
            verified = self._authenticator.recall(token) or await self._authenticator.verify(token)
        except SessiondError:
            return False
        return verified.identity.role is Role.LIVE


def hops_of(context: Context) -> int:
    """Return how many Lives passed this call on, as it says.

    Anybody may claim some, and who owns a session, if there is one, is told to Lives alone: so it
    is believed where `counted` is true.
    """
    hops = _value(context, HOPS_KEY)
    return int(hops[:3]) if hops is not None and hops.isascii() and hops.isdigit() else 0


def name_owner(context: Context, address: str) -> None:
    """Tell the Live that passed this call on who owns the session."""
    metadata = tuple(context.trailing_metadata() or ())
    context.set_trailing_metadata((*metadata, (OWNER_KEY, address)))


def named_owner(metadata: Iterable[Any] | None) -> str:
    """Return the owner that trailing metadata names; "" for none."""
    for key, value in metadata or ():
        if key == OWNER_KEY and isinstance(value, str):
            return value
    return ""


def _value(context: Context, wanted: str) -> str | None:
    for key, value in context.invocation_metadata() or ():
        if key == wanted and isinstance(value, str):
            return value
    return None
