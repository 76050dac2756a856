"""Agents that write at a steady pace, and readers who note how late each token comes.

Every token has the same length, so its place in the text says which one it is, and with that when
it was due: a token that travels in one frame with others is late like any other.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import floor
from typing import Any

from bench.measuring import Window
from bench.streams import read
from sessiond.v1.live_pb2 import ClientFrame, ServerFrame, Token, WriteToken

TOKEN = "word "
_TICK_SECONDS = 0.001


@dataclass(slots=True)
class Turn:
    """One agent's answer: `number` tells it apart from the others of the run."""

    number: int
    session_id: str
    turn_id: str
    written: int = 0


class Pace:
    """When each token is due: so many a second of every turn, the turns one after the other."""

    def __init__(self, begin: float, turns: int, per_second: int) -> None:
        self._begin = begin
        self._apart = 1 / per_second
        self._shift = self._apart / turns

    def due(self, turn: int, token: int) -> float:
        """Return when this token of this turn is due."""
        return self._begin + token * self._apart + turn * self._shift

    def tokens(self, turn: int, now: float) -> int:
        """Return how many tokens of a turn are due by now."""
        return max(0, floor((now - self._begin - turn * self._shift) / self._apart) + 1)


async def write(call: Any, turns: Sequence[Turn], pace: Pace, end: float, frames: Any) -> None:
    """Write what is due, in one message each time, until the end."""
    while (now := time.perf_counter()) < end:
        due = []
        for turn in turns:
            tokens = pace.tokens(turn.number, now)
            for token in range(turn.written, tokens):
                due.append(frames(turn, token * len(TOKEN)))
            turn.written = max(turn.written, tokens)
        if due:
            await call.write(b"".join(due))
        await asyncio.sleep(_TICK_SECONDS)


def to_live(turn: Turn, offset: int) -> bytes:
    """Return a token as Live takes it."""
    token = WriteToken(session_id=turn.session_id, turn_id=turn.turn_id, offset=offset, text=TOKEN)
    return ClientFrame(batch=[ClientFrame(token=token)]).SerializeToString()


def as_shown(turn: Turn, offset: int) -> bytes:
    """Return a token as readers of Live get it."""
    token = Token(session_id=turn.session_id, turn_id=turn.turn_id, offset=offset, text=TOKEN)
    return ServerFrame(batch=[ServerFrame(token=token)]).SerializeToString()


@dataclass(slots=True)
class Seen:
    """What a reader counted within the window."""

    tokens: int = 0
    frames: int = 0
    messages: int = 0
    something: asyncio.Event = field(default_factory=asyncio.Event)


async def watch(call: Any, numbers: dict[str, int], pace: Pace, window: Window, seen: Seen) -> None:
    """Read tokens for ever, and note how late each is."""
    have = dict.fromkeys(numbers, 0)
    while True:
        data = await read(call)
        now = time.perf_counter()
        counts = window.counts(now)
        seen.messages += counts
        for session_id, offset, length in _tokens(data):
            first, last = have[session_id], (offset + length) // len(TOKEN)
            have[session_id] = max(first, last)
            if counts:
                seen.frames += 1
                seen.tokens += last - first
                turn = numbers[session_id]
                for token in range(first, last):
                    window.answered(pace.due(turn, token), now)
                seen.something.set()


def _tokens(data: bytes) -> Iterator[tuple[str, int, int]]:
    for frame in ServerFrame.FromString(data).batch:
        if frame.HasField("token"):
            token = frame.token
            yield token.session_id, token.offset, len(token.text)
