"""What is told of a change that failed after an attempt of which nobody knows the outcome.

Whoever owns the session looks for the operation id before all else, so most refusals say that no
attempt was stored. Not these: they are given at the door, or because the session has gone since.
"""

from __future__ import annotations

from sessiond.errors import (
    OutcomeUnknown,
    PermissionDenied,
    SessiondError,
    SessionNotFound,
    Unauthenticated,
)

_SETTLE_NOTHING = (Unauthenticated, PermissionDenied, SessionNotFound)


def told(failure: SessiondError, *, in_doubt: bool) -> SessiondError:
    """Return what the caller is told instead of a failure; `in_doubt` is of earlier attempts."""
    if not in_doubt or not isinstance(failure, _SETTLE_NOTHING):
        return failure
    unknown = OutcomeUnknown(
        f"The change may or may not have been stored; then it was refused: {failure.detail}",
        retry_after=None,
    )
    unknown.__cause__ = failure
    return unknown
