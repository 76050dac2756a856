"""Legal holds: what they keep, and how they begin and end."""

from __future__ import annotations

from sessiond.errors import LegalHold, Violations
from sessiond.session.changes import SetHold
from sessiond.session.checks import CONTROL, utf8_length
from sessiond.session.standing import HoldSet
from sessiond.session.state import Session

REASON_CHARACTERS = 500


def set_hold(session: Session, change: SetHold) -> tuple[HoldSet, ...]:
    """Return what begins or ends a hold; () where the session stands so already.

    Raises:
        InvalidArgument: the reason is too long, or more than one line.
    """
    found = Violations()
    if len(change.reason) > REASON_CHARACTERS:
        found.add("reason", f"must be at most {REASON_CHARACTERS} characters")
    if CONTROL.search(change.reason):
        found.add("reason", "must not hold control characters")
    utf8_length(change.reason, "reason", found)
    found.check()
    return () if session.held == change.held else (HoldSet(change.held, change.reason),)


def check_deletion(session: Session) -> None:
    """Return if the session may be deleted.

    Raises:
        LegalHold: a hold keeps it.
    """
    if session.held:
        raise LegalHold
