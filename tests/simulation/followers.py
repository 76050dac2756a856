"""Clients that follow sessions over streams, resume by their cursors, and change them there too."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import grpc

from services.live.forwarding import CONNECT
from sessiond.v1 import live_pb2 as live
from tests.simulation.clients import AGAIN, Client
from tests.simulation.history import FAIL, OK, UNKNOWN, Operation, Shown

ENDS = frozenset({"SESSION_NOT_FOUND"})


@dataclass(slots=True)
class Sent:
    """A change without a reply, and whether it was sent more than once."""

    frame: live.ClientFrame
    asked: Operation
    unknown: bool = False


@dataclass(slots=True)
class Followed:
    """One session, as its follower has it: 0 says that it holds nothing."""

    session_id: str
    log_id: str = ""
    seq: int = 0
    attachment: int = 0
    attached: bool = False
    present: bool = False
    gone: bool = False
    text: dict[str, int] = field(default_factory=dict)
    sent: dict[str, Sent] = field(default_factory=dict)


class Follower(Client):
    """Follows sessions for as long as it is let."""

    def follow(self, sessions: tuple[str, ...]) -> None:
        """Say which."""
        self.followed = {each: Followed(each) for each in sessions}
        self._call: Any = None
        self._attachments = 0

    async def run(self) -> None:
        """Keep a stream, to one Live or another; until cancelled."""
        while True:
            with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                await self._stream()
            self._call = None
            for each in self.followed.values():
                self._left(each)
            await asyncio.sleep(self.chance.uniform(0.02, 0.3))

    async def say(self, kind: str, session_id: str, request: Any, field_name: str) -> Operation:
        """Make a change; its reply comes when it comes."""
        followed = self.followed[session_id]
        request.op_id = self.new_op_id()
        asked = self.begin(kind, session_id, request.op_id)
        frame = live.ClientFrame(since=followed.seq, **{field_name: request})
        followed.sent[request.op_id] = Sent(frame, asked)
        if followed.attached:
            await self._write(frame)
        return asked

    async def work(self, operations: int) -> None:
        """Append so many messages, here and there."""
        for number in range(operations):
            await asyncio.sleep(self.chance.expovariate(6.0))
            session_id = self.chance.choice(tuple(self.followed))
            if self.followed[session_id].gone:
                continue
            content = f"streamed by {self.name} {number}"
            request = live.AppendMessageRequest(session_id=session_id, content=content)
            await self.say("append", session_id, request, "append")

    @property
    def settled(self) -> bool:
        """Whether everything that it said has an answer."""
        return not any(each.sent for each in self.followed.values())

    def give_up(self) -> None:
        """Let what has no answer be unknown."""
        for each in self.followed.values():
            for sent in each.sent.values():
                self.settle(sent.asked, UNKNOWN)
            each.sent.clear()

    # --- the stream ------------------------------------------------------------------------------

    async def _stream(self) -> None:
        channel = self.channel(self.chance.choice(self._lives))
        self._call = channel.stream_stream(CONNECT)(metadata=self.metadata)
        await self._write(live.ClientFrame(hello=live.Hello()))
        for each in self.followed.values():
            await self._attach(each)
        while (data := await self._call.read()) is not grpc.aio.EOF:
            for frame in live.ServerFrame.FromString(data).batch:
                await self._hear(frame)

    async def _write(self, frame: live.ClientFrame) -> None:
        if self._call is None:
            return
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):  # who reads notices, too
            await self._call.write(live.ClientFrame(batch=[frame]).SerializeToString())

    async def _attach(self, followed: Followed) -> None:
        if followed.gone or self._call is None:
            return
        cursor = f"{followed.log_id}.{followed.seq}" if followed.seq else None
        attach = live.Attach(session_id=followed.session_id, cursor=cursor, tail=1000)
        await self._write(live.ClientFrame(attach=attach))

    async def _attach_again(self, followed: Followed) -> None:
        call = self._call
        await asyncio.sleep(self.chance.uniform(0.0, 0.2))
        if call is self._call:
            await self._attach(followed)

    # --- what it hears ---------------------------------------------------------------------------

    async def _hear(self, frame: live.ServerFrame) -> None:
        kind = frame.WhichOneof("frame") or ""
        told: Any = getattr(frame, kind)
        followed = self.followed.get(getattr(told, "session_id", ""))
        if followed is None:
            return
        match kind:
            case "attached":
                self._attachments += 1
                followed.attachment = self._attachments
                followed.attached, followed.text = True, {}
                seq = followed.seq if told.recovered else 0
                self._show(followed, kind, seq, told.log_id)
                followed.log_id = told.log_id
                for turn in told.turns:
                    self._show(followed, "text", 0, (turn.turn_id, 0, turn.text))
                for sent in tuple(followed.sent.values()):
                    sent.unknown = True
                    await self._write(sent.frame)
            case "snapshot":
                self._show(followed, kind, told.seq, _part(told))
                if told.last:
                    followed.seq = told.seq
            case "event":
                self._show(followed, kind, told.seq, told.SerializeToString(deterministic=True))
                followed.seq = told.seq
            case "token":
                self._show(followed, "text", 0, (told.turn_id, told.offset, told.text))
            case "caught_up":
                followed.present = True
                self._show(followed, kind, told.seq)
            case "reset":
                followed.seq = 0
                self._show(followed, kind, 0, told.reason)
            case "reply":
                await self._replied(followed, told)
            case "goaway":
                self._show(followed, kind, 0, told.reason)
                self._left(followed)
                if told.reason in ENDS:
                    followed.gone = True
                    for sent in followed.sent.values():
                        # It was under way when the session went.
                        self.settle(sent.asked, UNKNOWN, reason=told.reason)
                    followed.sent.clear()
                else:
                    self.loop.create_task(self._attach_again(followed))

    async def _replied(self, followed: Followed, told: live.Reply) -> None:
        sent = followed.sent.get(told.op_id)
        if sent is None:
            return
        if not told.HasField("error"):
            del followed.sent[told.op_id]
            self.settle(sent.asked, OK, told.seq)
            return
        reason = told.error.code
        if reason == "INTERNAL":
            self.history.complaints.append(f"{self.name} was told INTERNAL on a stream")
        if reason in AGAIN:
            sent.unknown = True
            self.loop.create_task(self._say_again(followed, told.op_id))
            return
        del followed.sent[told.op_id]
        self.settle(sent.asked, UNKNOWN if sent.unknown else FAIL, reason=reason)

    async def _say_again(self, followed: Followed, op_id: str) -> None:
        await asyncio.sleep(self.chance.uniform(0.05, 0.3))
        sent = followed.sent.get(op_id)
        if sent is not None and followed.attached:
            await self._write(sent.frame)

    def _left(self, followed: Followed) -> None:
        followed.attached = followed.present = False
        for sent in followed.sent.values():
            sent.unknown = True

    def _show(self, followed: Followed, kind: str, seq: int = 0, what: Any = None) -> None:
        now = self.loop.time()
        self.history.shown.append(
            Shown(self.name, followed.attachment, followed.session_id, now, kind, seq, what)
        )
        text = f"sees {followed.session_id} {kind} {seq}"
        self.history.note(now, self.name, text if kind == "event" else f"{text} {what or ''}")


def _part(told: live.Snapshot) -> Any:
    messages = tuple(message.content for message in told.messages.messages)
    return told.last, messages
