"""How a failure is told: one line on stderr that begins with its name, and the exit code 1."""

from __future__ import annotations

from sessiond.cli.paint import plain
from sessiond.errors import (
    CARRIED,
    DeadlineExceeded,
    InvalidArgument,
    OutcomeUnknown,
    SessiondError,
    Unauthenticated,
    Unavailable,
)


class CommandFailure(Exception):
    """Something on this side, not the service's, keeps the command from being done.

    The message says in one line what, and what to do about it.
    """


def told(failure: SessiondError, asked: str = "") -> str:
    """Return the line for a failure; `asked` are the addresses, told where nobody answered."""
    detail = failure.detail
    if isinstance(failure, InvalidArgument) and failure.violations:
        detail = "; ".join(f"{each.field} {each.message}" for each in failure.violations)
    if asked and isinstance(failure, Unavailable | DeadlineExceeded | OutcomeUnknown):
        detail = f"{detail} (asked {asked})"
    # A bad field is named as somebody else's file names it.
    return f"{failure.reason}: {' '.join(plain(detail).split())}"


def is_general(failure: SessiondError) -> bool:
    """Return whether a failure says nothing about what was asked: the next call fails as well."""
    return CARRIED[type(failure)].retryable or isinstance(failure, Unauthenticated)
