"""An agent's answer in progress, as the worker that writes it sees it.

    begin --reply--> writing --end--> ended as completed, or failed by an exception
      ^                 |
      +-- reconnected --+--cancelled by somebody, interrupted, failed--> over

The turn keeps its whole text until it ends. After any interruption the begin is said again under
its operation id, and the reply says from which character on the text has to be said again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from sessiond.client import requests
from sessiond.errors import SessiondError
from sessiond.frame_failures import from_error
from sessiond.session.state import TurnOutcome
from sessiond.v1.live_pb2 import ClientFrame, Error, TurnProgress, WriteToken

if TYPE_CHECKING:
    from sessiond.client.session import AttachedSession

PIECE = 64 * 1024
"""Characters of one token frame, at most 256 KiB."""

UNSENT = 64 * 1024
"""Characters that may wait to be sent before `write` waits."""

FAILING_SECONDS = 5.0
"""How long an exception waits for the end of its turn; one that is not ended is interrupted."""


class TurnOver(Exception):
    """The turn ended before its worker ended it, with the text that was stored.

    `outcome` is `interrupted` when the worker was away too long, and `failed` when the text became
    too long.
    """

    def __init__(self, outcome: TurnOutcome) -> None:
        self.outcome = outcome
        super().__init__(f"the turn was ended: {outcome}")


class TurnCancelled(TurnOver):
    """Somebody cancelled the turn."""

    def __init__(self) -> None:
        super().__init__(TurnOutcome.CANCELLED)


class Turn:
    """One turn; made by `AttachedSession.turn`, and used with `async with`.

    Attributes:
        id: names the turn, once begun.
        metadata: kept with the message that the turn becomes; to be set before it ends.
        seq: the seq of the event that ended it; 0 before.
    """

    def __init__(
        self, session: AttachedSession, agent_id: str | None, expected_revision: int | None
    ) -> None:
        self.id = ""
        self.metadata: Mapping[str, Any] | None = None
        self.seq = 0
        self._session = session
        self._begin = ClientFrame(
            begin_turn=requests.begin_turn(
                session.id,
                op_id=session.new_op_id(),
                agent_id=agent_id,
                expected_revision=expected_revision,
            )
        )
        self._pieces: list[str] = []
        self._length = 0
        self._sent = 0
        self._unsent: list[str] = []
        self._roomy = asyncio.Event()
        self._roomy.set()
        self._settled = asyncio.Event()
        self._over = asyncio.Event()
        self._outcome: TurnOutcome | None = None
        self._failure: SessiondError | None = None
        self._refusals = 0

    @property
    def op_id(self) -> str:
        """The operation id of its begin."""
        return self._begin.begin_turn.op_id

    @property
    def text(self) -> str:
        """Everything written so far."""
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0] if self._pieces else ""

    @property
    def cancelled(self) -> bool:
        """Whether somebody cancelled it."""
        return self._outcome is TurnOutcome.CANCELLED

    async def wait_over(self) -> None:
        """Wait until the turn is over, however that came: for workers that wait for something."""
        await self._over.wait()

    async def write(self, text: str) -> None:
        """Add to the text. It is sent, and sent again where needed, without being waited for.

        Waits only while much of the text cannot be sent.

        Raises:
            TurnCancelled: somebody cancelled the turn.
            TurnOver: the turn has ended otherwise.
            SessiondError: the session can be followed no longer.
            UnicodeEncodeError: the text holds half a surrogate pair.
        """
        if not text.isascii():
            text.encode()
        self._check()
        if not text:
            return
        self._pieces.append(text)
        self._length += len(text)
        self._unsent.append(text)
        self._session.mark(self)
        if self._length - self._sent > UNSENT:
            self._roomy.clear()
            await self._roomy.wait()
            self._check()

    async def __aenter__(self) -> Self:
        self._session.open_turn(self)
        try:
            await self._session.change(self._begin)
        except BaseException:
            self._session.close_turn(self)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                await self._end()
            elif not self._over.is_set():
                await self._fail(waits=isinstance(error, Exception))
        finally:
            self._session.close_turn(self)

    # --- from the session ----------------------------------------------------------------------

    def begun(self, progress: TurnProgress) -> None:
        """Take the reply to the begin, or to its repetition: go on from the offset that it names.

        That it has ended says nothing of how; the event that ended it does.
        """
        self.id = progress.turn_id or self.id
        self._refusals = 0
        if progress.ended:
            self.ended(self._session.outcome_of(self.id))
            return
        self._sent = min(progress.offset, self._length)
        self._unsent = [self.text[self._sent :]] if self._sent < self._length else []
        self._settled.set()
        self._session.mark(self)

    def refused(self, error: Error) -> None:
        """Learn that the text was not taken: begin again, and give up when that does not help."""
        failure = from_error(error)
        self._settled.clear()
        self._refusals += 1
        if not error.retryable and self._refusals > 1:
            self.fail(failure)
        else:
            self._session.begin_again(self._begin, failure.retry_after or 0.0)

    def ended(self, outcome: TurnOutcome) -> None:
        """Learn that the turn has ended."""
        self._outcome = outcome
        self._stop()

    def fail(self, failure: SessiondError) -> None:
        """Learn that the turn cannot go on."""
        self._failure = self._failure or failure
        self._stop()

    def pull(self) -> tuple[Sequence[ClientFrame], bool]:
        """Return the next piece of text to write, and whether there is more."""
        if not self._unsent or not self._settled.is_set():
            return (), False
        text = "".join(self._unsent)
        piece = text[:PIECE]
        token = WriteToken(
            session_id=self._session.id, turn_id=self.id, offset=self._sent, text=piece
        )
        frames = self._session.link.send(ClientFrame(token=token))
        if not frames:
            # Not begun on this attachment: the begin's next reply says where to go on.
            self._unsent = [text]
            return (), False
        self._sent += len(piece)
        self._unsent = [text[PIECE:]] if len(text) > PIECE else []
        if self._length - self._sent <= UNSENT:
            self._roomy.set()
        return frames, len(text) > PIECE

    # --- inside --------------------------------------------------------------------------------

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._outcome is not None:
            raise TurnCancelled if self.cancelled else TurnOver(self._outcome)

    def _stop(self) -> None:
        self._over.set()
        self._settled.set()
        self._roomy.set()
        self._unsent.clear()

    def _flush(self) -> None:
        more = True
        while more:
            frames, more = self.pull()
            self._session.say(frames)

    def _ending(self, *, failed: bool) -> ClientFrame:
        self._flush()
        return ClientFrame(
            end_turn=requests.end_turn(
                self._session.id,
                self.id,
                self._length,
                op_id=self._session.new_op_id(),
                failed=failed,
                metadata=self.metadata,
            )
        )

    async def _end(self) -> None:
        await self._settled.wait()
        self._check()
        try:
            reply = await self._session.change(self._ending(failed=False))
        except SessiondError:
            self._check()  # where it was cancelled just now, that is what the worker is told
            raise
        self.seq = reply.seq

    async def _fail(self, *, waits: bool) -> None:
        """End the turn as failed; what went wrong is told by the exception under way."""
        ending = self._ending(failed=True)
        if not waits:
            self._session.send(ending)
            return
        try:
            async with asyncio.timeout(FAILING_SECONDS):
                reply = await self._session.change(ending)
        except (SessiondError, TimeoutError):
            return
        self.seq = reply.seq
