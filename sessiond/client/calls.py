"""Unary calls over several addresses: which is asked, how often, and what a failure means.

Every call may be repeated: reads as they are, changes by their operation id. So a call that breaks
is made again, at the next address, until it is answered or its time is over. Then a change whose
first attempt may have been stored is unknown, unless an answer settles it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from sessiond.client.backoff import Backoff
from sessiond.client.doubt import told
from sessiond.errors import (
    CARRIED,
    DeadlineExceeded,
    OutcomeUnknown,
    RateLimited,
    SessiondError,
    Unauthenticated,
)

ATTEMPT_SECONDS = 10.0
"""How long one address may take, so that one that hangs does not take all the time."""

Stub = TypeVar("Stub")


class Attempts(Generic[Stub]):
    """The course of one call, without I/O: asks where to try next, and how long to wait."""

    def __init__(
        self,
        stubs: Replicas[Stub],
        *,
        deadline: float,
        changes: bool,
        renewable: bool,
        clock: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        self._stubs = stubs
        self._clock = clock
        self._ends = clock() + deadline
        self._changes = changes
        self._renewable = renewable
        self._backoff = Backoff(chance)
        self._in_doubt = False
        self._tried = 0

    @property
    def stub(self) -> Stub:
        """Whom to ask now."""
        return self._stubs.preferred

    @property
    def seconds(self) -> float:
        """How long to wait for the answer."""
        return max(0.001, min(ATTEMPT_SECONDS, self._ends - self._clock()))

    def failed(self, failure: SessiondError) -> float:
        """Return how long to wait before the next attempt.

        Raises:
            SessiondError: what the caller is told; there is no next attempt.
        """
        if isinstance(failure, Unauthenticated) and self._renewable:
            self._renewable = False  # once more, with another token
            return 0.0
        if not CARRIED[type(failure)].retryable:
            raise told(failure, in_doubt=self._in_doubt)
        if self._changes and isinstance(failure, OutcomeUnknown | DeadlineExceeded):
            self._in_doubt = True
        self._stubs.next()
        self._tried += 1
        pause = 0.0
        if isinstance(failure, RateLimited):
            pause = self._backoff.pause(failure.retry_after or 0.0)
        elif self._tried % len(self._stubs) == 0:
            pause = self._backoff.pause()
        if self._clock() + pause >= self._ends:
            raise OutcomeUnknown if self._in_doubt else failure
        return pause


class Replicas(Generic[Stub]):
    """Equal servers, of which the one that answered last is asked first."""

    def __init__(self, stubs: list[Stub], first: int) -> None:
        self._stubs = stubs
        self._index = first % max(1, len(stubs))

    def __len__(self) -> int:
        return len(self._stubs)

    @property
    def preferred(self) -> Stub:
        """Whom to ask."""
        return self._stubs[self._index]

    def next(self) -> None:
        """Prefer the next one: this one did not answer."""
        self._index = (self._index + 1) % len(self._stubs)
