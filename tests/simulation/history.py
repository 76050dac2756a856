"""What clients did and saw, in the order in which it happened, as the checker reads it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sessiond.v1.event_pb2 import Event
from tests.faults import history as told
from tests.faults.history import Entry, Kind, Outcome, digest

OK, FAIL, UNKNOWN = Outcome.OK, Outcome.FAIL, Outcome.UNKNOWN

KINDS = {"approve": Kind.DECIDE, **{kind.value: kind for kind in Kind}}


def ns(seconds: float) -> int:
    """Return a time as histories have it."""
    return 1 << 60 if math.isinf(seconds) else round(seconds * 1e9)


@dataclass(slots=True)
class Operation:
    """One change or read. `content` is what it says; `told` what a read was shown.

    `about` is the output or user that it names, or the session that it forks; `expected` the
    revision that it asks for, `user` whose session is made, or whose are listed, `state` the
    revision and the digest of the whole session that it was answered with.
    """

    client: str
    actor: str
    kind: str
    session_id: str
    op_id: str
    content: str
    invoked: float
    returned: float = math.inf
    outcome: Outcome = UNKNOWN
    seq: int = 0
    reason: str = ""
    told: Any = ()
    about: str = ""
    expected: int = 0
    user: str = ""
    state: tuple[int, str] = (0, "")

    def entry(self) -> told.Operation:
        """Return it as the checker reads it."""
        kind = KINDS[self.kind]
        return told.Operation(
            kind=kind,
            client=self.client,
            actor=self.actor,
            session=self.session_id,
            invoked=ns(self.invoked),
            returned=ns(self.returned),
            outcome=self.outcome,
            op_id=self.op_id,
            failure=self.reason,
            seq=self.seq,
            content=digest(self.content),
            about=self.about,
            expected=self.expected,
            messages=tuple(self.told) if kind is Kind.GET else (),
            user=self.user,
            listed=tuple(self.told) if kind is Kind.LIST else (),
            state=self.state,
        )


@dataclass(slots=True)
class History:
    """Everything of one schedule, and a readable trace of it.

    `complaints` is what parts said that they must never have to say.
    """

    operations: list[Operation] = field(default_factory=list)
    shown: list[Entry] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    notes: list[tuple[float, str, tuple[object, ...]]] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def note(self, at: float, who: str, *words: object) -> None:
        """Add a line to the trace; it is written only when somebody reads it."""
        self.notes.append((at, who, words))

    @property
    def lines(self) -> list[str]:
        """The trace."""
        return [f"{at:9.4f} {who:10} {' '.join(map(str, words))}" for at, who, words in self.notes]

    def entries(self) -> Iterator[Entry]:
        """Return all of it as the checker reads it."""
        yield from self.shown
        for operation in self.operations:
            yield operation.entry()
