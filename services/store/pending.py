"""Changes of sessions that wait to be told to one watcher: the newest of each, not too often.

No I/O and no clock: the caller says what time it is, in seconds that never go back.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from services.store.answers import ScopeChange

INTERVAL_SECONDS = 0.25
"""A session is told at most four times a second."""

# Sessions of which the last revision is remembered. Who forgets one may tell an old change of it
# once more; the next change is right again.
_REMEMBERED = 20_000


class Change(NamedTuple):
    """How a session now is: its entry, or None where it left all scopes."""

    session_id: str
    entry: bytes | None


class _Known(NamedTuple):
    revision: int
    here: bool


class Pending:
    """What is not yet told of several scopes, each of which brings its changes in order.

    A session that moves from one scope to another leaves the one and enters the other at one
    revision, and the two scopes may bring that in either order: the newer revision counts, and at
    one revision the entering. It is full at `capacity` sessions; then scopes should wait.
    """

    def __init__(
        self,
        revisions: Sequence[int],
        listed: Iterable[tuple[str, int]] = (),
        *,
        capacity: int = 10_000,
    ) -> None:
        """Go on from a revision per scope; `listed` sessions were told as of a revision each."""
        self._revisions = list(revisions)
        self._capacity = capacity
        self._waiting: dict[str, bytes | None] = {}
        # Of each scope, the first revision of each waiting session, in order of revision.
        self._untold: list[dict[str, int]] = [{} for _ in revisions]
        self._due: list[tuple[float, str]] = []
        self._told: dict[str, float] = {}
        self._known: dict[str, _Known] = {}
        for session_id, revision in listed:
            self._remember(session_id, revision, here=True)

    @property
    def full(self) -> bool:
        """Whether as many sessions wait as may."""
        return len(self._waiting) >= self._capacity

    @property
    def revisions(self) -> list[int]:
        """For each scope the revision up to which everything was told."""
        return [
            next(iter(untold.values())) - 1 if untold else revision
            for untold, revision in zip(self._untold, self._revisions, strict=True)
        ]

    @property
    def next_due(self) -> float | None:
        """When there is something to tell; None while nothing waits."""
        return self._due[0][0] if self._due else None

    def offer(self, scope: int, change: ScopeChange, now: float) -> None:
        """Take what a scope brings; also what it brings late, as of an older revision."""
        self._revisions[scope] = max(change.revision, self._revisions[scope])
        for session_id, entry in change.entries:
            if self._is_news(session_id, change.revision, here=True):
                self._wait(scope, Change(session_id, entry), change.revision, now)
        for session_id in change.removed:
            if self._is_news(session_id, change.revision, here=False):
                self._wait(scope, Change(session_id, None), change.revision, now)

    def take(self, now: float) -> Change | None:
        """Remove and return what is to be told next; None when nothing is due."""
        if not self._due or self._due[0][0] > now:
            return None
        _, session_id = heapq.heappop(self._due)
        for untold in self._untold:
            untold.pop(session_id, None)
        self._told.pop(session_id, None)
        self._told[session_id] = now
        self._forget_told(now)
        return Change(session_id, self._waiting.pop(session_id))

    def _is_news(self, session_id: str, revision: int, *, here: bool) -> bool:
        known = self._known.get(session_id)
        return known is None or (revision, here) > known

    def _wait(self, scope: int, change: Change, revision: int, now: float) -> None:
        session_id = change.session_id
        self._remember(session_id, revision, here=change.entry is not None)
        self._untold[scope].setdefault(session_id, self._revisions[scope])
        if session_id not in self._waiting:
            told = self._told.get(session_id)
            due = now if told is None else max(now, told + INTERVAL_SECONDS)
            heapq.heappush(self._due, (due, session_id))
        self._waiting[session_id] = change.entry

    def _remember(self, session_id: str, revision: int, *, here: bool) -> None:
        if len(self._revisions) == 1:
            return  # one scope brings its changes in order: nothing can be overtaken
        self._known.pop(session_id, None)
        self._known[session_id] = _Known(revision, here)
        if len(self._known) > _REMEMBERED:
            del self._known[next(iter(self._known))]

    def _forget_told(self, now: float) -> None:
        for session_id, told in list(itertools.islice(self._told.items(), 2)):
            if told + INTERVAL_SECONDS <= now:
                del self._told[session_id]
