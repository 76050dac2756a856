"""The call that is being answered: its request id, who made it, and with which token.

Held in a context variable, so that tasks started by a call inherit it. gRPC parts have it set by
the interceptor, the gateway by its middleware; what a part starts on its own has no call.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from services.serving.claims import ACTING_FOR_KEY, encode_user
from sessiond.errors import Unauthenticated
from sessiond.session.access import Identity

REQUEST_ID_KEY = "x-request-id"
"""gRPC metadata key and HTTP header of the request id."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True)
class Call:
    """What is known about the call that is being answered.

    Attributes:
        request_id: names the call in the logs of every part that it passes.
        identity: the verified caller; None for calls that need no token.
        token: the caller's own bearer token, to call other parts in the caller's name.
        expires_at: when that token ends, in seconds since 1970, leeway included.
    """

    request_id: str
    identity: Identity | None = None
    token: str = field(default="", repr=False)
    expires_at: float = float("inf")

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Return the gRPC metadata that makes a call to another part in the caller's name."""
        pairs = [(REQUEST_ID_KEY, self.request_id)]
        if self.token:
            pairs.append(("authorization", f"Bearer {self.token}"))
        if self.identity is not None and self.identity.acting_for:
            pairs.append((ACTING_FOR_KEY, encode_user(self.identity.acting_for)))
        return tuple(pairs)


_call: ContextVar[Call | None] = ContextVar("call", default=None)


def enter(call: Call) -> None:
    """Make this the current call of the running task, for as long as the task lives."""
    _call.set(call)


@contextmanager
def during(call: Call) -> Iterator[None]:
    """Make this the current call inside the block."""
    token = _call.set(call)
    try:
        yield
    finally:
        _call.reset(token)


def current_call() -> Call | None:
    """Return the call that is being answered, or None outside of any."""
    return _call.get()


def current_identity() -> Identity:
    """Return the verified caller.

    Raises:
        Unauthenticated: there is no call, or it needed no token.
    """
    call = _call.get()
    if call is None or call.identity is None:
        raise Unauthenticated
    return call.identity


def current_request_id() -> str:
    """Return the request id of the current call; "" outside of any."""
    call = _call.get()
    return "" if call is None else call.request_id


def is_request_id(text: str) -> bool:
    """Return whether a caller's request id is taken over: 1 to 64 of `A-Za-z0-9._-`."""
    return _REQUEST_ID.fullmatch(text) is not None
