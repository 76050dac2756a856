"""One stream's subscription to one room: what its reader has been shown, and what comes next.

    catching up <--caught_up, rewound--> present --end--> ended
         |                                                 ^
         +------------------------end----------------------+

While it catches up, what happens in the room waits in the backlog, which has a bound; beyond it the
stream finds `overtaken` and begins again with a snapshot. So it does when the session goes back:
what events tell of that is not enough for a reader, who may never have had what is there again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from services.live.frames import goaway
from services.live.outbox import CAPACITY, Outbox
from sessiond.errors import SessiondError, SlowReader
from sessiond.session.access import Identity

if TYPE_CHECKING:
    from services.live.room import Room


BACKLOG = CAPACITY // 2
"""Bytes that may wait for a subscriber that catches up: what fits the outbox when it has."""

REWOUND = "REWOUND"
"""Why a reader gets a snapshot when the session has gone back."""


class Attachment:
    """A subscriber. The room calls it; it never waits."""

    def __init__(
        self,
        room: Room,
        outbox: Outbox,
        *,
        identity: Callable[[], Identity],
        on_end: Callable[[Attachment], None],
        on_rewound: Callable[[], None],
    ) -> None:
        """Subscribe; `identity` is the stream's, which a fresh token may change.

        `on_rewound` must bring a reader that was at the present there again.
        """
        self.room = room
        self.sent_seq = 0
        self.typing = False
        self.ended = False
        self.overtaken = ""
        """Why a snapshot must take the place of what was to be shown; "" while none must."""
        self._outbox = outbox
        self._identity = identity
        self._on_end = on_end
        self._on_rewound = on_rewound
        self._backlog: list[tuple[int, bytes]] | None = []
        self._backlog_size = 0
        self._turn_id = ""
        self._shown = 0
        self._presence: bytes | None = None

    @property
    def session_id(self) -> str:
        """Which session."""
        return self.room.session.id

    @property
    def identity(self) -> Identity:
        """Who reads."""
        return self._identity()

    @property
    def cursor(self) -> str:
        """From where its reader resumes, as far as we know."""
        return self.room.cursor(self.sent_seq) if self.sent_seq else ""

    # --- from the room -------------------------------------------------------------------------

    def event(self, seq: int, frame: bytes) -> None:
        """Show an event that is stored."""
        if self._backlog is None:
            self._outbox.offer(frame, self, seq)
        elif self._backlog_size + len(frame) > BACKLOG:
            self._overtake(SlowReader.reason)
        elif not self.overtaken:
            self._backlog.append((seq, frame))
            self._backlog_size += len(frame)

    def rewound(self) -> None:
        """Show a snapshot next: the session has gone back."""
        present = self._backlog is None
        self._overtake(REWOUND)
        if present and not self.ended:
            self._on_rewound()

    def tokens(self) -> None:
        """Show what was written in the running turn, with the next write."""
        if self._backlog is None:
            self._outbox.mark(self)

    def last_tokens(self) -> None:
        """Show what is left of the running turn before the event that ends it, if there is room."""
        if self._backlog is None and (frame := self._token()) and self._outbox.fits(len(frame)):
            self._outbox.offer(frame)

    def presence(self, frame: bytes) -> None:
        """Show who is here, with the next write; a newer one takes its place."""
        self._presence = frame
        if self._backlog is None:
            self._outbox.mark(self)

    def end(self, reason: SessiondError) -> None:
        """Say that the attachment has ended, and why."""
        if not self.ended:
            self.detach()
            self._outbox.offer(goaway(reason, session_id=self.session_id, cursor=self.cursor))
            self._on_end(self)

    # --- from the stream -----------------------------------------------------------------------

    def has_text(self, turn_id: str, length: int) -> None:
        """Note that the reader was told so many characters of the running turn."""
        self._turn_id, self._shown = turn_id, length

    def wait_again(self) -> None:
        """Catch up again, from a snapshot; the running turn's text is shown from its beginning."""
        self.overtaken = ""
        self._turn_id, self._shown = "", 0
        self._backlog, self._backlog_size = [], 0

    def caught_up(self) -> None:
        """Show what happened meanwhile, and from now on everything as it happens."""
        backlog, self._backlog = self._backlog or [], None
        self._backlog_size = 0
        for seq, frame in backlog:
            self._outbox.offer(frame, self, seq)
        self._outbox.mark(self)

    def detach(self) -> None:
        """Leave the room; nothing more comes of it."""
        if not self.ended:
            self.ended = True
            self._outbox.unmark(self)
            self.room.left(self)

    def sample(self) -> list[bytes]:
        """Return the newest tokens and who is here, where the reader has not seen them."""
        frames = []
        if token := self._token():
            frames.append(token)
        if self._presence is not None:
            frames.append(self._presence)
            self._presence = None
        return frames

    def _overtake(self, reason: str) -> None:
        self.overtaken = reason
        self._backlog, self._backlog_size = [], 0

    def _token(self) -> bytes:
        turn = self.room.turn
        if turn is None:
            return b""
        if turn.turn.id != self._turn_id:
            self._turn_id, self._shown = turn.turn.id, 0
        if turn.length <= self._shown:
            return b""
        frame = self.room.token(self._shown)
        self._shown = turn.length
        return frame
