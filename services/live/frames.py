"""Frames of the live stream as bytes: encoded once, and joined without being encoded again.

Every frame is encoded inside `batch`, a repeated field, so that frames put one after the other are
one message that holds them all.
"""

from __future__ import annotations

from sessiond.errors import CARRIED, InvalidArgument, SessiondError, StaleRevision
from sessiond.v1.live_pb2 import Error, FieldError, Goaway, Reply, ServerFrame, TurnProgress

_COME_BACK = range(4000, 4500)


def encoded(frame: ServerFrame) -> bytes:
    """Return the frame as a batch of one."""
    return ServerFrame(batch=[frame]).SerializeToString()


def comes_back(error: SessiondError) -> bool:
    """Return whether a client that was sent away by this shall come back."""
    return CARRIED[type(error)].close in _COME_BACK


def goaway(error: SessiondError, *, session_id: str | None = None, cursor: str = "") -> bytes:
    """Return the frame that ends an attachment, or the stream, by this failure."""
    owner = getattr(error, "owner_address", "")
    return encoded(
        ServerFrame(
            goaway=Goaway(
                session_id=session_id,
                reason=error.reason,
                reconnect=comes_back(error),
                retry_after_ms=round((error.retry_after or 0) * 1000),
                cursor=cursor or None,
                detail=error.detail,
                owner=owner or None,
            )
        )
    )


def reply(session_id: str, op_id: str, seq: int, turn: TurnProgress | None = None) -> bytes:
    """Return the answer to a change that was made."""
    return encoded(ServerFrame(reply=Reply(session_id=session_id, op_id=op_id, seq=seq, turn=turn)))


def refusal(session_id: str, op_id: str, error: SessiondError) -> bytes:
    """Return the answer to a change that was not made, or of which that is not known."""
    told = Error(
        code=error.reason,
        detail=error.detail,
        retryable=CARRIED[type(error)].retryable,
        retry_after_ms=round((error.retry_after or 0) * 1000),
    )
    if isinstance(error, InvalidArgument):
        told.errors.extend(
            FieldError(field=each.field, message=each.message) for each in error.violations
        )
    if isinstance(error, StaleRevision):
        told.revision = error.revision
    return encoded(ServerFrame(reply=Reply(session_id=session_id, op_id=op_id, error=told)))
