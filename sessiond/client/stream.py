"""One gRPC stream that carries attached sessions, kept up over addresses that come and go.

    connecting --welcome--> carrying --goaway, broken--> a pause --> connecting (next address)
         |                     |
         +------ a failure that no address and no token mends: every session is told, over

One task carries the stream: it reads, and beside it one writes and one renews the token while the
call stands. Nothing waits here that has to survive the call: changes without a reply wait in their
links, text that was not sent in its turn.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import grpc

from sessiond.client.backoff import Backoff
from sessiond.client.channels import MIB, metadata_of
from sessiond.client.link import Link, State
from sessiond.client.outgoing import Outgoing, in_batch
from sessiond.client.tokens import Tokens
from sessiond.errors import (
    CARRIED,
    Internal,
    OutcomeUnknown,
    RateLimited,
    SessiondError,
    Unauthenticated,
)
from sessiond.frame_failures import from_goaway
from sessiond.status import from_rpc_error
from sessiond.v1.live_pb2 import ClientFrame, Close, Goaway, Hello, ServerFrame

CONNECT_SECONDS = 5.0
"""How long an address may take until its welcome; then the next one is tried."""

FAREWELL_SECONDS = 1.0
"""How long leaving may take."""

DETOUR_SECONDS = 1.0
"""How long a session is attached elsewhere than at its owner, at most, before it is moved there."""

STEADY_SECONDS = 1.0
"""A call that stood so long was a success: pauses begin small again."""

_COME_BACK = range(4000, 4500)

_log = logging.getLogger("sessiond.client")

Call = grpc.aio.StreamStreamCall[bytes, ServerFrame]
Connect = Callable[..., Call]


class Follower(Protocol):
    """A session that a stream carries."""

    link: Link
    backoff: Backoff
    """Of attaches that do not come to the present."""

    def moved(self, stream: Stream) -> None:
        """Learn that another stream carries the session now."""

    def hear(self, frame: ServerFrame) -> None:
        """Take a frame that the link handed on."""

    def fail(self, failure: SessiondError) -> None:
        """Learn that the session can be followed no longer."""


class Guide(Protocol):
    """Who knows the client's other streams."""

    def greeted(self, stream: Stream) -> None:
        """Learn that a stream has its welcome."""

    def elsewhere(self, stream: Stream, follower: Follower, owner: str) -> None:
        """Learn that a session of the stream is owned at another address."""

    def given_away(self, stream: Stream, follower: Follower, owner: str) -> bool:
        """Learn where a session is owned now that has just left the stream's other end.

        Return whether another stream carries it.
        """


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all streams of a client have in common.

    Attributes:
        connects: by the address of each Live, what opens a call there.
        tokens: who calls.
        acting_for: the user that a service acts for.
        chance: gives numbers from 0 to 1, for pauses and for the first address.
    """

    connects: Mapping[str, Connect]
    tokens: Tokens
    acting_for: str | None
    chance: Callable[[], float]


@dataclass(slots=True, eq=False)
class _Place:
    follower: Follower
    owner: str = ""
    timer: asyncio.TimerHandle | None = None


def connector(channel: grpc.aio.Channel) -> Connect:
    """Return what opens a call of Connect; frames go out as bytes, and are decoded once."""
    return channel.stream_stream(
        "/sessiond.v1.LiveService/Connect",
        request_serializer=None,
        response_deserializer=ServerFrame.FromString,
    )


class Stream:
    """Carries up to `capacity` sessions. It begins with the first one, and ends with `close`.

    `first` is the address that is tried first; by default that is left to chance. Once it has no
    connection and carries nothing, it is over by itself.
    """

    def __init__(self, around: Surroundings, guide: Guide, first: str = "") -> None:
        self.capacity = 1000
        self.outgoing = Outgoing()
        self.address = first
        """Where it leads, or is about to."""
        self._around = around
        self._guide = guide
        self._places: dict[str, _Place] = {}
        self._connected = False
        self._closing = False
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._places)

    @property
    def connected(self) -> bool:
        """Whether it has had its welcome, and stands."""
        return self._connected

    @property
    def over(self) -> bool:
        """Whether it carries nothing any more."""
        return self._closing or (self._task is not None and self._task.done())

    def carries(self, follower: Follower) -> bool:
        """Return whether it carries this very session."""
        place = self._places.get(follower.link.session_id)
        return place is not None and place.follower is follower

    def takes(self, follower: Follower) -> bool:
        """Return whether it has room, and does not carry the same session for somebody else."""
        room = len(self._places) < self.capacity and not self.over
        return room and follower.link.session_id not in self._places

    def begin(self) -> None:
        """Connect, if that was not begun already."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="sessiond-stream")

    def follow(self, follower: Follower) -> None:
        """Carry one more session."""
        place = _Place(follower)
        self._places[follower.link.session_id] = place
        if self._connected:
            self._attach(place)
        self.begin()

    def leave(self, session_id: str) -> None:
        """Carry a session no longer."""
        place = self._places.pop(session_id, None)
        if place is not None:
            self._disarm(place)
            self.say(place.follower.link.detach())

    def release(self, follower: Follower) -> None:
        """Carry a session no longer that another stream is about to carry."""
        place = self._places.pop(follower.link.session_id)
        self._disarm(place)
        self.say(follower.link.withdraw())

    def say(self, frames: Iterable[ClientFrame]) -> None:
        """Write frames after those that wait. While there is no connection nothing is kept."""
        if self._connected:
            self.outgoing.put(frames)

    async def close(self) -> None:
        """Say goodbye, and leave nothing behind."""
        self._closing = True
        task = self._task
        if task is not None:
            try:
                if self._connected:
                    self.say([ClientFrame(close=Close())])
                    await asyncio.wait([task], timeout=FAREWELL_SECONDS)
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        self._fail(OutcomeUnknown("The client was left before an answer came."))

    # --- one call after the other ------------------------------------------------------------

    async def _run(self) -> None:
        try:
            await self._carry_on()
        except SessiondError as failure:
            self._fail(failure)
        except Exception:
            _log.exception("a stream broke")
            self._fail(Internal("The client library failed; its log says more."))

    async def _carry_on(self) -> None:
        connects = self._around.connects
        addresses = tuple(connects)
        index = int(self._around.chance() * len(addresses)) % len(addresses)
        if self.address:
            index = addresses.index(self.address)
        backoff = Backoff(self._around.chance)
        clock = asyncio.get_running_loop().time
        refused = fresh = ""
        while True:
            began = clock()
            least = 0.0
            token, fresh = fresh, ""
            self.address = addresses[index]
            try:
                token = token or await self._token()
                least = await self._carry(connects[self.address], token)
            except TimeoutError:
                pass
            except Unauthenticated:
                # Once more with another token, if there is one.
                if not self._around.tokens.renewable or token == refused:
                    raise
                refused = token
                fresh = await self._token(other_than=token)
            finally:
                self._lost()
            if self._closing or not self._places:
                return
            if clock() - began > STEADY_SECONDS:
                backoff.reset()
            index = (index + 1) % len(addresses)
            await asyncio.sleep(backoff.pause(least))

    async def _token(self, other_than: str | None = None) -> str:
        tokens = self._around.tokens
        while True:
            try:
                if other_than is None:
                    return await tokens.current()
                return await tokens.another(other_than)
            except SessiondError:
                raise
            except Exception:
                _log.warning("no token can be had; trying again", exc_info=True)
                await asyncio.sleep(STEADY_SECONDS)

    async def _carry(self, connect: Connect, token: str) -> float:
        """Carry one call to its end, and return how long its server asks to wait.

        Raises:
            TimeoutError: it did not come to a welcome in time.
            SessiondError: coming back is of no use.
        """
        call = connect(metadata=metadata_of(token, self._around.acting_for))
        beside: list[asyncio.Task[None]] = []
        try:
            async with asyncio.timeout(CONNECT_SECONDS) as patience:
                await call.write(in_batch(ClientFrame(hello=Hello())))
                while True:
                    message = await call.read()
                    if not isinstance(message, ServerFrame):
                        return 0.0
                    for frame in message.batch or (message,):
                        kind = frame.WhichOneof("frame")
                        if kind == "welcome":
                            if not self._connected:
                                patience.reschedule(None)
                                self._greeted(frame)
                                beside.append(asyncio.create_task(self._write(call)))
                                beside.append(asyncio.create_task(self._renew(token)))
                        elif kind == "goaway" and not frame.goaway.HasField("session_id"):
                            return _pause(frame.goaway)
                        elif kind is not None and kind != "pong":
                            self._hear(frame, getattr(frame, kind).session_id)
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as error:
            return await _ended(call, error)
        finally:
            self._connected = False
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            call.cancel()

    def _greeted(self, frame: ServerFrame) -> None:
        limits = frame.welcome.limits
        self.capacity = limits.attached_sessions or self.capacity
        self.outgoing.frame_bytes = limits.frame_bytes or MIB
        self._connected = True
        for place in self._places.values():
            self._attach(place)
        self._guide.greeted(self)

    def _hear(self, frame: ServerFrame, session_id: str) -> None:
        place = self._places.get(session_id)
        if place is None:
            return
        follower = place.follower
        link = follower.link
        try:
            heard = link.receive(frame)
            for each in heard.frames:
                follower.hear(each)
        except Exception:
            _log.exception("a frame cannot be understood")
            self.leave(session_id)
            follower.fail(Internal("A frame of the server cannot be understood."))
            return
        if heard.writes:
            self.say(heard.writes)
        if heard.again is not None:
            self._come_back(place, heard.again, frame.goaway.owner)
        elif link.state is State.ENDED:
            self._places.pop(session_id, None)
        elif frame.HasField("attached"):
            place.owner = frame.attached.owner
        elif frame.HasField("caught_up"):
            follower.backoff.reset()
            if place.owner not in ("", self.address):
                pause = DETOUR_SECONDS * self._around.chance()
                self._arm(place, pause, self._guide.elsewhere, self, follower, place.owner)

    def _come_back(self, place: _Place, seconds: float, owner: str) -> None:
        backoff = place.follower.backoff
        first = backoff.fresh
        pause = backoff.pause(seconds)
        if not (owner and first and self._guide.given_away(self, place.follower, owner)):
            self._arm(place, pause, self._attach, place)

    def _arm(self, place: _Place, seconds: float, do: Callable[..., None], *what: object) -> None:
        self._disarm(place)
        place.timer = asyncio.get_running_loop().call_later(seconds, do, *what)

    def _attach(self, place: _Place) -> None:
        self._disarm(place)
        if self._connected:
            self.say([place.follower.link.attach()])

    def _disarm(self, place: _Place) -> None:
        if place.timer is not None:
            place.timer.cancel()
            place.timer = None

    def _lost(self) -> None:
        self.outgoing.clear()
        for place in self._places.values():
            self._disarm(place)
            place.follower.link.lost()

    def _fail(self, failure: SessiondError) -> None:
        places, self._places = self._places, {}
        for place in places.values():
            place.follower.fail(failure)

    # --- beside the reading ------------------------------------------------------------------

    async def _write(self, call: Call) -> None:
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            while True:
                while data := self.outgoing.take():
                    await call.write(data)
                if self._closing:
                    await call.done_writing()
                    return
                await self.outgoing.something()

    async def _renew(self, used: str) -> None:
        """Say hello with a fresh token before the one in use ends."""
        tokens = self._around.tokens
        while tokens.renewable:
            left = tokens.seconds_left()
            if left is None:
                return
            await asyncio.sleep(left)
            token = await self._token()
            if token == used:
                await asyncio.sleep(STEADY_SECONDS)  # there is no other one yet
            else:
                used = token
                self.say([ClientFrame(hello=Hello(token=token))])


def _pause(goaway: Goaway) -> float:
    if not goaway.reconnect:
        raise from_goaway(goaway)
    return goaway.retry_after_ms / 1000


async def _ended(call: Call, error: Exception) -> float:
    """Return how long to wait after a call that broke, or raise what coming back cannot mend."""
    if not isinstance(error, grpc.aio.AioRpcError):
        error = grpc.aio.AioRpcError(
            await call.code(),
            await call.initial_metadata(),
            await call.trailing_metadata(),
            details=await call.details(),
        )
    failure = from_rpc_error(error, mutating=False)
    if CARRIED[type(failure)].close not in _COME_BACK:
        raise failure
    # A broken connection names no time: the next address may serve at once.
    return failure.retry_after or 0.0 if isinstance(failure, RateLimited) else 0.0
