"""What Prometheus learns about HTTP requests.

Labels are the method, the template of the path and the status: their number is bounded.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

# From a millisecond, a small read, to the deadline of a call.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class HttpFigures:
    """Counts requests in a registry: `sessiond_http_requests_total`, `..._request_seconds` and
    `..._requests_in_flight`. A path that has no route counts as route `none`.

    WebSockets count when they end, by close code: `sessiond_http_websockets_total`; those that were
    refused by their HTTP status.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("method", "route", "code")
        self._total = Counter(
            "sessiond_http_requests", "HTTP requests answered.", labels, registry=registry
        )
        self._seconds = Histogram(
            "sessiond_http_request_seconds",
            "Time from a request's head to its answer.",
            labels,
            buckets=_SECONDS,
            registry=registry,
        )
        self.in_flight = Gauge(
            "sessiond_http_requests_in_flight", "HTTP requests being answered.", registry=registry
        )

        self._websockets = Counter(
            "sessiond_http_websockets",
            "WebSockets that ended.",
            ("route", "code"),
            registry=registry,
        )

    def socket_ended(self, route: str, code: int) -> None:
        """Count one WebSocket that ended. Codes that a client made up count as one."""
        known = code < 600 or code in range(1000, 1016) or code in range(4000, 4600)
        self._websockets.labels(route or "none", str(code) if known else "other").inc()

    def ended(self, method: str, route: str, code: int, seconds: float) -> None:
        """Count one request that ended."""
        labels = (method, route or "none", str(code))
        self._total.labels(*labels).inc()
        self._seconds.labels(*labels).observe(seconds)
