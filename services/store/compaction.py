"""When etcd forgets old revisions, and up to which: by need, without any I/O.

    moments:  (10:00:00, 4711) (10:00:02, 4790) ... (10:05:04, 9001)      one at each look
              `--------- kept that long ---------'
    due:      once a minute, the newest moment that is old enough

Old revisions serve who pages through a list, and who resumes a watch. Five minutes of them are
kept, and 30 s when space is needed more. A Store that has just started remembers no moment that is
old enough, and waits until it does.
"""

from __future__ import annotations

from collections import deque
from typing import Final

EVERY_SECONDS: Final = 60.0
"""Between two compactions."""

KEPT_SECONDS: Final = 300.0
"""How much history stays."""

KEPT_IN_NEED_SECONDS: Final = 30.0
"""How much stays when etcd is fuller than `NEED_FILL`."""

NEED_FILL: Final = 0.60


class Compaction:
    """Remembers which revision stood when. Times are seconds that never go back."""

    def __init__(self) -> None:
        self._moments: deque[tuple[float, int]] = deque()
        self._next = float("-inf")
        self._compacted = 0

    def seen(self, now: float, revision: int) -> None:
        """Remember that everything up to this revision is no younger than this time."""
        self._moments.append((now, revision))
        # The newest of those that are old enough says all that the older ones could.
        while len(self._moments) > 1 and self._moments[1][0] <= now - KEPT_SECONDS:
            self._moments.popleft()

    def due(self, now: float, fill: float) -> int | None:
        """Return the revision to compact to; None when it is too soon, or nothing is to forget."""
        if now < self._next:
            return None
        kept = KEPT_IN_NEED_SECONDS if fill > NEED_FILL else KEPT_SECONDS
        old = [revision for time, revision in self._moments if time <= now - kept]
        revision = max(old, default=0)
        return revision if revision > self._compacted else None

    def tried(self, now: float) -> None:
        """Note that somebody compacts: here is nothing to do for a minute."""
        self._next = now + EVERY_SECONDS

    def done(self, revision: int) -> None:
        """Note that everything before this revision is forgotten."""
        self._compacted = revision

    def forget(self) -> None:
        """Forget all moments: etcd was replaced by one of another history."""
        self._moments.clear()
        self._compacted = 0
