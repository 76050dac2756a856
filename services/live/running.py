"""A turn that runs, in its owner's room: its text, who writes it, and what is still to be stored.

    written --worker leaves--> away --the same begin again--> written
                                 |
                                 +--AWAY_SECONDS--> interrupted

It lives as long as the turn does: what it knows, and its timers, end with it.
"""

from __future__ import annotations

from collections.abc import Callable

from services.live.attachment import Attachment
from services.live.audience import Later, Timer
from services.live.forming import Draft
from services.live.frames import encoded
from services.live.turns import PIECE, TurnText
from sessiond.errors import TurnNotFound, Violations
from sessiond.session.limits import Limits
from sessiond.session.state import TurnOutcome
from sessiond.session.turns import check_piece
from sessiond.v1.live_pb2 import ServerFrame, Token, TurnProgress

DRAFT_SECONDS = 0.1
"""How long what is written in a turn may wait to be stored: half of what is promised."""

AWAY_SECONDS = 10.0
"""How long a worker may stay away from its turn."""


class RunningTurn:
    """One running turn, written by one worker at a time; nobody, until `take_up`.

    `on_due` is called when something is to be stored, and `on_over` when the turn has to end: its
    worker stays away, or wrote too much.
    """

    def __init__(
        self,
        text: TurnText,
        *,
        later: Later,
        on_due: Callable[[], None],
        on_over: Callable[[TurnOutcome], None],
    ) -> None:
        self.text = text
        self.ending = False
        """Whether its end is decided, or asked for by ourselves: then nothing more is taken."""
        self._later = later
        self._on_due = on_due
        self._on_over = on_over
        self._worker: Attachment | None = None
        self._store_soon: Timer | None = None
        self._due = False
        self._shown: tuple[int, int, bytes] = (0, 0, b"")
        self._away: Timer | None = self._wait_for_worker()

    @property
    def id(self) -> str:
        """The turn's id."""
        return self.text.turn.id

    def is_written_by(self, attachment: Attachment) -> bool:
        """Return whether this subscriber is its worker."""
        return attachment is self._worker

    # --- its worker --------------------------------------------------------------------------

    def take_up(self, worker: Attachment) -> TurnProgress:
        """Make a subscriber the worker, and say where it goes on."""
        self._worker = worker
        if self._away is not None:
            self._away.cancel()
            self._away = None
        return TurnProgress(turn_id=self.id, offset=self.text.length)

    def left(self, attachment: Attachment) -> None:
        """Note that a subscriber is gone; if it is the worker, that may come back for a while."""
        if attachment is self._worker:
            self._worker = None
            self._away = self._wait_for_worker()

    def write(self, offset: int, text: str, *, limits: Limits) -> None:
        """Take a piece of the text.

        Raises:
            TurnNotFound: the turn is about to end.
            InvalidArgument: the piece would leave a hole, or is no text that a message may hold.
        """
        if self.ending:
            raise TurnNotFound("The turn is about to end.")
        found = Violations()
        check_piece(text, "text", found, limits=limits)
        found.check()
        if self.text.write(offset, text, limit=limits.content):
            self._store_in_time()
        else:
            self._on_over(TurnOutcome.FAILED)

    # --- what is stored ----------------------------------------------------------------------

    @property
    def due(self) -> bool:
        """Whether something has waited for long enough to be stored by itself."""
        return self._due and not self.ending

    def draft(self) -> Draft | None:
        """Return what is to be stored next; None when nothing is, or the turn's end will do it."""
        self._due = False
        if self.ending or not self.text.unstored:
            return None
        return Draft(self.id, *self.text.store())

    def stored(self, draft: Draft) -> None:
        """Note that a draft is stored."""
        self.text.keep(draft.end)
        if len(draft.text) == PIECE:
            self._due = True  # there was more than one piece takes
        else:
            self._store_in_time()

    def put_off(self) -> None:
        """Note that the draft that was asked for is not stored: it is asked for again in time."""
        self._store_in_time()

    # --- what is shown -----------------------------------------------------------------------

    def frame(self, session_id: str, offset: int) -> bytes:
        """Return the frame of the text after so many characters; encoded once for all who lag so.

        Readers that keep up stand at the same place.
        """
        begins, ends, frame = self._shown
        if (begins, ends) != (offset, self.text.length) or not frame:
            text = self.text.after(offset)
            token = Token(session_id=session_id, turn_id=self.id, offset=offset, text=text)
            frame = encoded(ServerFrame(token=token))
            self._shown = offset, self.text.length, frame
        return frame

    def close(self) -> None:
        """Let nothing more come of it."""
        for timer in (self._away, self._store_soon):
            if timer is not None:
                timer.cancel()

    # --- inside ------------------------------------------------------------------------------

    def _wait_for_worker(self) -> Timer:
        return self._later(AWAY_SECONDS, lambda: self._on_over(TurnOutcome.INTERRUPTED))

    def _store_in_time(self) -> None:
        if self._store_soon is None and self.text.unstored:
            self._store_soon = self._later(DRAFT_SECONDS, self._is_due)

    def _is_due(self) -> None:
        self._store_soon, self._due = None, True
        self._on_due()
