"""One client's stream: what the conversation asks for is done here, and what happens is written.

One task reads, one writes (the call itself), and each attach that is under way has one of its own.
Nothing else of a stream has a task: changes, events and tokens are plain calls into rooms.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from functools import partial

import structlog

from services.live.attachment import Attachment
from services.live.changes import Counts
from services.live.forwarding import Forward
from services.live.frames import goaway, refusal, reply
from services.live.giving import check_takers
from services.live.joins import new_secret
from services.live.looking_back import look_back, recall
from services.live.outbox import PATIENCE_SECONDS, Outbox
from services.live.past import past_of
from services.live.places import Places, Whereabouts
from services.live.protocol import (
    Action,
    Conversation,
    Finish,
    Follow,
    Greet,
    Leave,
    Make,
    Present,
    Say,
    Write,
)
from services.live.request import Answer, Asked, RoomClosed
from services.live.sharing import link_answer
from services.serving.auth import Authenticator
from services.serving.context import Call
from sessiond.errors import (
    Draining,
    Internal,
    InvalidArgument,
    PermissionDenied,
    SessiondError,
    SlowReader,
    TurnNotFound,
    Unauthenticated,
)
from sessiond.session.access import Identity
from sessiond.session.changes import BeginTurn, MakeLink
from sessiond.session.limits import Limits
from sessiond.session.standing import LinkMade
from sessiond.v1.live_pb2 import ClientFrame, Hello

TURN_ACTIONS = 32
"""Frames of one batch that are taken before others have their turn."""

HELLO_SECONDS = 10.0
"""How long a client may take to say hello."""

_LONGEST_TIMER = 1e6

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all streams of this Live have in common.

    A client may take `patience_seconds` to read anything at all of what waits; then it is slow. It
    may take `farewell_seconds` to read the last frames; then its call is cut. `clock` gives seconds
    since 1970.
    """

    whereabouts: Whereabouts
    authenticator: Authenticator
    counts: Counts
    limits: Limits
    attached_sessions: int
    patience_seconds: float = PATIENCE_SECONDS
    farewell_seconds: float = 5.0
    clock: Callable[[], float] = time.time


@dataclass(slots=True, kw_only=True)
class StreamChange(Asked):
    """A change whose answer goes into a stream.

    It has none when its attachment ends before: the client, told of that, sends it again.
    """

    outbox: Outbox
    attachment: Attachment

    def give(self, answer: Answer | SessiondError) -> None:
        """Give the answer, unless the client was told that there will be none."""
        if self.attachment.ended:
            return
        session_id = self.attachment.session_id
        if isinstance(answer, SessiondError):
            self.outbox.offer(refusal(session_id, self.op_id, answer))
            return
        turn = link = None
        if isinstance(self.change, BeginTurn):
            turn = self.attachment.room.take_up(answer, self.attachment)
        made = answer.record
        if made is not None and isinstance(made.event, LinkMade):
            link = link_answer(made.event, made.time_ms, made.seq, self.secret)
        self.outbox.offer(reply(session_id, self.op_id, answer.seq, turn, link))

    def fail(self, reason: Exception) -> None:
        """Say why there is no answer, where no `goaway` says it."""
        if isinstance(reason, SessiondError):
            self.give(reason)


class Stream:
    """One call of Connect.

    `hops` says how many Lives passed it on, and `counted` whether they count its changes.
    """

    def __init__(
        self, surroundings: Surroundings, call: Call, *, hops: int = 0, counted: bool = False
    ) -> None:
        self.failure: SessiondError | None = None
        """Why it ended; None when the client wished so or vanished."""
        self._around = surroundings
        self._call = call
        self._counted = counted
        self._leaving = False
        self._outbox = Outbox(self._too_slow, patience=surroundings.patience_seconds)
        self._conversation = Conversation(
            surroundings.limits, attached_sessions=surroundings.attached_sessions
        )
        self._places = Places(
            surroundings.whereabouts,
            self._conversation,
            self._outbox,
            caller=lambda: self._call,
            on_ended=self._session_ended,
            hops=hops,
        )
        self._loop = asyncio.get_running_loop()
        self._carrier = asyncio.current_task()
        self._reading: asyncio.Task[None] | None = None
        self._cut: asyncio.TimerHandle | None = None
        self._expiry = self._loop.call_later(HELLO_SECONDS, self._never_greeted)

    def begin(self, requests: AsyncIterator[bytes]) -> None:
        """Do what the client says, until the end."""
        self._reading = asyncio.create_task(self._read(requests), name="stream-read")

    async def take(self) -> bytes:
        """Wait for what is to be written next, and return it; b"" after the end."""
        return await self._outbox.take()

    def end(
        self, reason: SessiondError | None, *, farewell: bytes = b"", drop: bool = False
    ) -> None:
        """End the stream: what waits is written, or dropped, and then a goaway."""
        if self._outbox.ended:
            return
        self.failure = reason
        if reason is not None:
            farewell += goaway(reason)
        self._outbox.end(farewell, at_once=drop)
        if self._carrier is not None:
            self._cut = self._loop.call_later(self._around.farewell_seconds, self._carrier.cancel)

    def leave(self) -> None:
        """Be about to end: with the first session that goes elsewhere, so that clients move once.

        A stream that another Live passes on stays until all its sessions have gone: what is still
        here is reached through it.
        """
        self._leaving = not self._counted

    def _session_ended(self) -> None:
        if self._leaving:
            self.end(Draining())

    async def close(self) -> None:
        """Leave nothing behind."""
        self._outbox.end()
        for timer in (self._expiry, self._cut):
            if timer is not None:
                timer.cancel()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait((self._reading,))
        await self._places.close()

    # --- reading -----------------------------------------------------------------------------

    async def _read(self, requests: AsyncIterator[bytes]) -> None:
        try:
            async for data in requests:
                for number, action in enumerate(self._conversation.receive(data), start=1):
                    await self._outbox.room()  # who does not read the answers is not heard
                    await self._do(action)
                    if self._outbox.ended:
                        return
                    if number % TURN_ACTIONS == 0:
                        await asyncio.sleep(0)  # one large batch holds nobody else up
            # Who vanishes looks as if it had no more to say; either way nobody is there any more.
            self.end(None)
        except SessiondError as error:
            self.end(error)
        except Exception:
            _log.exception("a stream broke")
            self.end(Internal())

    async def _do(self, action: Action) -> None:
        match action:
            case Make():
                await self._make(action)
            case Write():
                await self._write(action)
            case Present():
                await self._present(action)
            case Say():
                self._outbox.offer(action.frame)
            case Follow():
                await self._places.attach(action)
            case Leave():
                self._places.detach(action)
            case Greet():
                await self._greet(action.token)
            case Finish():
                self.end(action.reason)

    async def _greet(self, token: str | None) -> None:
        """Welcome the client, and mind until when its token is good."""
        if token is not None:
            verified = await self._around.authenticator.verify(token)
            before = self._identity()
            identity = replace(verified.identity, acting_for=before.acting_for)
            if identity.actor != before.actor:
                raise PermissionDenied("A fresh token must be of the same caller.")
            self._call = replace(
                self._call, identity=identity, token=token, expires_at=verified.expires_at
            )
        self._mind_expiry()
        if token is not None:
            self._places.check_readers()
            await self._places.everywhere(ClientFrame(hello=Hello(token=token)))
        self._outbox.offer(self._conversation.welcome())

    async def _make(self, asked: Make) -> None:
        place = self._places.get(asked.session_id)
        if place is None:
            return  # it has just ended, and the client is about to hear of it
        try:
            if not self._counted:  # a rate counts where the caller came in
                self._around.counts.take(self._identity())
            link = asked.frame.make_link if isinstance(asked.change, MakeLink) else None
            if link is not None and not link.HasField("secret"):
                link.secret = new_secret()
            if isinstance(place, Forward):
                await place.say(asked.frame)
                return
            room = place.held.room
            change = StreamChange(
                change=asked.change,
                identity=self._identity(),
                op_id=asked.op_id,
                expected_revision=asked.expected_revision,
                secret="" if link is None else link.secret,
                outbox=self._outbox,
                attachment=place.attachment,
            )
            around, check = self._around.whereabouts, partial(room.check_asker, change)
            if not asked.since and room.forgotten:
                await around.rooms.check(place.held, check)
                await recall(around.store, room)
            if asked.since and not room.remembers_since(asked.since):
                await around.rooms.check(place.held, check)
                found = await look_back(around.store, room, change, asked.since)
                if found is not None:
                    await around.rooms.check(place.held, check)  # they may have lost it meanwhile
                    change.give(found)
                    return
            await check_takers(around.store, around.rooms, place.held, change, self._around.limits)
            change.past = await past_of(around.store, room, change)
            room.submit(change)
            around.rooms.wake(place.held)
        except RoomClosed:
            return
        except SessiondError as error:
            if isinstance(place, Forward) or not place.attachment.ended:
                self._outbox.offer(refusal(asked.session_id, asked.op_id, error))

    async def _write(self, asked: Write) -> None:
        place = self._places.get(asked.session_id)
        if isinstance(place, Forward):
            await place.say(asked.frame)
        elif place is not None and place.held.instance.is_alive():
            room = place.held.room
            begun = room.begin_of(asked.turn_id, place.attachment)
            try:
                room.write(place.attachment, asked.turn_id, asked.offset, asked.text)
            except (TurnNotFound, InvalidArgument) as error:
                self._outbox.offer(refusal(asked.session_id, begun, error))

    async def _present(self, asked: Present) -> None:
        place = self._places.get(asked.session_id)
        if isinstance(place, Forward):
            await place.say(asked.frame)
        elif place is not None:
            place.held.room.audience.typing(place.attachment, asked.typing)

    # --- ends --------------------------------------------------------------------------------

    def _identity(self) -> Identity:
        identity = self._call.identity
        if identity is None:
            raise Unauthenticated
        return identity

    def _too_slow(self) -> None:
        """Send a reader away that does not keep up; each session's goaway says where to resume."""
        slow = SlowReader(retry_after=0.1)
        self.end(slow, farewell=self._places.farewell(slow), drop=True)

    def _never_greeted(self) -> None:
        self.end(InvalidArgument(detail="The first frame must be hello."))

    def _mind_expiry(self) -> None:
        self._expiry.cancel()
        left = max(0.0, self._call.expires_at - self._around.clock())
        self._expiry = self._loop.call_later(min(left, _LONGEST_TIMER), self._expired)

    def _expired(self) -> None:
        if self._call.expires_at > self._around.clock():  # it was further off than timers go
            self._mind_expiry()
        else:
            self.end(Unauthenticated("The token has expired."))
