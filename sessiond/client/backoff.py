"""How long to wait before the next attempt: exponential, with full jitter."""

from __future__ import annotations

from collections.abc import Callable

FIRST_SECONDS = 0.05
MOST_SECONDS = 5.0


class Backoff:
    """Pauses between attempts at one thing. `chance` gives numbers from 0 to 1."""

    def __init__(self, chance: Callable[[], float]) -> None:
        self._chance = chance
        self._attempts = 0

    @property
    def fresh(self) -> bool:
        """Whether nothing has failed since it was made or reset."""
        return self._attempts == 0

    def pause(self, least: float = 0.0) -> float:
        """Return the seconds to wait after one more failure, not less than the server asked for."""
        longest = min(MOST_SECONDS, FIRST_SECONDS * 2.0**self._attempts)
        self._attempts = min(self._attempts + 1, 16)
        return max(least, longest * self._chance())

    def reset(self) -> None:
        """Note a success."""
        self._attempts = 0
