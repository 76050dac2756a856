"""An attached session: its state kept current, its events, and changes to it.

Streams come and go beneath it. What is permanent ends it: the session was deleted, access was
revoked, the token is not taken any more. Then every wait and every iteration raises that failure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sessiond.client import requests
from sessiond.client.backoff import Backoff
from sessiond.client.changes import Changes
from sessiond.client.copy import Copy
from sessiond.client.doubt import told
from sessiond.client.link import Link
from sessiond.client.reader import Reader, Readers
from sessiond.client.sharing import AttachedSharing
from sessiond.client.stream import Stream
from sessiond.client.streams import Streams
from sessiond.client.turn import Turn
from sessiond.client.unanswered import CAPACITY
from sessiond.client.updates import Durable, Presence, Reset, RunningTurn, Update
from sessiond.errors import (
    DeadlineExceeded,
    OutcomeUnknown,
    PayloadTooLarge,
    SessiondError,
    TurnNotFound,
    Unavailable,
)
from sessiond.frame_failures import from_error, from_goaway
from sessiond.session.events import TurnEnded
from sessiond.session.state import (
    Message,
    Session,
    TurnOutcome,
)
from sessiond.v1.event_pb2 import Event
from sessiond.v1.live_pb2 import ClientFrame, Reply, ServerFrame, TurnProgress, UpdatePresence

_FRAME_SPARE = 64
"""Bytes that a frame may gain on its way: `since`, and what stands around it in a batch."""

_ENDED_TURNS = 16


class AttachedSession(Changes, AttachedSharing):
    """One session, followed; made by `Client.attach`.

    Changes return the seq of their event once it is durable, and `state` has it by then. They are
    repeated over reconnects until there is an answer, under the operation id that they were given
    or one of their own, and so are done once. One that is abandoned, by a timeout say, may still
    be done. Refusals are raised: `sessiond.errors`.
    """

    def __init__(
        self,
        session_id: str,
        *,
        tail: int | None,
        new_op_id: Callable[[], str],
        chance: Callable[[], float],
    ) -> None:
        self.id = session_id
        self.new_op_id = new_op_id
        self.link = Link(session_id, tail=tail)
        self.backoff = Backoff(chance)
        self._chance = chance
        self._copy = Copy()
        self._stream: Stream | None = None
        self._ready = asyncio.Event()
        self._failure: SessiondError | None = None
        self._readers = Readers()
        self._replies: dict[str, asyncio.Future[Reply]] = {}
        self._turns: dict[str, Turn] = {}
        self._ended_turns: dict[str, TurnOutcome] = {}
        self._awaited: list[tuple[int, asyncio.Future[None]]] = []
        self._answered = asyncio.Event()
        self._timers: set[asyncio.TimerHandle] = set()

    # --- what it is ----------------------------------------------------------------------------

    @property
    def state(self) -> Session:
        """The session after the newest event that has come."""
        if self._copy.session is None:
            raise RuntimeError("the session is not attached")
        return self._copy.session

    @property
    def messages(self) -> Sequence[Message]:
        """The newest messages, oldest first: those of the tail asked for, and all since."""
        return self._copy.messages

    @property
    def turns(self) -> Mapping[str, RunningTurn]:
        """Answers that agents are writing, by the turn's id, with their text so far."""
        return self._copy.turns

    @property
    def present(self) -> Presence:
        """Who has the session open, and types."""
        return self._copy.presence

    def events(self) -> Reader[Durable]:
        """Return an iterator over what happens from now on.

        It gives each event after `state`, as that stands at this call, exactly once and in order,
        as a `Record`; or a `Reset` where events cannot be had any more: then `state` has been
        loaded anew. It ends when the session is left, and raises what ended the session otherwise.
        """
        return self._reader(durable=True)

    def updates(self) -> Reader[Update]:
        """Return an iterator as `events()` does, over tokens and presence too."""
        return self._reader(durable=False)

    @property
    def readers(self) -> int:
        """How many iterators there are that somebody holds."""
        return len(self._readers)

    def __aiter__(self) -> Reader[Durable]:
        return self.events()

    # --- what is done in it --------------------------------------------------------------------

    async def cancel(self, turn_id: str | None = None, *, op_id: str | None = None) -> int:
        """End a turn now, by default the running one, with the text that there is.

        Raises:
            TurnNotFound: none runs.
        """
        if turn_id is None:
            turn_id = self.state.turn.id if self.state.turn is not None else ""
        if not turn_id:
            raise TurnNotFound
        request = requests.cancel(self.id, turn_id, op_id=op_id or self.new_op_id())
        return await self._done(ClientFrame(cancel=request))

    def turn(self, agent_id: str | None = None, *, expected_revision: int | None = None) -> Turn:
        """Return a turn to be written: `async with session.turn() as turn: await turn.write(...)`.

        Leaving the block ends the turn as completed, an exception as failed. By default the
        session's current agent speaks. With `expected_revision=session.state.seq` it begins only
        if what the worker saw is still all there is: of several workers, one answers.

        Raises (on entering):
            TurnActive: another turn runs.
            StaleRevision: the session has moved on.
        """
        return Turn(self, agent_id, expected_revision)

    def typing(self, typing: bool = True) -> None:
        """Show others that the person types. It ends by itself after 6 s; best effort."""
        presence = UpdatePresence(session_id=self.id, typing=typing)
        self.say(self.link.send(ClientFrame(presence=presence)))

    # --- from turns ----------------------------------------------------------------------------

    def open_turn(self, turn: Turn) -> None:
        """Give a turn the replies to its begin."""
        self._turns[turn.op_id] = turn

    def close_turn(self, turn: Turn) -> None:
        """Forget a turn."""
        self._turns.pop(turn.op_id, None)

    def begin_again(self, begin: ClientFrame, seconds: float) -> None:
        """Say a turn's begin once more, after a pause."""

        def say() -> None:
            self._timers.discard(timer)
            if begin.begin_turn.op_id in self._turns:
                self.send(begin)

        pause = Backoff(self._chance).pause(seconds)
        timer = asyncio.get_running_loop().call_later(pause, say)
        self._timers.add(timer)

    def outcome_of(self, turn_id: str) -> TurnOutcome:
        """Return how a turn ended; one whose end was not seen had lost its worker."""
        return self._ended_turns.get(turn_id, TurnOutcome.INTERRUPTED)

    def mark(self, turn: Turn) -> None:
        """Let a turn's text be written when there is room."""
        if self._stream is not None:
            self._stream.outgoing.mark(turn)

    def send(self, frame: ClientFrame) -> None:
        """Give a change to the link, and write what it says."""
        self.say(self.link.send(frame))

    def say(self, frames: Sequence[ClientFrame]) -> None:
        """Write frames of the link."""
        if frames and self._stream is not None:
            self._stream.say(frames)

    async def change(self, frame: ClientFrame) -> Reply:
        """Make a change, and wait for its reply as long as that takes.

        Raises:
            SessiondError: it was refused, or the session can be followed no longer.
        """
        kind = frame.WhichOneof("frame")
        op_id: str = getattr(frame, kind or "").op_id
        stream = self._open_stream()
        if frame.ByteSize() + _FRAME_SPARE > stream.outgoing.frame_bytes:
            raise PayloadTooLarge
        while len(self._replies) >= CAPACITY // 2:
            self._answered.clear()
            await self._answered.wait()
        await stream.outgoing.room()
        backoff = Backoff(self._chance)
        in_doubt = False
        while True:
            try:
                reply = await self._reply_to(frame, op_id)
            except SessiondError as over:
                raise told(over, in_doubt=in_doubt)  # noqa: B904 - with its own cause
            if not reply.HasField("error"):
                return reply
            failure = from_error(reply.error)
            if not reply.error.retryable:
                raise told(failure, in_doubt=in_doubt)
            in_doubt |= isinstance(failure, OutcomeUnknown | DeadlineExceeded)
            await asyncio.sleep(backoff.pause(failure.retry_after or 0.0))

    # --- from the client -----------------------------------------------------------------------

    async def attach(self, streams: Streams) -> None:
        """Follow the session on a stream, and wait until its state is there."""
        self._stream = streams.carry(self)
        await self._ready.wait()
        if self._failure is not None:
            raise self._failure

    def leave(self) -> None:
        """Follow the session no longer."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.leave(self.id)
        self._end(None)

    # --- from the stream -----------------------------------------------------------------------

    def moved(self, stream: Stream) -> None:
        """Learn that another stream carries the session now."""
        self._stream = stream
        for turn in self._turns.values():
            stream.outgoing.mark(turn)

    def hear(self, frame: ServerFrame) -> None:
        """Take a frame that the link handed on."""
        match frame.WhichOneof("frame"):
            case "event":
                self._hear_event(frame.event)
            case "reply":
                self._hear_reply(frame.reply)
            case "goaway":
                self.fail(from_goaway(frame.goaway))
            case "caught_up":
                self._ready.set()
            case _:
                update = self._copy.take(frame)
                if update is not None:
                    self._show(update)

    def fail(self, failure: SessiondError) -> None:
        """Learn that the session can be followed no longer."""
        self._stream = None
        if self._failure is None:
            self._failure = failure
        self._end(failure)

    # --- inside --------------------------------------------------------------------------------

    async def _done(self, frame: ClientFrame) -> int:
        reply = await self.change(frame)
        if reply.seq > self.state.seq and self._stream is not None:
            # Its event comes right behind it: who asked for the change finds it in the state.
            come: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._awaited.append((reply.seq, come))
            await come
        return reply.seq

    def _open_stream(self) -> Stream:
        if self._stream is None:
            raise self._failure or Unavailable("The session has been left.", retry_after=None)
        return self._stream

    async def _reply_to(self, frame: ClientFrame, op_id: str) -> Reply:
        self._open_stream()
        reply = self._replies.get(op_id)
        if reply is None:
            reply = asyncio.get_running_loop().create_future()
            self._replies[op_id] = reply
        self.send(frame)
        return await asyncio.shield(reply)

    def _hear_reply(self, reply: Reply) -> None:
        turn = self._turns.get(reply.op_id)
        waiting = self._replies.pop(reply.op_id, None)
        self._answered.set()
        if turn is not None:
            if not reply.HasField("error"):
                turn.begun(reply.turn)
            elif waiting is None:
                turn.refused(reply.error)
        elif reply.HasField("turn") and not reply.turn.ended:
            self._end_abandoned(reply.turn)
        if waiting is not None and not waiting.done():
            waiting.set_result(reply)

    def _hear_event(self, event: Event) -> None:
        record = self._copy.take_event(event)
        happened = record.event
        if isinstance(happened, TurnEnded):
            self._ended_turns[happened.turn_id] = happened.outcome
            if len(self._ended_turns) > _ENDED_TURNS:
                del self._ended_turns[next(iter(self._ended_turns))]
            for turn in self._turns.values():
                if turn.id == happened.turn_id:
                    turn.ended(happened.outcome)
        if self._readers:
            self._show(record, event.ByteSize())
        if self._awaited:
            self._let_go(self.state.seq)

    def _end_abandoned(self, progress: TurnProgress) -> None:
        """End a turn whose worker is gone: it gave up while it was begun, or was cancelled."""
        end = requests.end_turn(
            self.id,
            progress.turn_id,
            progress.offset,
            op_id=self.new_op_id(),
            failed=True,
            metadata=None,
        )
        self.send(ClientFrame(end_turn=end))

    def _show(self, update: Update, size: int = 0) -> None:
        if isinstance(update, Reset):
            self._let_go(update.seq)
        self._readers.offer(update, size)

    def _let_go(self, seq: int) -> None:
        for awaited, come in self._awaited:
            if awaited <= seq and not come.done():
                come.set_result(None)
        self._awaited = [each for each in self._awaited if not each[1].done()]

    def _reader(self, *, durable: bool) -> Reader[Any]:
        reader: Reader[Any] = Reader(self.state.seq, durable=durable, on_room=self._go_back)
        if self._stream is None:
            reader.end(self._failure)
        else:
            self._readers.add(reader)
        return reader

    def _go_back(self) -> None:
        """Ask again for the events that passed readers by."""
        self.say(self.link.rewind(self._readers.go_back()))

    def _end(self, failure: SessiondError | None) -> None:
        """Let nobody wait any more."""
        self._ready.set()
        self._readers.end(failure)
        left = OutcomeUnknown("The session was left before the answer came.")
        for op_id, waiting in self._replies.items():
            if not waiting.done():
                waiting.set_exception(told(failure or left, in_doubt=self.link.in_doubt(op_id)))
                waiting.exception()  # nobody may be waiting any more
        self._replies.clear()
        self._answered.set()
        for turn in self._turns.values():
            turn.fail(failure or OutcomeUnknown("The session was left before the turn ended."))
        for _, come in self._awaited:
            if not come.done():
                come.set_result(None)
        self._awaited.clear()
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
