"""How a stream to a browser ends: what it hears last, and with which code its WebSocket closes."""

from __future__ import annotations

from typing import Self

from sessiond.errors import BY_REASON, CARRIED, InvalidArgument, SessiondError, SessionMoved
from sessiond.v1.live_pb2 import Goaway

COME_BACK = range(4000, 4500)
"""The close codes that say "come back and resume"; those from 4500 to 4999 say "do not"."""

CLOSED = 1000
"""The close code after a `close` frame."""


class Farewell(Exception):
    """The end of a stream, by the `goaway` that says why; it is the farewell's from here on."""

    def __init__(self, goaway: Goaway) -> None:
        goaway.ClearField("owner")
        self.goaway = goaway
        super().__init__(goaway.reason)

    @classmethod
    def of(cls, error: SessiondError) -> Self:
        """Return the end by a failure."""
        return cls(
            Goaway(
                reason=error.reason,
                reconnect=comes_back(error),
                retry_after_ms=round((error.retry_after or 0) * 1000),
                detail=error.detail.encode("utf-8", "replace").decode(),
            )
        )

    @property
    def code(self) -> int:
        """The close code. A reason that we do not know yet is told by its range alone."""
        kind = BY_REASON.get(self.goaway.reason)
        code = None if kind is None else CARRIED[kind].close
        if code is None or (code in COME_BACK) != self.goaway.reconnect:
            return COME_BACK.start if self.goaway.reconnect else COME_BACK.stop
        return code

    @property
    def failure(self) -> SessiondError:
        """The failure, for an answer that has not begun yet."""
        kind = BY_REASON.get(self.goaway.reason, InvalidArgument)
        retry_after = self.goaway.retry_after_ms / 1000 or None
        if kind is InvalidArgument:
            return InvalidArgument(detail=self.goaway.detail)
        if kind is SessionMoved:
            return SessionMoved(retry_after=retry_after)
        return kind(self.goaway.detail, retry_after=retry_after)


def comes_back(error: SessiondError) -> bool:
    """Return whether one who was sent away by this failure shall come back."""
    return CARRIED[type(error)].close in COME_BACK


def in_a_sentence(error: SessiondError) -> SessiondError:
    """Return the failure with its bad fields in its detail: a farewell has no place for them."""
    if not isinstance(error, InvalidArgument) or not error.violations:
        return error
    named = "; ".join(f"{field[:50]} {message}" for field, message in error.violations[:5])
    return InvalidArgument(detail=f"{error.detail} {named}.")
