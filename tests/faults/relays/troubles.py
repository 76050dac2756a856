"""What can befall the bytes of a connection, as data; `Door` makes it happen."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Way(Enum):
    """Which way bytes go: to the part behind the door, or from it."""

    IN = auto()
    OUT = auto()


BOTH = frozenset(Way)


@dataclass(frozen=True, slots=True)
class Trouble:
    """What befalls connections as long as it lasts.

    No byte is ever lost, changed or overtaken on a connection that lives on: what was held passes
    afterwards, as TCP would repeat it. What must not pass any more ends with its connection.

    Attributes:
        silent: the ways in which nothing passes.
        delay: seconds that every byte is late.
        drip: bytes that pass at once, every 10 ms; None is all.
        reset_after: bytes that still pass, counted both ways, before both ends are reset; None is
            all.
        half_open: whether the part loses its end of the connection, and the caller is not told.
        refused: whether nobody can connect.
    """

    silent: frozenset[Way] = frozenset()
    delay: float = 0.0
    drip: int | None = None
    reset_after: int | None = None
    half_open: bool = False
    refused: bool = False


NONE = Trouble()
STALL = Trouble(silent=BOTH)
DEAF = Trouble(silent=frozenset({Way.IN}))
MUTE = Trouble(silent=frozenset({Way.OUT}))
LATE = Trouble(delay=0.3)
SLOW = Trouble(drip=400)
TORN = Trouble(reset_after=150)
HALF_OPEN = Trouble(half_open=True, silent=BOTH)
CUT = Trouble(reset_after=0, refused=True)
