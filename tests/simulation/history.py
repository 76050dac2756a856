"""What clients did and saw, in the order in which it happened."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

OK: Literal["ok"] = "ok"
FAIL: Literal["fail"] = "fail"
UNKNOWN: Literal["unknown"] = "unknown"


@dataclass(slots=True)
class Operation:
    """One change or read. `seq` is what its answer named; `told` is what a read showed."""

    client: str
    kind: str
    session_id: str
    op_id: str
    invoked: float
    returned: float = float("inf")
    outcome: Literal["ok", "fail", "unknown"] = UNKNOWN
    seq: int = 0
    reason: str = ""
    told: Any = None

    @property
    def reads(self) -> bool:
        """Whether it changes nothing."""
        return self.kind in ("get", "list")


@dataclass(slots=True)
class Shown:
    """One thing that a stream showed of one session, in one attachment of one client."""

    client: str
    attachment: int
    session_id: str
    at: float
    kind: str
    seq: int = 0
    what: Any = None


@dataclass(slots=True)
class History:
    """Everything of one schedule, and a readable trace of it."""

    operations: list[Operation] = field(default_factory=list)
    shown: list[Shown] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    """What parts said that they must never have to say."""

    def note(self, at: float, who: str, text: str) -> None:
        """Add a line to the trace."""
        self.lines.append(f"{at:9.4f} {who:10} {text}")
