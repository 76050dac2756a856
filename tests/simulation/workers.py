"""An agent that writes its answers bit by bit, and takes them up again wherever they are."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from sessiond.v1 import live_pb2 as live
from tests.faults.history import Written
from tests.simulation.followed import Followed
from tests.simulation.followers import Follower
from tests.simulation.history import OK, ns

WORDS = "the quick brown fox jumps over the lazy dog and comes back "


def text_of(op_id: str) -> str:
    """Return what is written in the turn of this begin: the same each time it is asked."""
    return f"[{op_id}] {WORDS * 3}"


@dataclass(slots=True)
class Writing:
    """A turn that is being written."""

    followed: Followed
    op_id: str
    over: asyncio.Event = field(default_factory=asyncio.Event)
    turn_id: str = ""
    end: str = ""


class Worker(Follower):
    """Writes turns, one after the other."""

    _writing: Writing | None = None

    async def turns(self, number: int) -> None:
        """Write so many."""
        for _ in range(number):
            await asyncio.sleep(self.chance.expovariate(2.0))
            followed = self.followed[self.chance.choice(tuple(self.followed))]
            if followed.gone:
                return
            begin = live.BeginTurn(session_id=followed.session_id)
            asked = await self.say("begin", followed.session_id, begin, "begin_turn")
            self._writing = Writing(followed, asked.op_id)
            try:
                async with asyncio.timeout(30.0):
                    await self._writing.over.wait()
            except TimeoutError:
                pass
            self._writing = None

    async def _hear(self, frame: live.ServerFrame) -> None:
        await super()._hear(frame)
        writing = self._writing
        kind = frame.WhichOneof("frame")
        if writing is None:
            return
        followed = writing.followed
        if kind == "attached" and frame.attached.session_id == followed.session_id:
            if writing.turn_id and not writing.end:  # the same begin takes it up again
                begin = live.BeginTurn(session_id=followed.session_id, op_id=writing.op_id)
                await self._write(live.ClientFrame(begin_turn=begin))
        elif followed.gone:
            writing.over.set()

    async def _replied(self, followed: Followed, told: live.Reply) -> None:
        await super()._replied(followed, told)
        writing = self._writing
        if writing is None or told.op_id not in (writing.op_id, writing.end):
            return
        if told.op_id == writing.end:
            if writing.end not in followed.sent:
                writing.over.set()
        elif told.HasField("error"):
            if writing.op_id not in followed.sent:
                writing.over.set()
        elif told.HasField("turn"):
            if told.turn.ended:
                writing.over.set()
                return
            writing.turn_id = told.turn.turn_id
            self.loop.create_task(self._write_from(writing, told.turn.offset, self._call))

    async def _write_from(self, writing: Writing, offset: int, call: Any) -> None:
        text, session_id = text_of(writing.op_id), writing.followed.session_id
        attachment = writing.followed.attachment
        while offset < len(text):
            await asyncio.sleep(self.chance.expovariate(10.0))
            if self._call is not call or writing.followed.attachment != attachment:
                return
            piece = text[offset : offset + self.chance.randrange(5, 40)]
            token = live.WriteToken(
                session_id=session_id, turn_id=writing.turn_id, offset=offset, text=piece
            )
            # Noted before it is sent: somebody may be shown it before this goes on.
            now = ns(self.loop.time())
            self._show(Written(self.name, session_id, now, writing.turn_id, offset, piece))
            await self._write(live.ClientFrame(token=token))
            offset += len(piece)
        if not writing.end and not writing.over.is_set():
            writing.end = "…"
            end = live.EndTurn(session_id=session_id, turn_id=writing.turn_id, length=len(text))
            asked = await self.say("end", session_id, end, "end_turn")
            writing.end = asked.op_id
            if asked.outcome is OK:
                writing.over.set()
