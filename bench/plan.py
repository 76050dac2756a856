"""What one run measures, and how long."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The size of a run.

    Attributes:
        in_flight: how many appends are under way at once, each to a session and user of its own.
        rest_in_flight: the same over REST.
        content_bytes: the text of one message.
        sessions: how many the listed user has, each with one message.
        page: how many of them a listing asks for.
        messages: how many the loaded session has.
        repeats: how often every scenario is measured; each repeat goes through all of them, so
            that whatever slows the machine for a while slows all of them.
        warm_up: seconds of load before every window, not counted.
        seconds: the length of a window for appends.
        read_seconds: the same for lists and loads.
    """

    in_flight: tuple[int, ...] = (1, 16, 128)
    rest_in_flight: tuple[int, ...] = (16,)
    content_bytes: int = 512
    sessions: int = 1000
    page: int = 50
    messages: int = 1000
    repeats: int = 5
    warm_up: float = 0.3
    seconds: float = 1.5
    read_seconds: float = 1.0
