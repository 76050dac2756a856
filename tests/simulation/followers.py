"""Clients that follow sessions over streams, resume by their cursors, and change them there too."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import grpc

from services.live.forwarding import CONNECT
from sessiond.event_wire import event_from_wire
from sessiond.session.events import TurnBegun, TurnEnded
from sessiond.v1 import live_pb2 as live
from tests.faults.history import (
    Attached,
    CaughtUp,
    Entry,
    Goaway,
    Reset,
    Shown,
    Snapshot,
    Token,
    about,
    content_of,
    event_kind,
)
from tests.simulation.clients import AGAIN, Client, told_of
from tests.simulation.followed import Followed, Sent
from tests.simulation.history import FAIL, OK, UNKNOWN, Operation, ns

ENDS = frozenset({"SESSION_NOT_FOUND"})


class Follower(Client):
    """Follows sessions for as long as it is let; one that is `slow` reads when it likes to."""

    slow = False
    ends = ENDS
    """Why a session is not asked for again."""
    pace = 6.0
    """Changes a second."""

    def follow(self, sessions: tuple[str, ...]) -> None:
        """Say which."""
        self.followed = {each: Followed(each) for each in sessions}
        self._call: Any = None
        self._attachments = self._streams = 0

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
        asked = self.begin(kind, session_id, request.op_id, request)
        asked.about = getattr(request, "turn_id", "")
        frame = live.ClientFrame(since=followed.seq, **{field_name: request})
        followed.sent[request.op_id] = Sent(frame, asked)
        if followed.attached:
            await self._write(frame)
        return asked

    async def work(self, operations: int) -> None:
        """Do so many things here and there: mostly to append a message."""
        for number in range(operations):
            await asyncio.sleep(self.chance.expovariate(self.pace))
            session_id = self.chance.choice(tuple(self.followed))
            followed = self.followed[session_id]
            if followed.gone:
                continue
            drawn = self.chance.random()
            if drawn < 0.2 and followed.turn:
                cancel = live.CancelTurn(session_id=session_id, turn_id=followed.turn)
                await self.say("cancel", session_id, cancel, "cancel")
            elif drawn < 0.4:
                resume = live.ResumeSessionRequest(session_id=session_id)
                await self.say("resume", session_id, resume, "resume")
            elif drawn < 0.5:
                title = f"streamed by {self.name} {number}"
                update = live.UpdateSessionRequest(session_id=session_id, title=title)
                update.expected_revision = max(followed.seq, 1)
                await self.say("update", session_id, update, "update")
            else:
                content = f"streamed by {self.name} {number}"
                request = live.AppendMessageRequest(session_id=session_id, content=content)
                await self.say("append", session_id, request, "append")
        self.slow = False

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
        self._streams += 1
        channel = self.channel(self.chance.choice(self._lives))
        self._call = channel.stream_stream(CONNECT)(metadata=self.metadata)
        await self._write(live.ClientFrame(hello=live.Hello()))
        for each in self.followed.values():
            await self._attach(each)
        while (data := await self._call.read()) is not grpc.aio.EOF:
            if self.slow:
                await asyncio.sleep(self.chance.choice((0.0, 0.5, 1.0, 2.0)))
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
        cursor, given = None, ("", 0)
        if followed.seq:
            log_id = followed.log_id
            if self.chance.random() < 0.05:  # it takes one session for another
                log_id = self.followed[self.chance.choice(tuple(self.followed))].log_id or log_id
            cursor, given = f"{log_id}.{followed.seq}", (log_id, followed.seq)
        followed.asked = (ns(self.loop.time()), *given)
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
        stream = (self.name, self._streams, followed.session_id)
        now = ns(self.loop.time())
        match kind:
            case "attached":
                self._attachments += 1
                followed.attachment = self._attachments
                followed.attached, followed.messages = True, []
                turns = tuple((turn.turn_id, turn.text) for turn in told.turns)
                followed.turn = turns[0][0] if turns else ""
                asked, log, cursor = followed.asked
                self._show(
                    Attached(
                        *stream,
                        asked,
                        now,
                        told.recovered,
                        told.log_id,
                        told.head_seq,
                        log,
                        cursor,
                        turns,
                        self.actor,
                    )
                )
                followed.log_id = told.log_id
                for sent in tuple(followed.sent.values()):
                    sent.unknown = True
                    await self._write(sent.frame)
            case "snapshot":
                followed.messages += map(told_of, told.messages.messages)
                if told.last:
                    messages = tuple(followed.messages)
                    self._show(Snapshot(*stream, now, told.log_id, told.seq, messages, 1000))
                    followed.seq = told.seq
            case "event":
                event = event_from_wire(told).event
                if isinstance(event, TurnBegun | TurnEnded):
                    followed.turn = event.turn_id if isinstance(event, TurnBegun) else ""
                about_it = content_of(event), about(event)
                self._show(Shown(*stream, now, told.seq, told.op_id, event_kind(event), *about_it))
                self.history.events.append(told)
                followed.seq = told.seq
            case "token":
                self._show(Token(*stream, now, told.turn_id, told.offset, told.text))
            case "caught_up":
                self._show(CaughtUp(*stream, now, told.seq))
            case "reset":
                followed.seq, followed.messages = 0, []
                self._show(Reset(*stream, now, told.reason))
            case "reply":
                await self._replied(followed, told)
            case "goaway":
                self._show(Goaway(*stream, now, told.reason))
                self._left(followed)
                if told.reason in self.ends:
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
        followed.attached = False
        for sent in followed.sent.values():
            sent.unknown = True

    def _show(self, entry: Entry) -> None:
        self.history.shown.append(entry)
        self.history.note(self.loop.time(), self.name, "sees", entry)
