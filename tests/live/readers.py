"""Subscribers of a room in tests: what their readers were shown, as frames."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from services.live.attachment import Attachment
from services.live.outbox import CAPACITY, Outbox
from services.live.request import Answer, Asked
from services.live.room import Room
from sessiond.errors import SessiondError
from sessiond.session.access import Identity
from sessiond.session.changes import Change
from sessiond.v1.live_pb2 import ServerFrame
from tests.live.rooms import ALICE, commit


@dataclass
class Reader:
    """One stream that is attached to one room, and has caught up."""

    room: Room
    identity: Identity = ALICE
    capacity: int = CAPACITY
    overflows: int = 0
    ended: list[Attachment] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.outbox = Outbox(self._overflow, capacity=self.capacity)
        self.attachment = Attachment(
            self.room,
            self.outbox,
            identity=lambda: self.identity,
            on_end=self.ended.append,
            on_rewound=lambda: None,
        )
        self.room.audience.join(self.attachment)
        self.attachment.caught_up()

    def _overflow(self) -> None:
        self.overflows += 1
        self.outbox.end(at_once=True)

    async def shown(self, *kinds: str) -> list[Any]:
        """Return what waits to be written, of some kinds or of all."""
        self.outbox.offer(b"")  # so that there always is something to take
        batch = ServerFrame.FromString(await self.outbox.take()).batch
        frames = [(frame.WhichOneof("frame") or "", frame) for frame in batch]
        return [getattr(frame, kind) for kind, frame in frames if not kinds or kind in kinds]


@dataclass(slots=True, kw_only=True)
class Told(Asked):
    """A change that remembers what it was told."""

    answers: list[Answer | SessiondError] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)

    def give(self, answer: Answer | SessiondError) -> None:
        self.answers.append(answer)

    def fail(self, reason: Exception) -> None:
        self.failures.append(reason)

    @property
    def answer(self) -> Answer:
        (answer,) = self.answers
        assert isinstance(answer, Answer)
        return answer

    @property
    def error(self) -> SessiondError:
        (error,) = self.answers
        assert isinstance(error, SessiondError)
        return error


def told(room: Room, change: Change, op_id: str, identity: Identity = ALICE) -> Told:
    """Let a change wait in the room."""
    asked = Told(change=change, identity=identity, op_id=op_id)
    room.submit(asked)
    return asked


def made(room: Room, change: Change, op_id: str, identity: Identity = ALICE) -> Answer:
    """Make a change, alone in its commit."""
    asked = told(room, change, op_id, identity)
    commit(room)
    return asked.answer


def text_of(tokens: Iterable[Any]) -> str:
    """Return the text that a reader has who drops what it has already."""
    text = ""
    for token in tokens:
        assert token.offset <= len(text)
        text += token.text[len(text) - token.offset :]
    return text
