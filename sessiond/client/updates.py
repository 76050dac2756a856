"""What the reader of an attached session sees, beside the records of its log."""

from __future__ import annotations

from dataclasses import dataclass

from sessiond.session.events import Record
from sessiond.v1 import live_pb2


@dataclass(frozen=True, slots=True)
class Reset:
    """The session was loaded anew, as of `seq`: events up to there that had not come will not.

    It happens to a reader that was away for more than 10,000 events, when the session was rewound,
    and when it was deleted and its id is another session's now. `reason` says why.
    """

    reason: str
    seq: int


@dataclass(frozen=True, slots=True)
class Token:
    """An agent writes: the text that follows the first `offset` characters of its turn.

    It is provisional; what counts is the text of the event that ends the turn.
    """

    turn_id: str
    offset: int
    text: str


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody who has the session open. `acting_for` is the user of a service; "" otherwise."""

    subject: str
    role: str
    acting_for: str
    typing: bool


@dataclass(frozen=True, slots=True)
class Presence:
    """Who is here, all of them: at most 50 members, of `count` in all."""

    members: tuple[Member, ...] = ()
    count: int = 0


Durable = Record | Reset
"""What `events()` gives."""

Update = Record | Reset | Token | Presence
"""What `updates()` gives."""


class RunningTurn:
    """An answer that an agent is writing, as far as it has come."""

    def __init__(self, turn_id: str, agent_id: str | None = None, text: str = "") -> None:
        self.id = turn_id
        self.agent_id = agent_id
        self.length = len(text)
        self._pieces = [text]

    @property
    def text(self) -> str:
        """Everything written so far; provisional until the turn has ended."""
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0]

    def write(self, text: str) -> None:
        """Add what follows."""
        self._pieces.append(text)
        self.length += len(text)


def presence_from_wire(presence: live_pb2.Presence) -> Presence:
    """Return who is here."""
    members = tuple(
        Member(member.subject, member.role, member.acting_for, member.typing)
        for member in presence.members
    )
    return Presence(members, presence.count)
