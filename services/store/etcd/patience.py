"""How long an answer of etcd is waited for before the write counts as unknown, and is repeated.

A member does not answer for what it passed on to a leader that died, for five seconds; the next
leader is there after half a second to one. To wait short is safe, because a write is repeated as it
was; but an etcd that is slow must not be given everything twice. So the patience follows what etcd
takes, as a retransmission timeout does (RFC 6298).
"""

from __future__ import annotations

from typing import Final

SHORTEST: Final = 0.25
LONGEST: Final = 1.0
"""In seconds. Heartbeats wait for batches, too."""

_GROWTH: Final = 1.5
_TIMES: Final = 4.0


class Patience:
    """Attributes:
    seconds: how long to wait now.
    """

    def __init__(self) -> None:
        self.seconds = SHORTEST

    def lost(self) -> None:
        """Note that no answer came in time."""
        self.seconds = min(self.seconds * _GROWTH, LONGEST)

    def answered(self, took: float) -> None:
        """Note that an answer came after so many seconds: four times that is enough."""
        self.seconds = min(self.seconds, max(SHORTEST, _TIMES * took))
