"""Failures as frames carry them, as the exceptions that they name."""

from __future__ import annotations

from sessiond.errors import (
    BY_REASON,
    FieldViolation,
    Internal,
    InvalidArgument,
    SessiondError,
    SessionMoved,
    StaleRevision,
)
from sessiond.v1.live_pb2 import Error, Goaway


def from_error(error: Error) -> SessiondError:
    """Return the failure that a reply tells."""
    kind = BY_REASON.get(error.code)
    retry_after = error.retry_after_ms / 1000 or None
    if kind is StaleRevision:
        return StaleRevision(error.revision)
    if kind is InvalidArgument:
        violations = [FieldViolation(each.field, each.message) for each in error.errors]
        return InvalidArgument(violations, error.detail or None)
    return _of(kind, error.detail, retry_after)


def from_goaway(goaway: Goaway) -> SessiondError:
    """Return the failure that ended an attachment or a stream."""
    kind = BY_REASON.get(goaway.reason)
    if kind is InvalidArgument:
        return InvalidArgument(detail=goaway.detail or None)
    return _of(kind, goaway.detail, goaway.retry_after_ms / 1000 or None)


def _of(kind: type[SessiondError] | None, detail: str, retry_after: float | None) -> SessiondError:
    if kind is None:
        return Internal(detail or None)  # a newer server's name: its sentence is all there is
    if kind is SessionMoved:
        return SessionMoved(retry_after=retry_after)
    if kind is StaleRevision:
        return StaleRevision(0)
    return kind(detail or None, retry_after=retry_after)
