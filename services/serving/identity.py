"""A part's own identity: the token with which Live and the gateway call in their own name."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from services.serving.context import REQUEST_ID_KEY, current_request_id
from sessiond.errors import Unavailable


class PartIdentity:
    """Holds a part's own token, read from its file again when the file changed.

    Whoever issues tokens replaces the file before the old one expires. The file is looked at once
    a second at most; while it cannot be read, or is empty, the last token stays in use.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._looked_at = float("-inf")
        self._seen: tuple[int, int, int] | None = None
        self._token = ""

    def token(self) -> str:
        """Return the token.

        Raises:
            Unavailable: the file never held one.
        """
        now = self._clock()
        if now - self._looked_at >= 1.0:
            self._looked_at = now
            self._look()
        if not self._token:
            raise Unavailable("This part has no identity at the moment; nothing was changed.")
        return self._token

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Return the gRPC metadata of a call in the part's own name, within the current request."""
        authorization = ("authorization", f"Bearer {self.token()}")
        request_id = current_request_id()
        return ((REQUEST_ID_KEY, request_id), authorization) if request_id else (authorization,)

    def _look(self) -> None:
        try:
            status = self._path.stat()
            seen = status.st_mtime_ns, status.st_size, status.st_ino
            if seen == self._seen:
                return
            token = self._path.read_text("ascii").strip()
        except (OSError, UnicodeError):
            return
        if token:
            self._token, self._seen = token, seen
