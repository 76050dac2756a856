"""What Prometheus learns of retention; only the process that holds the job has anything to tell."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

OUTCOMES: Final = ("deleted", "stale", "held", "gone", "failed")
"""What becomes of a session that is due: the words of a run's report."""


class RetentionMetrics:
    """Counts in a registry, as it happens: a run may take hours."""

    def __init__(self, registry: CollectorRegistry) -> None:
        sessions = Counter(
            "sessiond_retention_sessions",
            "Sessions that were due, by what became of them.",
            ("outcome",),
            registry=registry,
        )
        self._sessions = {outcome: sessions.labels(outcome) for outcome in OUTCOMES}
        runs = Counter("sessiond_retention_runs", "Runs.", ("outcome",), registry=registry)
        self._whole = runs.labels("whole")
        self._broken = runs.labels("broken")
        self._last = Gauge(
            "sessiond_retention_last_run_timestamp_seconds",
            "When the last whole run ended, in seconds since 1970; 0: none did.",
            registry=registry,
        )
        erasures = Counter(
            "sessiond_retention_erasures",
            "Erasures of users, by whether they were done.",
            ("outcome",),
            registry=registry,
        )
        self._erased = erasures.labels("done")
        self._unerased = erasures.labels("failed")

    def settled(self, outcome: str) -> None:
        """Count a session that was due, by one of `OUTCOMES`."""
        self._sessions[outcome].inc()

    def ran(self, now_ms: int) -> None:
        """Count a run that came to its end, at this time in milliseconds since 1970."""
        self._whole.inc()
        self._last.set(now_ms / 1000)

    def broke_off(self) -> None:
        """Count a run that did not."""
        self._broken.inc()

    def erased(self, done: bool) -> None:
        """Count an erasure that was done, or that is to be tried again."""
        (self._erased if done else self._unerased).inc()
