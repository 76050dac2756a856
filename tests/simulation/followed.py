"""What a follower has of one session, and what it said there."""

from __future__ import annotations

from dataclasses import dataclass, field

from sessiond.v1 import live_pb2 as live
from tests.simulation.history import Operation


@dataclass(slots=True)
class Sent:
    """A change without a reply, and whether it was sent more than once."""

    frame: live.ClientFrame
    asked: Operation
    unknown: bool = False


@dataclass(slots=True)
class Followed:
    """One session, as its follower has it: 0 says that it holds nothing."""

    session_id: str
    log_id: str = ""
    seq: int = 0
    attachment: int = 0
    attached: bool = False
    gone: bool = False
    turn: str = ""
    asked: tuple[int, str, int] = (0, "", 0)
    messages: list[tuple[int, str]] = field(default_factory=list)
    sent: dict[str, Sent] = field(default_factory=dict)
