"""Rooms and requests for tests: a session just made, with counted ids and a clock in hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from services.live.forming import Formed
from services.live.outcome import Verdict
from services.live.request import Answer, Request
from services.live.room import Room
from sessiond.session.access import Identity
from sessiond.session.apply import apply
from sessiond.session.changes import Change, CreateSession
from sessiond.session.decide import create
from sessiond.session.events import Record
from sessiond.session.limits import DEFAULT_LIMITS, Limits
from sessiond.session.workflow import Step, Workflow
from sessiond.store.codec import HeadMeta, encode_head, encode_record
from sessiond.v1.ownership_pb2 import ReadHeadRequest

ALICE = Identity("alice")
BOB = Identity("bob")
ME = b"i" * 16
TWO_STEPS = Workflow(
    id="two-steps",
    name="Two steps",
    steps=(
        Step("first", "First", "writer", "making", 10),
        Step("second", "Second", "editor", "checking", 20),
    ),
)
START_MS = 1_000_000


@dataclass
class Clock:
    """Milliseconds that only a test moves."""

    ms: int = START_MS

    def __call__(self) -> int:
        return self.ms


@dataclass
class Due:
    """Something that a test lets happen."""

    seconds: float
    call: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


@dataclass
class Timers:
    """What a room has asked for; nothing happens until a test says that its time has come."""

    waiting: list[Due] = field(default_factory=list)

    def __call__(self, seconds: float, call: Callable[[], None]) -> Due:
        due = Due(seconds, call)
        self.waiting.append(due)
        return due

    def pass_(self, seconds: float) -> None:
        """Let everything happen that was to happen after so many seconds, once."""
        due = [each for each in self.waiting if each.seconds == seconds and not each.cancelled]
        self.waiting = [each for each in self.waiting if each not in due and not each.cancelled]
        for each in due:
            each.call()


@dataclass
class House:
    """Makes rooms of one fresh session."""

    limits: Limits = DEFAULT_LIMITS
    clock: Clock = field(default_factory=Clock)
    timers: Timers = field(default_factory=Timers)
    ids: count[int] = field(default_factory=lambda: count(1))

    def room(self) -> Room:
        event = create(
            CreateSession(),
            workflow=TWO_STEPS,
            session_id="s1",
            identity=ALICE,
            limits=DEFAULT_LIMITS,
        )
        record = Record(seq=1, time_ms=START_MS, actor=ALICE.actor, event=event, op_id="made")
        session = apply(None, record)
        meta = HeadMeta(
            log_id=7,
            epoch=1,
            owner=ME,
            commit_id=b"0" * 16,
            size=len(encode_record(record)),
            index_ms=START_MS,
            awaited_agent=session.awaited_agent,
        )
        return Room(
            session,
            meta,
            encode_head(session, meta),
            [record],
            later=self.timers,
            limits=self.limits,
            now_ms=self.clock,
            new_id=lambda: f"id-{next(self.ids)}",
            new_commit_id=lambda: next(self.ids).to_bytes(16),
        )


def asked(
    change: Change, op_id: str, identity: Identity = ALICE, expected_revision: int | None = None
) -> Request:
    """Return a request whose reply belongs to the running loop."""
    reply: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
    return Request(change, identity, op_id, expected_revision, reply)


def formed(room: Room) -> Formed:
    """Return what the room wants written now."""
    write = room.form()
    assert write is not None
    return write


def commit(room: Room) -> Formed:
    """Let the room write what waits, and succeed."""
    write = formed(room)
    room.settle(Verdict.COMMITTED)
    return write


def confirmed(room: Room) -> None:
    """Let the room answer what needs no write: its head is seen to stand."""
    write = formed(room)
    assert isinstance(write.write, ReadHeadRequest)
    room.settle(Verdict.COMMITTED)


def unknown(write: Formed) -> Formed:
    """Return the write as it is after a try of unknown fate."""
    return write._replace(attempt=write.attempt._replace(unknown=True))
