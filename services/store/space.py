"""How much space etcd has left, and what Store no longer takes when that is little.

    plenty --75 %--> getting full: said in the log --85 %--> short: what makes sessions grow waits

At 100 % etcd itself refuses every put and every lease, until an operator says otherwise; then no
Live can register and nothing begins again. So Store stops long before: reads, deletions,
heartbeats, takeovers and hand-overs go on, and so do turns that run, which end and take their
drafts with them; so do revocations and legal holds, which are few and small, and which Live sends
as commits that do not wait. It is over as soon as the fill is seen to be below the limit again.
"""

from __future__ import annotations

from typing import Final

import structlog

from services.store.writes import Commit
from sessiond.errors import Unavailable

WARNED_FILL: Final = 0.75
"""From here on the log warns."""

SHORT_FILL: Final = 0.85
"""From here on what makes sessions grow is put off."""

_RETRY_SECONDS: Final = 10.0

_log = structlog.get_logger(__name__)


class Space:
    """What was last seen of etcd's space; before anything was seen there is plenty.

    Attributes:
        fill: the part of the quota that is used; 1.0 is all of it.
    """

    def __init__(self) -> None:
        self.fill = 0.0
        self._said = 0.0

    def seen(self, used: int, quota: int) -> None:
        """Take a reading, in bytes; a step over a limit, up or down, is logged once."""
        self.fill = used / quota
        reached = max(limit for limit in (0.0, WARNED_FILL, SHORT_FILL) if self.fill >= limit)
        if reached == self._said:
            return
        self._said = reached
        said = {"used_bytes": used, "quota_bytes": quota}
        if reached == SHORT_FILL:
            _log.error("etcd is nearly full: changes that grow sessions are refused", **said)
        elif reached == WARNED_FILL:
            _log.warning("etcd is getting full", **said)
        else:
            _log.info("etcd has space again", **said)

    @property
    def is_short(self) -> bool:
        """Whether what makes sessions grow is put off."""
        return self.fill >= SHORT_FILL

    def puts_off(self, commit: Commit) -> bool:
        """Return whether a commit waits for better times.

        A turn that runs goes on to its end, which removes its drafts: to refuse those would keep
        more than it saves. What may have been tried before is let through, since only a repetition
        tells its fate.
        """
        grows = bool(commit.records) and not commit.ended_turn
        return self.is_short and commit.deferrable and grows

    def refusal(self) -> Unavailable:
        """Return what the maker of a new session is told; nothing was made."""
        return Unavailable(
            "There is little space left; nothing was changed. Reading and deleting go on.",
            retry_after=_RETRY_SECONDS,
        )
