"""No gap, no guess, no repeat, and nothing that is not stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.live import catch_up
from services.live.attachment import Attachment
from services.live.catch_up import REPLAYED, CatchUp
from services.live.forming import Formed
from services.live.outbox import Outbox
from services.live.room import Room
from sessiond.cursor import Cursor
from tests.faults.check import Law
from tests.simulation.bugs.bug import breaks, every, several, slow
from tests.simulation.patching import Patch

GATE = "output gate: shown is stored"
PROMISE = "no gap, no guess"


@breaks(GATE, Law.SHOWN_NOT_STORED, Law.STREAM_REPEAT, Law.TWO_CONTENTS)
def show_before_commit() -> Sequence[Patch]:
    """Show the events of a commit when it is formed."""
    form = Room.form

    def early(self: Room) -> Formed | None:
        formed = form(self)
        for record in formed.records if formed is not None else ():
            self.audience.show(record)
        return formed

    return [(Room, "form", early)]


@breaks(PROMISE, Law.STREAM_GAP)
def resume_one_too_late() -> Sequence[Patch]:
    """Leave out the first event after a cursor."""
    events = CatchUp._events

    async def late(self: CatchUp, room: Room, seq: int, session: Any) -> None:
        await events(self, room, seq + 1, session)

    return [(CatchUp, "_events", late)]


@breaks(PROMISE, Law.STREAM_REPEAT)
def resume_one_too_early() -> Sequence[Patch]:
    """Show the last event that the reader has once more."""
    events = CatchUp._events

    async def early(self: CatchUp, room: Room, seq: int, session: Any) -> None:
        await events(self, room, max(1, seq - 1), session)

    return [(CatchUp, "_events", early)]


@breaks(PROMISE, Law.STREAM_GAP, needs=slow)
def drop_when_the_queue_is_full() -> Sequence[Patch]:
    """Leave out what a slow reader has no room for."""
    offer = Outbox.offer

    def dropping(self: Outbox, frame: bytes, *more: Any, **also: Any) -> None:
        if self.fits(len(frame)) or not self._queue:
            offer(self, frame, *more, **also)

    return [(Outbox, "offer", dropping)]


@breaks(PROMISE, Law.STREAM_GAP, needs=slow)
def forget_the_backlog() -> Sequence[Patch]:
    """Leave out what happens while a reader catches up for too long."""
    event = Attachment.event

    def forgetting(self: Attachment, seq: int, frame: bytes) -> None:
        event(self, seq, frame)
        self.overtaken = ""

    return [(Attachment, "event", forgetting)]


@breaks(PROMISE, Law.WRONG_LOG, needs=several)
def take_any_cursor() -> Sequence[Patch]:
    """Go on from a cursor of another session's log."""

    def why_not(cursor: Cursor | None, room: Room) -> str:
        if cursor is None or cursor.seq > room.session.seq:
            return "CURSOR_INVALID"
        return "CURSOR_TOO_OLD" if room.session.seq - cursor.seq > REPLAYED else ""

    return [(catch_up, "why_not", why_not)]


@breaks("snapshot + events = snapshot", Law.READ_TORN, Law.STREAM_REPEAT, needs=every())
def date_a_snapshot_later() -> Sequence[Patch]:
    """Say that a snapshot stands where the session stands when its last part is shown."""
    show = CatchUp._show_part

    async def later(self: CatchUp, room: Room, session: Any, part: Any) -> None:
        await show(self, room, room.session, part)

    return [(CatchUp, "_show_part", later)]
