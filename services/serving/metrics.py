"""What Prometheus learns about gRPC calls: how many, how long, how they ended, how many at once.

Labels are the method and the status code, never a session or a user: their number is bounded.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

# From a quarter of a millisecond, a cached read, to the seconds of a leader's election.
_SECONDS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class CallMetrics:
    """Counts the calls of one server in a registry.

    `sessiond_grpc_calls_total` and `sessiond_grpc_call_seconds` have the labels `method` and
    `code`, `sessiond_grpc_calls_in_flight` has `method`. A stream counts as one call, when it ends.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("method", "code")
        self._total = Counter(
            "sessiond_grpc_calls", "gRPC calls answered.", labels, registry=registry
        )
        self._seconds = Histogram(
            "sessiond_grpc_call_seconds",
            "Time from a call's first byte to its status.",
            labels,
            buckets=_SECONDS,
            registry=registry,
        )
        self._in_flight = Gauge(
            "sessiond_grpc_calls_in_flight",
            "gRPC calls being answered.",
            ("method",),
            registry=registry,
        )
        # Looking a labelled child up costs more than counting in it.
        self._ends: dict[tuple[str, str], tuple[Counter, Histogram]] = {}

    def in_flight(self, method: str) -> Gauge:
        """Return the gauge of one method."""
        return self._in_flight.labels(method)

    def ended(self, method: str, code: str, seconds: float) -> None:
        """Count one call that ended."""
        end = self._ends.get((method, code))
        if end is None:
            end = self._total.labels(method, code), self._seconds.labels(method, code)
            self._ends[method, code] = end
        end[0].inc()
        end[1].observe(seconds)
