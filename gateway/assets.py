"""The dashboard's files, read at start: one page at every path of its own, and what it loads.

They are answered without a caller. What a user may see of sessions, the page asks for itself, over
the same routes as everybody.
"""

from __future__ import annotations

import hashlib
import html
from collections.abc import Iterator
from pathlib import Path
from string import Template

from starlette.responses import Response

from gateway.conditional import known_tags
from gateway.exchange import Exchange
from sessiond.errors import Violations

DASHBOARD = Path(__file__).with_name("dashboard")
PAGE = "index.html"
PAGE_ROUTES = ("/", "/chat/{session_id}", "/administration", "/administration/{place}")

_HTML = "text/html; charset=utf-8"
# What people read in the folder, and no page loads, is not served.
_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
# Scripts, styles and calls of our own origin, and nothing else: no inline code, no frame, no form.
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_KNOWN = "If-None-Match"


class Asset:
    """Answers one path with the same bytes each time; a browser that has them is told so."""

    def __init__(self, content: bytes, media_type: str) -> None:
        self.content = content
        self.etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        self._media_type = media_type
        self._headers = {
            "Content-Security-Policy": _POLICY,
            # Kept, and asked for again each time: a new version is seen at the next load.
            "Cache-Control": "no-cache",
            "ETag": self.etag,
        }

    async def __call__(self, exchange: Exchange) -> Response:
        """Answer; raises `InvalidArgument` where `If-None-Match` is no list of ETags."""
        given, violations = exchange.request.headers.getlist(_KNOWN), Violations()
        if given and self.etag in known_tags(", ".join(given), _KNOWN, violations):
            return Response(status_code=304, headers=self._headers)
        violations.check()
        return Response(self.content, headers=self._headers, media_type=self._media_type)


def dashboard(sign_in_url: str) -> Iterator[tuple[str, Asset]]:
    """Yield each route of the dashboard with what answers there.

    The page tells its scripts where to sign in: `sign_in_url`, or "" for nowhere.
    """
    page = Template((DASHBOARD / PAGE).read_text()).substitute(
        sign_in_url=html.escape(sign_in_url, quote=True)
    )
    for route in PAGE_ROUTES:
        yield route, Asset(page.encode(), _HTML)
    for file in sorted(DASHBOARD.rglob("*")):
        if media_type := _MEDIA_TYPES.get(file.suffix):
            name = file.relative_to(DASHBOARD).as_posix()
            yield f"/dashboard/{name}", Asset(file.read_bytes(), media_type)
