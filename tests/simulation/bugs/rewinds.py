"""A session that goes back is what it was, to everybody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.live import forming, past
from services.live.attachment import Attachment
from sessiond.session.state import Session
from tests.faults.check import Law
from tests.simulation.bugs.bug import breaks, goes_back
from tests.simulation.patching import Patch

PROMISE = "a rewind leads to the past"


@breaks(PROMISE, Law.REWIND_UNTOLD, needs=goes_back)
def leave_readers_where_they_are() -> Sequence[Patch]:
    """Show nothing after a rewind but what happens next."""

    def rewound(self: Attachment) -> None:
        pass

    return [(Attachment, "rewound", rewound)]


@breaks(PROMISE, Law.STATE_DIFFERS, needs=goes_back)
def leave_empty_what_is_large() -> Sequence[Patch]:
    """Have a rewound session in memory as its events alone tell of it."""

    def empty(session: Session, past: Session) -> Session:
        return session

    return [(forming, "filled_from", empty)]


@breaks(PROMISE, Law.STATE_DIFFERS, needs=goes_back)
def go_back_one_event_too_far() -> Sequence[Patch]:
    """Take a session as it was before the event that is asked for."""
    read = past._read

    async def earlier(store: Any, session_id: str, to_seq: int) -> Session:
        return await read(store, session_id, max(1, to_seq - 1))

    return [(past, "_read", earlier)]
