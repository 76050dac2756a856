"""Sessions of a client that another Live owns: one forwarded stream per client stream and owner.

The owner is spoken to in the client's name, and what it says goes on as it comes: a message that
holds nothing for us is passed as the bytes that it is. We look only for the answers to attaches,
and for what ends an attachment.

    asked --attached--> granted --goaway, break--> (none)
      |                   |
      |                   +--detach--> leaving --the owner's answer--> (none)
      +--detach------------------------->|
      +--goaway, break--> (none)

A session that leaves is over for the client; what the owner still says of it is dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import grpc
import structlog
from google.protobuf.message import DecodeError

from services.live.frames import encoded, goaway
from services.live.outbox import CAPACITY, Outbox
from sessiond.errors import NotAttached, SessionMoved
from sessiond.status import was_never_sent
from sessiond.v1.live_pb2 import DESCRIPTOR, Attach, ClientFrame, Detach, Hello, ServerFrame

CONNECT = f"/{DESCRIPTOR.services_by_name['LiveService'].full_name}/Connect"

WAITING_BYTES = 4 * CAPACITY
"""Bytes that may wait for an owner. Half of them is the client's, whatever the owner reads."""

Call = grpc.aio.StreamStreamCall[bytes, bytes]

_log = structlog.get_logger(__name__)
_ENDS = frozenset({"attached", "goaway", "welcome"})


@dataclass(frozen=True, slots=True)
class Granted:
    """The owner follows up with the session itself."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The client was told why not."""


@dataclass(frozen=True, slots=True)
class Moved:
    """It is not the owner; `owner` is the address of who is, "" where that is not known."""

    owner: str


@dataclass(frozen=True, slots=True)
class Broken:
    """The stream broke before there was an answer; `refused` says that nobody listens there."""

    refused: bool


Answer = Granted | Refused | Moved | Broken


class Forward:
    """One stream to an owner, in a client's name."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        metadata: Sequence[tuple[str, str]],
        outbox: Outbox,
        *,
        gone: asyncio.Future[None] | None,
        on_granted: Callable[[str], None],
        on_ended: Callable[[str], None],
        on_broken: Callable[[Forward], None],
    ) -> None:
        """Open the stream. What comes goes to `outbox`; `gone` is done when the owner is gone,
        which one that is stopped does not say itself.

        `on_granted` hears of each session that the owner attaches, `on_ended` of each whose
        attachment has ended, `on_broken` of the stream's end, after that.
        """
        self._outbox = outbox
        self._on_granted = on_granted
        self._on_ended = on_ended
        self._on_broken = on_broken
        self._asked: dict[str, asyncio.Future[Answer]] = {}
        self._leaving: dict[str, int] = {}
        self._outgoing = Outbox(self._break, capacity=WAITING_BYTES)
        self._broken = False
        self._refused = False
        self._call: Call = channel.stream_stream(CONNECT)(metadata=tuple(metadata))
        self._outgoing.offer(_framed(ClientFrame(hello=Hello())))
        self._tasks = (
            asyncio.create_task(self._write(), name="forward-write"),
            asyncio.create_task(self._read(), name="forward-read"),
        )
        self._gone = gone
        if gone is not None:
            gone.add_done_callback(self._is_gone)

    @property
    def broken(self) -> bool:
        """Whether it has ended."""
        return self._broken

    async def attach(self, attach: Attach) -> Answer:
        """Ask the owner to attach a session, and return what it says: for as long as it lives.

        Who asks no longer must `detach`.
        """
        if self._broken:
            return Broken(self._refused)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._asked[attach.session_id] = answer
        await self.say(ClientFrame(attach=attach))
        return await asyncio.shield(answer)

    async def say(self, frame: ClientFrame) -> None:
        """Pass a frame of the client on; waits while too much waits to be sent."""
        data = _framed(frame)
        await self._outgoing.room(len(data))
        self._outgoing.offer(data)

    def detach(self, session_id: str) -> None:
        """Follow a session no longer, or ask for it no longer; the client hears no more of it."""
        if self._asked.pop(session_id, None) is not None:
            self._leaving[session_id] = self._leaving.get(session_id, 0) + 1
            self._outgoing.offer(_framed(ClientFrame(detach=Detach(session_id=session_id))))

    async def close(self) -> None:
        """End the stream, and leave no task behind."""
        self._broken = True
        if self._gone is not None:
            self._gone.remove_done_callback(self._is_gone)
        self._outgoing.end()
        self._call.cancel()
        # A write waits for the call's metadata to be sent, and for ever where they never were.
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- inside ------------------------------------------------------------------------------

    async def _write(self) -> None:
        try:
            while data := await self._outgoing.take():
                await self._call.write(data)
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            pass
        finally:
            self._break()

    async def _read(self) -> None:
        try:
            while True:
                data = await self._call.read()
                if data is grpc.aio.EOF:
                    break
                assert isinstance(data, bytes)
                # Who reads slowly is not read for faster: the owner judges by its own queue.
                await self._outbox.room(len(data))
                if self._broken:
                    return  # the client was told, and may be elsewhere by now
                self._came(data)
        except grpc.aio.AioRpcError as error:
            self._refused = was_never_sent(error)
            _log.info("forwarded stream broke", code=error.code().name)
        except DecodeError:
            _log.error("an owner sent what is no frame")
        finally:
            self._break()  # a channel that is closed ends this task, as a call that is cancelled

    def _came(self, data: bytes) -> None:
        frames = ServerFrame.FromString(data).batch
        if not self._leaving and _ENDS.isdisjoint(frame.WhichOneof("frame") for frame in frames):
            self._outbox.offer(data)
            return
        for frame in frames:
            kind = frame.WhichOneof("frame") or ""
            if kind == "goaway" and not frame.goaway.HasField("session_id"):
                self._break()
                return
            if self._is_for_the_client(kind, frame):
                self._outbox.offer(encoded(frame))

    def _is_for_the_client(self, kind: str, frame: ServerFrame) -> bool:
        session_id = getattr(getattr(frame, kind, None), "session_id", "")
        if session_id in self._leaving:
            if kind == "goaway" and frame.goaway.reason == NotAttached.reason:
                self._left(session_id)
            return False
        match kind:
            case "welcome":
                return False
            case "attached":
                return self._granted(session_id)
            case "goaway":
                return self._went(frame)
        return True

    def _granted(self, session_id: str) -> bool:
        answer = self._asked.get(session_id)
        if answer is None or answer.done():
            return False
        answer.set_result(Granted())
        self._on_granted(session_id)
        return True

    def _went(self, frame: ServerFrame) -> bool:
        """Take the end of an attachment; False where the client need not know."""
        told = frame.goaway
        answer = self._asked.pop(told.session_id, None)
        if answer is None:
            return False
        if answer.done():
            self._on_ended(told.session_id)
            return True
        moved = told.reason == SessionMoved.reason
        answer.set_result(Moved(told.owner) if moved else Refused())
        return not moved

    def _left(self, session_id: str) -> None:
        self._leaving[session_id] -= 1
        if not self._leaving[session_id]:
            del self._leaving[session_id]

    def _is_gone(self, _: asyncio.Future[None]) -> None:
        self._break()

    def _break(self) -> None:
        """Tell everybody who relied on this stream."""
        if self._broken:
            return
        self._broken = True
        self._outgoing.end()
        asked, self._asked = self._asked, {}
        for session_id, answer in asked.items():
            if answer.done():
                self._outbox.offer(goaway(SessionMoved(retry_after=None), session_id=session_id))
                self._on_ended(session_id)
            else:
                answer.set_result(Broken(self._refused))
        self._on_broken(self)


def _framed(frame: ClientFrame) -> bytes:
    return ClientFrame(batch=[frame]).SerializeToString()
