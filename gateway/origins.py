"""Which web pages may call us from a browser (CORS)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from starlette.datastructures import Headers

from sessiond.errors import PermissionDenied

_EXPOSED = "ETag, Location, Retry-After, X-Request-Id"
_ASKED = (
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Sessiond-User, "
    "X-Request-Id"
)


class Origins:
    """An allow-list of origins, `https://app.example.com`; without one, no other page may call.

    Credentials that a browser sends by itself are not allowed: tokens travel in a header that the
    page sets.
    """

    def __init__(self, allowed: Collection[str]) -> None:
        self._allowed = frozenset(allowed)

    def headers(self, asked: Headers) -> Mapping[str, str]:
        """Return what every answer says to the browser."""
        if not self._allowed:
            return {}
        origin = asked.get("origin", "")
        if origin not in self._allowed:
            return {"Vary": "Origin"}
        return {
            "Vary": "Origin",
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Expose-Headers": _EXPOSED,
        }

    def check(self, asked: Headers, scheme: str) -> None:
        """Return if a WebSocket of this scheme may be opened.

        Browsers ask nobody before they open one, but say which page does. Our own pages always may,
        and who sends no origin is no browser.

        Raises:
            PermissionDenied: a page that may not call.
        """
        origins = asked.getlist("origin")
        secure = "https" if scheme == "wss" else "http"
        own = f"{secure}://{asked.get('host', '')}".lower()
        if any(origin not in self._allowed and origin.lower() != own for origin in origins):
            raise PermissionDenied("Pages of this origin may not connect.")

    def preflight(self, asked: Headers, allowed_methods: Iterable[str]) -> Mapping[str, str]:
        """Return what an answer to OPTIONS says besides, when it asks before a call."""
        is_asking = "access-control-request-method" in asked
        if not is_asking or asked.get("origin", "") not in self._allowed:
            return {}
        return {
            "Access-Control-Allow-Methods": ", ".join(allowed_methods),
            "Access-Control-Allow-Headers": _ASKED,
            "Access-Control-Max-Age": "600",
        }
