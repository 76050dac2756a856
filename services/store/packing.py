"""Which waiting commits travel together: the line in front of etcd, without any I/O.

    join --> in line --take--> in flight --release--> gone
      \\--> behind a commit of the same session --/ (joins the line when that one is released)

A session has at most one commit in line or in flight, so commits of one session keep their order
and no batch can hold a session twice: nor, with that, a draft beside the removal of its turn's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, NamedTuple

from services.store.writes import Commit, Outcome

BATCH_COMMITS = 63
"""With one flat put beside them, 63 nested transactions leave each 64 of etcd's 128 operations."""

BATCH_BYTES = 1280 * 1024
"""Safely under the 1.5 MiB that etcd takes in one transaction."""

ALONE_BYTES = 512 * 1024
"""A larger commit goes alone: others would wait for its bytes."""


class Waiting(NamedTuple):
    """A commit in line, its size in bytes, and who hears of its outcome: `settle(tag, outcome)`."""

    commit: Commit
    size: int
    settle: Callable[[int, Outcome], None]
    tag: int


class Turn(NamedTuple):
    """Something else that waits like a commit and then runs alone, or is given up unrun."""

    run: Callable[[], Coroutine[Any, Any, None]]
    give_up: Callable[[], None]


class Line:
    """Commits and turns that wait, first come first served.

    `commits` and `size` count all that wait, in bytes, what is in flight not included.
    """

    def __init__(self) -> None:
        self._line: deque[Waiting | Turn] = deque()
        # Who is in line or in flight, and what waits behind.
        self._behind: dict[str, deque[Waiting] | None] = {}
        self.commits = 0
        self.size = 0

    def join(self, waiting: Waiting) -> None:
        """Add a commit at the end."""
        session_id = waiting.commit.session_id
        self.commits += 1
        self.size += waiting.size
        if session_id not in self._behind:
            self._behind[session_id] = None
            self._line.append(waiting)
            return
        behind = self._behind[session_id]
        if behind is None:
            self._behind[session_id] = deque((waiting,))
        else:
            behind.append(waiting)

    def join_turn(self, turn: Turn) -> None:
        """Add a turn at the end."""
        self._line.append(turn)

    def take(self) -> Sequence[Waiting] | Turn | None:
        """Remove and return what goes next: a batch, a turn, or None when nothing is in line.

        A batch is the longest beginning of the line that has at most 63 commits of at most
        1.25 MiB together; a commit of more than 512 KiB is a batch by itself, whatever its size.
        """
        line = self._line
        if not line:
            return None
        first = line.popleft()
        if isinstance(first, Turn):
            return first
        batch = [first]
        size = first.size
        if size <= ALONE_BYTES:
            while line and len(batch) < BATCH_COMMITS:
                following = line[0]
                if isinstance(following, Turn) or following.size > ALONE_BYTES:
                    break
                if size + following.size > BATCH_BYTES:
                    break
                size += following.size
                batch.append(following)
                line.popleft()
        self.commits -= len(batch)
        self.size -= size
        return batch

    def release(self, batch: Sequence[Waiting]) -> None:
        """Say that a batch is settled; the next commits of its sessions join the line."""
        for waiting in batch:
            session_id = waiting.commit.session_id
            behind = self._behind[session_id]
            if behind is None:
                del self._behind[session_id]
                continue
            self._line.append(behind.popleft())
            if not behind:
                self._behind[session_id] = None
