"""How a turn ended: as it is stored, and as everybody saw it."""

from __future__ import annotations

from collections.abc import Sequence

from sessiond.session.events import Record, TurnEnded
from show.audience import Watcher, complaints_about


def wrong_with(watchers: Sequence[Watcher], turn_id: str, text: str, outcome: str) -> list[str]:
    """Return what is wrong with what any watcher saw of a turn that ended so, with this text."""
    return [
        complaint
        for watcher in watchers
        for complaint in complaints_about(watcher, turn_id, text=text, outcome=outcome)
    ]


def all_saw(watchers: Sequence[Watcher], turn_id: str) -> bool:
    """Return whether everybody who can still watch saw a turn end."""
    return all(
        watcher.failed or (turn_id in watcher.shown and watcher.shown[turn_id].ended)
        for watcher in watchers
    )


def end_of(turn_id: str, records: Sequence[Record]) -> TurnEnded | None:
    """Return the event that ended a turn; None where it is not stored."""
    for record in records:
        if isinstance(record.event, TurnEnded) and record.event.turn_id == turn_id:
            return record.event
    return None
