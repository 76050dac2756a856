"""What clients set out to do, and what they were told."""

from __future__ import annotations

from dataclasses import dataclass

from sessiond.errors import DeadlineExceeded, Internal, OutcomeUnknown

UNKNOWN = frozenset(failure.reason for failure in (OutcomeUnknown, DeadlineExceeded, Internal))
"""Failures after which a change may be stored or not."""


@dataclass(slots=True, eq=False)
class Operation:
    """One append, planned before it is known how the one before went.

    Attributes:
        planned: the moment at which it is due, by the clock of the event loop, in seconds.
        sent: when the client was given it.
        acknowledged: when it was acknowledged; None before that.
        seq: where it stands in the log, as the acknowledgement says.
        refused: the name of the failure that was its final answer; "" for none.
        errors: how many answers were errors, whether it was tried again or not.
    """

    op_id: str
    session_id: str
    planned: float
    sent: float = 0.0
    acknowledged: float | None = None
    seq: int = 0
    refused: str = ""
    errors: int = 0

    @property
    def text(self) -> str:
        """What is appended: no two operations append the same."""
        return f"This is {self.op_id}, and it is said once."

    @property
    def answered(self) -> bool:
        """Whether it is over, well or not."""
        return self.acknowledged is not None or bool(self.refused)

    @property
    def latency(self) -> float:
        """Seconds from the planned moment to the acknowledgement."""
        if self.acknowledged is None:
            raise ValueError(f"{self.op_id} was not acknowledged")
        return self.acknowledged - self.planned

    def acknowledge(self, seq: int, now: float) -> None:
        """Note a good answer."""
        self.acknowledged = now
        self.seq = seq

    def refuse(self, reason: str) -> None:
        """Note that no answer will come but this failure."""
        self.errors += 1
        self.refused = reason


class View:
    """What one client saw of one session.

    Attributes:
        client: names the client, in complaints.
        session_id: which session.
        first: the seq that it began after.
        log: seq and operation id of each event, in the order in which they came.
        resets: how often it was told that what it holds is void.
        reconnects: how often it had to connect again, where that can be seen.
        ended: why it can follow the session no longer; "" while it can.
        difference: how its folded state differs from a fresh load; "" where it does not.
    """

    __slots__ = (
        "client",
        "difference",
        "ended",
        "first",
        "log",
        "reconnects",
        "resets",
        "session_id",
    )

    def __init__(self, client: str, session_id: str) -> None:
        self.client = client
        self.session_id = session_id
        self.first = 0
        self.log: list[tuple[int, str]] = []
        self.resets = 0
        self.reconnects = 0
        self.ended = ""
        self.difference = ""

    @property
    def seq(self) -> int:
        """The newest seq that came."""
        return self.log[-1][0] if self.log else self.first
