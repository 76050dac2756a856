"""How long to wait before another try: longer each time, and never all at once."""

from __future__ import annotations

LONGEST_PAUSE_SECONDS = 2.0


def pause(failures: int, chance: float, *, least: float = 0.0) -> float:
    """Return seconds to wait after so many failures in a row; 0 after none.

    `chance` is from 0 to 1; `least` is what the other side asked for, and is never undercut.
    """
    backoff = min(LONGEST_PAUSE_SECONDS, 0.025 * 2 ** min(failures, 10)) if failures else 0.0
    return max(least * (1 + chance / 2), backoff * (0.5 + chance / 2))
