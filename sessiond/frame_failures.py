"""Failures as the frames of streams carry them: to frames at the server, and back at clients."""

from __future__ import annotations

from sessiond.errors import (
    CARRIED,
    FieldViolation,
    InvalidArgument,
    SessiondError,
    SessionMoved,
    StaleRevision,
    comes_back,
    named,
)
from sessiond.v1.live_pb2 import Error, Goaway

_VIOLATIONS = 100
_FIELD_CHARACTERS = 200


def to_error(error: SessiondError) -> Error:
    """Return what a reply tells; of very many bad fields, the first hundred."""
    told = Error(
        code=error.reason,
        detail=_text(error.detail),
        retryable=CARRIED[type(error)].retryable,
        retry_after_ms=_milliseconds(error),
    )
    if isinstance(error, InvalidArgument):
        for field, message in error.violations[:_VIOLATIONS]:
            told.errors.add(field=_text(field[:_FIELD_CHARACTERS]), message=_text(message))
    if isinstance(error, StaleRevision):
        told.revision = error.revision
    return told


def from_error(error: Error) -> SessiondError:
    """Return the failure that a reply tells."""
    return named(
        error.code,
        error.detail,
        retry_after=error.retry_after_ms / 1000 or None,
        violations=[FieldViolation(each.field, each.message) for each in error.errors],
        facts={"revision": str(error.revision)},
    )


def to_goaway(error: SessiondError, *, session_id: str | None = None, cursor: str = "") -> Goaway:
    """Return the end of an attachment, or of the stream, by this failure."""
    owner = error.owner_address if isinstance(error, SessionMoved) else ""
    return Goaway(
        session_id=session_id,
        reason=error.reason,
        reconnect=comes_back(error),
        retry_after_ms=_milliseconds(error),
        cursor=cursor or None,
        detail=_text(error.detail),
        owner=owner or None,
    )


def from_goaway(goaway: Goaway) -> SessiondError:
    """Return the failure that ended an attachment or a stream."""
    retry_after = goaway.retry_after_ms / 1000 or None
    return named(goaway.reason, goaway.detail, retry_after=retry_after)


def _milliseconds(error: SessiondError) -> int:
    return round((error.retry_after or 0) * 1000)


def _text(text: str) -> str:
    # Names come from callers' JSON, which can spell lone surrogates.
    return text.encode("utf-8", "replace").decode()
