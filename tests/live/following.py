"""Clients that follow sessions through several Lives, and come back where they are sent away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from services.live.forwarding import CONNECT
from sessiond.v1 import live_pb2 as pb
from tests.live.kept import PATIENCE
from tests.live.replicas import Replica, calling
from tests.live.streaming import Client


@asynccontextmanager
async def client(at: Replica, subject: str = "alice", **claims: Any) -> AsyncIterator[Client]:
    """Open a stream to a Live in this caller's name."""
    call: Any = at.channel.stream_stream(CONNECT)(metadata=calling(subject, **claims))
    try:
        yield Client(call)
    finally:
        call.cancel()


@dataclass
class Follower:
    """Follows one session on one stream: every event is the next one, whatever happens."""

    client: Client
    session_id: str = "s1"
    cursor: str = ""
    seq: int = 0
    goaways: list[str] = field(default_factory=list)
    resets: list[str] = field(default_factory=list)
    replies: dict[str, int] = field(default_factory=dict)
    text: str = ""
    attached: pb.Attached | None = None

    async def begin(self, *, seq: int | None = None, log_id: str = "0000000000000007") -> None:
        """Say hello, and attach: at a seq, or for a snapshot."""
        await self.client.hello()
        if seq is not None:
            self.seq, self.cursor = seq, f"{log_id}.{seq}"
        await self.attach()

    async def attach(self) -> None:
        attach = pb.Attach(session_id=self.session_id)
        if self.cursor:
            attach.cursor = self.cursor
        self.attached = None
        await self.client.say(pb.ClientFrame(attach=attach))

    async def upto(self, seq: int) -> None:
        """Read until this seq is applied."""
        while self.seq < seq:
            await self.take(await self.client.frame())

    async def caught_up(self) -> None:
        """Read until the present is reached."""
        while not await self.take(await self.client.frame()):
            pass

    async def until_away(self) -> pb.Goaway:
        """Read until the session ends, and do not come back."""
        while True:
            frame = await self.client.frame()
            if frame.HasField("goaway"):
                return frame.goaway
            await self.take(frame)

    async def take(self, frame: pb.ServerFrame) -> bool:
        """Take a frame; whether the present is reached with it."""
        kind = frame.WhichOneof("frame")
        told: Any = getattr(frame, kind or "")
        match kind:
            case "attached":
                assert self.attached is None
                assert told.recovered or not self.seq or self.resets
                self.attached = told
                for turn in told.turns:
                    self.text += turn.text[len(self.text) :]
            case "snapshot":
                assert self.attached is not None
                if told.last:
                    self._at(told.log_id, told.seq)
            case "event":
                assert self.attached is not None, "an event after the goaway"
                assert told.seq == self.seq + 1, "a gap, or an event twice"
                self._at(self.attached.log_id, told.seq)
            case "reset":
                self.resets.append(told.reason)
            case "reply":
                self.replies[told.op_id] = told.seq
            case "token":
                assert told.offset <= len(self.text)
                self.text += told.text[len(self.text) - told.offset :]
            case "goaway":
                assert told.session_id == self.session_id
                assert told.reconnect
                self.goaways.append(told.reason)
                await self.attach()
            case "caught_up":
                assert told.seq <= self.seq
                return True
        return False

    def _at(self, log_id: str, seq: int) -> None:
        self.seq, self.cursor = seq, f"{log_id}.{seq}"


async def ended(replica: Replica) -> None:
    """Wait until no stream is open there."""
    async with asyncio.timeout(PATIENCE):
        await replica.streams.none()
