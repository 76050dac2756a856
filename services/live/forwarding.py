"""Sessions of a client that another Live owns: one forwarded stream per client stream and owner.

The owner is spoken to in the client's name, and what it says goes on as it comes: a message that
holds nothing for us is passed as the bytes that it is. We look only for the answers to attaches,
and for what ends an attachment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import grpc
import structlog
from google.protobuf.message import DecodeError

from services.live.frames import encoded, goaway
from services.live.outbox import Outbox
from sessiond.errors import NotAttached, SessionMoved
from sessiond.v1.live_pb2 import Attach, ClientFrame, Close, Hello, ServerFrame

CONNECT = "/sessiond.v1.LiveService/Connect"

CONNECT_SECONDS = 3.0
"""How long an owner may take to answer an attach; a stopped one answers nothing for ever."""

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
        self._attaching: dict[str, asyncio.Future[Answer]] = {}
        self._attached: set[str] = set()
        self._outgoing = Outbox(self._break)
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
        """Ask the owner to attach a session, and return what it says."""
        if self._broken:
            return Broken(self._refused)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._attaching[attach.session_id] = answer
        self._outgoing.offer(_framed(ClientFrame(attach=attach)))
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return await answer
        except TimeoutError:
            self._break()
            return Broken(refused=False)
        finally:
            self._attaching.pop(attach.session_id, None)

    async def say(self, frame: ClientFrame) -> None:
        """Pass a frame of the client on; waits while too much waits to be sent."""
        await self._outgoing.room()
        self._outgoing.offer(_framed(frame))

    async def detach(self, frame: ClientFrame) -> None:
        """Pass a detach on, and mind the session no longer."""
        self._attached.discard(frame.detach.session_id)
        await self.say(frame)

    async def close(self) -> None:
        """End the stream, and leave no task behind."""
        self._broken = True
        if self._gone is not None:
            self._gone.remove_done_callback(self._is_gone)
        self._outgoing.end(_framed(ClientFrame(close=Close())), at_once=True)
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
                self._came(data)
            self._refused = _nobody_listens(await self._call.details() or "")
        except grpc.aio.AioRpcError as error:
            self._refused = _nobody_listens(error.details() or "")
            _log.info("forwarded stream broke", code=error.code().name)
        except DecodeError:
            _log.error("an owner sent what is no frame")
        self._break()

    def _came(self, data: bytes) -> None:
        frames = ServerFrame.FromString(data).batch
        kinds = {frame.WhichOneof("frame") for frame in frames}
        if not kinds & _ENDS:
            self._outbox.offer(data)
            return
        for frame in frames:
            match frame.WhichOneof("frame"):
                case "welcome":
                    continue
                case "attached":
                    self._attached.add(frame.attached.session_id)
                    self._on_granted(frame.attached.session_id)
                    self._answer(frame.attached.session_id, Granted())
                case "goaway":
                    if not frame.goaway.HasField("session_id"):
                        self._break()
                        return
                    if not self._went(frame):
                        continue
            self._outbox.offer(encoded(frame))

    def _went(self, frame: ServerFrame) -> bool:
        """Take the end of an attachment; False where the client need not know."""
        told = frame.goaway
        if told.reason == NotAttached.reason:
            return True  # it answers a detach, perhaps after the session was asked for again
        self._attached.discard(told.session_id)
        if told.session_id not in self._attaching:
            self._on_ended(told.session_id)
            return True
        if told.reason == SessionMoved.reason:
            self._answer(told.session_id, Moved(told.owner))
            return False
        self._answer(told.session_id, Refused())
        return True

    def _answer(self, session_id: str, answer: Answer) -> None:
        waiting = self._attaching.pop(session_id, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    def _is_gone(self, _: asyncio.Future[None]) -> None:
        self._break()

    def _break(self) -> None:
        """Tell everybody who relied on this stream."""
        if self._broken:
            return
        self._broken = True
        self._outgoing.end()
        for session_id in tuple(self._attaching):
            self._answer(session_id, Broken(self._refused))
        for session_id in self._attached:
            self._outbox.offer(goaway(SessionMoved(retry_after=None), session_id=session_id))
            self._on_ended(session_id)
        self._attached.clear()
        self._on_broken(self)


def _framed(frame: ClientFrame) -> bytes:
    return ClientFrame(batch=[frame]).SerializeToString()


def _nobody_listens(details: str) -> bool:
    return details.startswith("failed to connect to all addresses")
