"""Bringing a new subscriber to the present: every event after its cursor, or a snapshot.

    join at head H --cursor served--> attached, events up to H ---------+
          |                                                             +--> caught up, then live
          +--no cursor, or none that can be served--> attached, snapshot at H --+
                                                                                |
          a rewind --> reset, snapshot -----------------------------------------+

Joining is one synchronous step: what lies before H is read and shown at leisure, what comes after
it waits in the subscriber's backlog. A backlog that overflows makes the cursor worthless, so a
snapshot takes its place; there is never a partial replay.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from services.live.attachment import REWOUND, Attachment
from services.live.frames import encoded, event
from services.live.outbox import Outbox
from services.live.room import Room
from services.live.store import StoreClient
from sessiond import wire
from sessiond.cursor import Cursor
from sessiond.errors import SlowReader
from sessiond.event_wire import state_to_wire
from sessiond.session.apply import message_of
from sessiond.session.events import Record
from sessiond.session.limits import KIB, MIB
from sessiond.session.state import Message, Session
from sessiond.store.codec import decode_record
from sessiond.v1.event_pb2 import Turn
from sessiond.v1.live_pb2 import (
    Attached,
    CaughtUp,
    Reset,
    ServerFrame,
    Snapshot,
    SnapshotMessages,
    SnapshotOutput,
)
from sessiond.v1.session_pb2 import JsonObject

REPLAYED = 10_000
"""Events that are replayed at most; who is further behind gets a snapshot."""

PAGE = 100
"""Records taken at once."""

PAGE_BYTES = MIB
"""About how many bytes of records are read at once: a single one may have 512 KiB."""

MESSAGES_BYTES = 64 * KIB
"""About how much one frame of messages holds."""

RESTARTS = 3
"""Snapshots that one attach may need; a reader that is overtaken each time is too slow."""


class AttachmentEnded(Exception):
    """The room ended the attachment, or the stream ended, and said why; nothing may come after."""


def why_not(cursor: Cursor | None, room: Room) -> str:
    """Return why a cursor cannot be served; "" when it can."""
    if cursor is None:
        return "CURSOR_INVALID"
    if cursor.log_id != room.log_id:
        return "LOG_CHANGED"
    if cursor.seq > room.session.seq:
        return "CURSOR_INVALID"
    # Whoever has just the rewind itself may not have had the snapshot that follows it.
    if cursor.seq <= room.session.conversation.rewound_seq:
        return REWOUND
    return "CURSOR_TOO_OLD" if room.session.seq - cursor.seq > REPLAYED else ""


@dataclass(frozen=True, slots=True)
class CatchUp:
    """Shows one subscriber what it has missed.

    `owner` is told to the client as the address of the session's owner; "" for none.
    """

    attachment: Attachment
    outbox: Outbox
    store: StoreClient
    owner: str

    async def run(self, cursor: str | None, tail: int) -> None:
        """Bring the subscriber to the present; it has joined the room at the moment of this call.

        Raises:
            AttachmentEnded: the room has sent it away meanwhile, or its stream has ended.
            SlowReader: the reader was overtaken again and again.
            SessiondError: Store does not give what is needed.
        """
        room, session = self.attachment.room, self.attachment.room.session
        wanted = Cursor.parse(cursor) if cursor is not None else None
        reason = why_not(wanted, room) if cursor is not None else ""
        recovered = cursor is not None and not reason
        # All of this is as it stands at the join; showing it may take its time.
        await self._show(ServerFrame(attached=self._greeting(room, recovered=recovered)))
        if reason:
            await self._reset(reason)
        if recovered and wanted is not None:
            await self._events(room, wanted.seq + 1, session)
        else:
            await self._snapshot(room, session, tail)
        await self._reach_present(session, tail)

    async def again(self, tail: int) -> None:
        """Bring a subscriber back to the present that was there until the session was rewound.

        It may raise as `run` does.
        """
        await self._reach_present(self.attachment.room.session, tail)

    async def _reach_present(self, session: Session, tail: int) -> None:
        """Go on from this state, by snapshots as often as the reader was overtaken."""
        restarts = 0
        while not await self._caught_up(session):
            if restarts == RESTARTS:
                raise SlowReader
            restarts += 1
            reason, room = self.attachment.overtaken, self.attachment.room
            self.attachment.wait_again()
            session = room.session
            await self._reset(reason)
            await self._snapshot(room, session, tail)

    async def _caught_up(self, session: Session) -> bool:
        """Let the reader have everything as it happens; False when it was overtaken before."""
        told = CaughtUp(session_id=session.id, seq=session.seq)
        data = encoded(ServerFrame(caught_up=told))
        await self._room(len(data))
        if self.attachment.overtaken:
            return False
        # From here to the end nothing waits, so nothing can happen in between.
        self.outbox.offer(data)
        self.attachment.caught_up()
        return True

    async def _show(self, frame: ServerFrame | bytes, seq: int = 0) -> None:
        """Show a frame when the reader has read what came before, or nearly."""
        data = frame if isinstance(frame, bytes) else encoded(frame)
        await self._room(len(data))
        self.outbox.offer(data, self.attachment, seq)

    async def _room(self, size: int) -> None:
        await self.outbox.room(size)
        if self.attachment.ended or self.outbox.ended:
            raise AttachmentEnded

    async def _reset(self, reason: str) -> None:
        session_id = self.attachment.session_id
        await self._show(ServerFrame(reset=Reset(session_id=session_id, reason=reason)))

    def _greeting(self, room: Room, *, recovered: bool) -> Attached:
        attached = Attached(
            session_id=room.session.id,
            recovered=recovered,
            log_id=room.log_id,
            head_seq=room.session.seq,
            owner=self.owner or None,
        )
        if room.turn is not None:
            turn = room.turn.turn
            attached.turns.append(
                Turn(turn_id=turn.id, agent_id=turn.agent_id, seq=turn.seq, text=room.turn.text)
            )
            self.attachment.has_text(turn.id, room.turn.length)
        return attached

    async def _events(self, room: Room, seq: int, session: Session) -> None:
        """Show the events from this seq up to this state; it ends early when it is overtaken."""
        while seq <= session.seq and not self.attachment.overtaken:
            page = await self._page(room, seq, session.seq)
            for record in page:
                await self._show(event(record, session.id), record.seq)
            seq = page[-1].seq + 1

    async def _snapshot(self, room: Room, session: Session, tail: int) -> None:
        """Show the session as it stands at this state, with its newest messages.

        Its parts are made as they are shown: whoever does not read costs no more than a page. It
        ends early, without its last part, when it is overtaken.
        """
        start = await self._start_of(room, session, tail)
        part = Snapshot(state=state_to_wire(session))
        for following in _large_fields(session):
            await self._show_part(room, session, part)
            part = following
        for run in session.conversation.between(start, session.seq):
            seq = run.first
            while seq <= run.last and not self.attachment.overtaken:
                page = await self._page(room, seq, run.last)
                for group in grouped(_messages(page)):
                    await self._show_part(room, session, part)
                    messages = [wire.message_to_wire(message, session.id) for message in group]
                    part = Snapshot(messages=SnapshotMessages(messages=messages))
                seq = page[-1].seq + 1
        if not self.attachment.overtaken:
            part.last = True
            await self._show_part(room, session, part)

    async def _show_part(self, room: Room, session: Session, part: Snapshot) -> None:
        part.session_id, part.log_id, part.seq = session.id, room.log_id, session.seq
        await self._show(ServerFrame(snapshot=part), session.seq if part.last else 0)

    async def _start_of(self, room: Room, session: Session, tail: int) -> int:
        """Return the seq of the oldest of this state's newest messages; only seqs are kept."""
        wanted = min(tail, session.message_count)
        here = room.window.messages(session.conversation, newest=wanted, upto=session.seq)
        seqs = [message.seq for message in here]
        # All that the state is of may have left the window meanwhile.
        start = min(room.window.start, session.seq + 1)
        for run in reversed(session.conversation.between(1, start - 1)):
            last = run.last
            while len(seqs) < wanted and last >= run.first and not self.attachment.overtaken:
                seq = first = max(run.first, last + 1 - max(PAGE, wanted - len(seqs)))
                older: list[int] = []
                while seq <= last:
                    page = await self._page(room, seq, last)
                    older.extend(message.seq for message in _messages(page))
                    seq = page[-1].seq + 1
                seqs, last = [*older, *seqs], first - 1
        return seqs[-wanted:][0] if wanted and seqs else session.seq + 1

    async def _page(self, room: Room, seq: int, last: int) -> list[Record]:
        """Return some records from this seq on, at least one; the older ones from Store."""
        await asyncio.sleep(0)  # others have their turn between two pages
        upto = min(last, seq + PAGE - 1)
        if room.window.record(seq) is not None:
            held = (room.window.record(each) for each in range(seq, upto + 1))
            return [record for record in held if record is not None]
        upto = min(upto, max(seq, room.window.start - 1))
        found = await self.store.records(room.session.id, seq, upto, enough=PAGE_BYTES)
        return [decode_record(record) for record in found]


def _large_fields(session: Session) -> Iterable[Snapshot]:
    if session.user_inputs != "{}":
        yield Snapshot(user_inputs=JsonObject(text=session.user_inputs))
    for name, output in session.outputs.items():
        told = SnapshotOutput(output_id=name, output=wire.output_to_wire(output))
        yield Snapshot(output=told)


def _messages(records: Iterable[Record]) -> Iterable[Message]:
    return (message for record in records if (message := message_of(record)) is not None)


def grouped(messages: Iterable[Message]) -> Iterable[list[Message]]:
    """Yield messages in runs of about 64 KiB."""
    group: list[Message] = []
    size = 0
    for message in messages:
        group.append(message)
        size += len(message.content) + len(message.metadata or "")
        if size >= MESSAGES_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group
