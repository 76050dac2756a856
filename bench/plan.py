"""What one run measures, and how long."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The size of a run.

    Attributes:
        repeats: how often every case is measured; each repeat goes through all of a group, so that
            whatever slows the machine for a while slows all of them.
        warm_up: seconds of load before every window, not counted.
        seconds: the length of a window.
        content_bytes: the text of one message.
        sessions: appends: in how many at once, one append of each under way.
        streams: over how many streams they go where they share some.
        callers: how many append at once over unary calls and over REST.
        history_sessions, histories: in how many sessions, and after how many messages each.
        loads: how many messages a loaded session has.
        lists: how many sessions are asked for, of how many.
        subscribers: how many follow one session.
        fan_out_in_flight: how many appends of its writer are under way.
        turns, readers, tokens_per_second, token_seconds: so many agents write at that pace, and
            each has so many readers.
        idle_streams, idle_sessions, idle_clients: streams that wait, over how many sessions, in how
            many processes of clients.
        takeover_sessions, takeover_histories: how many sessions lose their owner at once, and how
            many messages each has.
        open_sessions, load: how many sessions take what arrives, and at which part of the capacity
            it arrives.
        held: how many sessions Live holds when its memory is looked at.
        kept_sessions, kept_messages: how many sessions of how many messages etcd is measured with.
    """

    repeats: int = 5
    warm_up: float = 0.3
    seconds: float = 1.5
    content_bytes: int = 512
    sessions: tuple[int, ...] = (1, 16, 128, 512)
    streams: int = 4
    callers: tuple[int, ...] = (1, 16, 128)
    history_sessions: int = 128
    histories: tuple[int, ...] = (0, 1_000, 10_000)
    loads: tuple[int, ...] = (200, 1_000, 10_000)
    lists: tuple[tuple[int, int], ...] = ((50, 10_000), (1_000, 1_000))
    subscribers: tuple[int, ...] = (1, 10, 100, 1_000)
    fan_out_in_flight: int = 8
    turns: int = 50
    readers: int = 20
    tokens_per_second: int = 100
    token_seconds: float = 4.0
    idle_streams: int = 10_000
    idle_sessions: int = 1_000
    idle_clients: int = 2
    takeover_sessions: int = 100
    takeover_histories: tuple[int, ...] = (0, 1_000)
    open_sessions: int = 512
    load: float = 0.7
    held: tuple[int, ...] = (1_000, 10_000)
    kept_sessions: int = 200
    kept_messages: int = 50
