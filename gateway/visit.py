"""One stream of a session that is followed, from its hello to its end, without I/O.

What comes in is judged by the link; what is for the reader and for the server comes out, and in the
end how it ended.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from gateway.farewell import Farewell
from gateway.mapping.frames import for_browsers
from sessiond.client.link import Heard, Link, State, frames_in
from sessiond.errors import SessiondError, Unauthenticated, Unavailable
from sessiond.v1.live_pb2 import ClientFrame, Goaway, ServerFrame, Welcome

STABLE_SECONDS = 1.0
"""A stream that stood for so long was a good one: the next is opened at once."""


class Shown(NamedTuple):
    """One frame for the reader, and where it stands after it; "" where that has no name."""

    frame: ServerFrame
    cursor: str = ""


class Visit:
    """One stream, from its hello to its end."""

    def __init__(self, link: Link, *, first: bool) -> None:
        self.goaway = Goaway(reason=Unavailable.reason, reconnect=True)
        self.welcome: Welcome | None = None
        self.over = False
        self._link = link
        self._first = first
        self._loop = asyncio.get_running_loop()
        self._stood_since: float | None = None

    @property
    def stands(self) -> bool:
        """Whether the session was attached over it."""
        return self._stood_since is not None

    @property
    def was_stable(self) -> bool:
        """Whether it stood for long enough that another one will as well."""
        since = self._stood_since
        return since is not None and self._loop.time() - since >= STABLE_SECONDS

    def sent_away(self, goaway: Goaway) -> None:
        """Note how it ended, unless that was told already."""
        if not self.over:
            self.goaway, self.over = goaway, True

    def broke(self, error: SessiondError) -> None:
        """Note that it broke. When to come back is for who sends away to say, and for us here."""
        goaway = Farewell.of(error).goaway
        goaway.ClearField("retry_after_ms")
        self.sent_away(goaway)

    def hear(self, message: ServerFrame) -> tuple[list[Shown], list[ClientFrame]]:
        """Return what a message means to the reader, and what to say about it."""
        shown: list[Shown] = []
        writes: list[ClientFrame] = []
        for frame in frames_in(message):
            if self.over:
                break
            kind = frame.WhichOneof("frame")
            if kind == "welcome":
                if self._first:
                    self._first, self.welcome = False, frame.welcome
                    shown.append(Shown(frame))
            elif kind == "goaway" and self._is_of_the_stream(frame.goaway):
                self.sent_away(frame.goaway)
            elif kind is not None:
                heard = self._link.receive(frame)
                shown.extend(self._shown(each) for each in heard.frames)
                writes.extend(heard.writes)
                self._ended_by(frame, heard)
        if self._stood_since is None and self._link.state is State.ATTACHED:
            self._stood_since = self._loop.time()
        if self.over and shown and shown[-1].frame.WhichOneof("frame") == "goaway":
            shown.pop()
        return shown, writes

    def _is_of_the_stream(self, goaway: Goaway) -> bool:
        # A token belongs to the stream, also where the session's owner is the first to mind it.
        return not goaway.HasField("session_id") or goaway.reason == Unauthenticated.reason

    def _ended_by(self, frame: ServerFrame, heard: Heard) -> None:
        kind = frame.WhichOneof("frame")
        if self._link.state is State.ENDED and kind == "goaway":
            self.sent_away(frame.goaway)
        elif heard.again is not None:
            fault = Goaway(reason=Unavailable.reason, reconnect=True)
            fault.retry_after_ms = round(heard.again * 1000)
            self.sent_away(frame.goaway if kind == "goaway" else fault)

    def _shown(self, frame: ServerFrame) -> Shown:
        kind = frame.WhichOneof("frame")
        durable = kind == "event" or (kind == "snapshot" and frame.snapshot.last)
        return Shown(for_browsers(frame), (self._link.cursor or "") if durable else "")
