"""A change on its way through a room, and the answer that it gets."""

from __future__ import annotations

from asyncio import Future
from dataclasses import dataclass, field
from typing import NamedTuple

from sessiond.errors import SessiondError
from sessiond.session.access import Actor, Identity, Operation
from sessiond.session.changes import (
    AbandonTurn,
    AppendMessage,
    ApproveOutput,
    BeginTurn,
    CancelTurn,
    Change,
    DeleteSession,
    EditOutput,
    EndTurn,
    JoinSession,
    MakeLink,
    PauseSession,
    ResumeSession,
    RevokeLink,
    RewindSession,
    SetHold,
    ShareSession,
    SubmitOutput,
    TransferSession,
    UnshareSession,
    UpdateSession,
    fingerprint,
)
from sessiond.session.events import Record
from sessiond.session.state import Session

OPERATIONS: dict[type[Change], Operation | None] = {
    AppendMessage: Operation.APPEND_MESSAGE,
    UpdateSession: Operation.UPDATE,
    ApproveOutput: Operation.DECIDE_OUTPUT,
    SubmitOutput: Operation.SUBMIT_OUTPUT,
    EditOutput: Operation.EDIT_OUTPUT,
    PauseSession: Operation.PAUSE,
    ResumeSession: Operation.PAUSE,
    DeleteSession: Operation.DELETE,
    BeginTurn: Operation.TURN,
    EndTurn: Operation.TURN,
    CancelTurn: Operation.CANCEL_TURN,
    AbandonTurn: Operation.ABANDON_TURN,
    RewindSession: Operation.REWIND,
    SetHold: Operation.HOLD,
    ShareSession: Operation.SHARE,
    UnshareSession: Operation.SHARE,
    MakeLink: Operation.SHARE,
    RevokeLink: Operation.SHARE,
    JoinSession: None,  # who joins is a stranger yet: the link's secret decides
    TransferSession: Operation.TRANSFER,
}


class RoomClosed(Exception):
    """The room is no longer the place for this session, and did not apply the change."""


class Unsettled(Exception):
    """The room closed while the change was in flight: the same operation id settles it."""


class Answer(NamedTuple):
    """What became of a change.

    `seq` is that of its event; where it changed nothing, the revision at that moment. `record` is
    the event, where it is at hand.
    """

    seq: int
    record: Record | None = None


@dataclass(slots=True)
class Asked:
    """A change that is asked for, by whom, and under which operation id.

    `past` is the session as it was where a rewind goes back to; `past.past_of` finds it. `secret`
    is that of the link that it makes, where it makes one.
    """

    change: Change
    identity: Identity
    op_id: str
    expected_revision: int | None = None
    hash: bytes = field(default=b"", kw_only=True)
    past: Session | None = field(default=None, kw_only=True)
    secret: str = field(default="", kw_only=True)
    key: tuple[Actor, str] = field(init=False)
    """What names the change: operation ids belong to their actor."""

    def __post_init__(self) -> None:
        self.hash = self.hash or fingerprint(self.change)
        self.key = self.identity.actor, self.op_id

    @property
    def gone(self) -> bool:
        """Whether nobody waits for the answer any more, who was told that it is not known."""
        return False

    @property
    def actor(self) -> Actor:
        """Who asks, as records name it."""
        return self.key[0]

    @property
    def operation(self) -> Operation | None:
        """The row of the role table that the change stands in; None where there is none."""
        change = self.change
        if isinstance(change, UnshareSession) and change.user_id == self.identity.user_id:
            return Operation.LEAVE
        return OPERATIONS[type(change)]

    def give(self, answer: Answer | SessiondError) -> None:
        """Give the answer."""

    def fail(self, reason: Exception) -> None:
        """Say why there is no answer."""


@dataclass(slots=True)
class Request(Asked):
    """A change whose caller waits for one answer."""

    reply: Future[Answer] = field(default_factory=Future)

    @property
    def gone(self) -> bool:
        """Whether the caller has gone."""
        return self.reply.cancelled()

    def give(self, answer: Answer | SessiondError) -> None:
        """Give the answer, unless the caller has gone."""
        if self.reply.done():
            return
        if isinstance(answer, SessiondError):
            self.reply.set_exception(answer)
        else:
            self.reply.set_result(answer)

    def fail(self, reason: Exception) -> None:
        """Say why there is no answer, unless the caller has gone."""
        if not self.reply.done():
            self.reply.set_exception(reason)
