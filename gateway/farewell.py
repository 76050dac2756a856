"""How a stream to a browser ends: what it hears last, and with which code its WebSocket closes."""

from __future__ import annotations

from typing import Self

from sessiond.errors import BY_REASON, CARRIED, COME_BACK, InvalidArgument, SessiondError
from sessiond.frame_failures import from_goaway, to_goaway
from sessiond.v1.live_pb2 import Goaway

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
        return cls(to_goaway(error))

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
        return from_goaway(self.goaway)


def in_a_sentence(error: SessiondError) -> SessiondError:
    """Return the failure with its bad fields in its detail: a farewell has no place for them."""
    if not isinstance(error, InvalidArgument) or not error.violations:
        return error
    named = "; ".join(f"{field[:50]} {message}" for field, message in error.violations[:5])
    return InvalidArgument(detail=f"{error.detail} {named}.")
