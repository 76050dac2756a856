"""A client that follows sessions over `Connect`, in bare frames: every frame is written down."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import grpc

from sessiond.event_wire import event_from_wire
from sessiond.v1 import live_pb2 as live
from sessiond.v1.live_pb2_grpc import LiveServiceStub
from tests.faults.clients.notebook import Book, now
from tests.faults.history import (
    Attached,
    CaughtUp,
    Goaway,
    Reset,
    Shown,
    Snapshot,
    Token,
    about,
    content_of,
    digest,
    event_kind,
)

TAIL = 50


@dataclass
class Followed:
    """One session as the follower has it; seq 0 says that it holds nothing."""

    log_id: str = ""
    seq: int = 0
    asked: int = 0
    gone: bool = False
    messages: list[tuple[int, str]] = field(default_factory=list)


class Follower:
    """Keeps one stream after the other, at one Live after the other, and resumes by its cursors."""

    def __init__(
        self,
        book: Book,
        client: str,
        lives: Sequence[grpc.aio.Channel],
        token: str,
        sessions: Sequence[str],
    ) -> None:
        self._book = book
        self._client = client
        self._stubs = [LiveServiceStub(channel) for channel in lives]
        self._metadata = (("authorization", f"Bearer {token}"),)
        self._followed = {session: Followed() for session in sessions}
        self._stream = 0

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            self._stream += 1
            with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError, TimeoutError):
                await self._carry()
            await asyncio.sleep(self._book.chance.uniform(0.05, 0.3))

    def seq(self, session: str) -> int:
        """Return up to where a session was shown."""
        return self._followed[session].seq

    async def _carry(self) -> None:
        stub: Any = self._stubs[self._stream % len(self._stubs)]
        call = stub.Connect(metadata=self._metadata)
        try:
            await call.write(live.ClientFrame(hello=live.Hello()))
            for session in self._followed:
                await self._attach(call, session)
            while True:
                # A stream that says nothing for long may be half open.
                async with asyncio.timeout(6.0):
                    told = await call.read()
                if told is grpc.aio.EOF:
                    return
                for frame in told.batch or (told,):
                    await self._hear(call, frame)
        finally:
            call.cancel()

    async def _attach(self, call: Any, session: str) -> None:
        followed = self._followed[session]
        if followed.gone:
            return
        followed.asked = now()
        followed.messages = []
        cursor = f"{followed.log_id}.{followed.seq}" if followed.seq else None
        attach = live.Attach(session_id=session, cursor=cursor, tail=TAIL)
        await call.write(live.ClientFrame(attach=attach))

    async def _hear(self, call: Any, frame: live.ServerFrame) -> None:
        kind = frame.WhichOneof("frame") or ""
        told: Any = getattr(frame, kind)
        session: str = getattr(told, "session_id", "")
        followed = self._followed.get(session)
        where = (self._client, self._stream, session)
        add, at = self._book.add, now()
        if followed is None:
            if kind == "goaway":
                add(Goaway(*where, at, told.reason))
            return
        match kind:
            case "attached":
                turns = tuple((turn.turn_id, turn.text) for turn in told.turns)
                given = (followed.log_id, followed.seq) if followed.seq else ("", 0)
                add(
                    Attached(
                        *where,
                        followed.asked,
                        at,
                        told.recovered,
                        told.log_id,
                        told.head_seq,
                        *given,
                        turns,
                    )
                )
                followed.log_id = told.log_id
            case "snapshot":
                followed.messages += [
                    (each.seq, digest(each.content)) for each in told.messages.messages
                ]
                if told.last:
                    held = tuple(followed.messages)
                    add(Snapshot(*where, at, told.log_id, told.seq, held, TAIL))
                    followed.seq, followed.messages = told.seq, []
            case "event":
                record = event_from_wire(told)
                event = record.event
                add(
                    Shown(
                        *where,
                        at,
                        record.seq,
                        record.op_id,
                        event_kind(event),
                        content_of(event),
                        about(event),
                    )
                )
                followed.seq = record.seq
            case "token":
                add(Token(*where, at, told.turn_id, told.offset, told.text))
            case "caught_up":
                add(CaughtUp(*where, at, told.seq))
            case "reset":
                add(Reset(*where, at, told.reason))
                followed.seq = 0
            case "goaway":
                add(Goaway(*where, at, told.reason))
                if told.reconnect:
                    await asyncio.sleep(self._book.chance.uniform(0.01, 0.1))
                    await self._attach(call, session)
                else:
                    followed.gone = True
