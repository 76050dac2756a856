"""A held session: its room, the instance that holds it, and its use."""

from __future__ import annotations

from asyncio import Future
from dataclasses import dataclass, field

from services.live.registration import Instance
from services.live.room import Room


@dataclass(slots=True)
class Held:
    """A room, the instance that holds it, and its use.

    `users` counts those that are attached or wait for an answer; `used_at` is when the last one
    left, and `since` when Store was asked for the session, in seconds of the loop. `writing` says
    whether a write of the room is asked for or in flight. `commits_left` is how many commits may
    still follow the one in flight: None for any number, while it does not leave.
    """

    room: Room
    instance: Instance
    since: float
    used_at: float
    users: int = 0
    writing: bool = False
    commits_left: int | None = None
    rested: Future[None] | None = field(default=None, repr=False)
    """Done when `writing` ends; there is none unless somebody waits for that."""
    settled: Future[None] | None = field(default=None, repr=False)
    """Done when the next write is settled, `writing` ends, or the room is let go; as `rested`."""
