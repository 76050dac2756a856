"""What a watcher is shown of changes: only sessions of one status, and when they leave it."""

from __future__ import annotations

import structlog

from services.store.pending import Change
from sessiond.errors import Internal
from sessiond.numbers import STATUS_NUMBER
from sessiond.session.state import Status
from sessiond.store.codec import decode_entry
from sessiond.v1 import store_pb2 as pb
from sessiond.wire import summary_to_wire

_log = structlog.get_logger(__name__)


class Showing:
    """Turns changes into messages of a watch.

    `complete` says that the watcher was shown nothing before, so that what it holds is known. A
    watch that goes on from a cursor does not know it, and rather tells of a removal once too often.
    What is remembered is one id per session of the scope, and only with a status.
    """

    def __init__(self, status: Status | None, *, complete: bool) -> None:
        self._status = None if status is None else STATUS_NUMBER[status]
        self._complete = complete
        self._shown: set[str] = set()
        self._hidden: set[str] = set()

    def response(self, change: Change) -> pb.WatchSessionsResponse | None:
        """Return what is to be told; None for nothing."""
        session_id, value = change
        if value is not None:
            try:
                entry = decode_entry(value)
            except ValueError:
                _log.exception("index entry cannot be read", session=session_id)
                raise Internal from None
            if self._status is None or entry.status == self._status:
                self._show(session_id)
                return pb.WatchSessionsResponse(session=summary_to_wire(entry))
        return pb.WatchSessionsResponse(removed_id=session_id) if self._hide(session_id) else None

    def _show(self, session_id: str) -> None:
        if self._status is not None:
            self._shown.add(session_id)
            self._hidden.discard(session_id)

    def _hide(self, session_id: str) -> bool:
        """Return whether the watcher may hold the session."""
        if self._status is None:
            return True
        if session_id in self._shown:
            self._shown.discard(session_id)
        elif self._complete or session_id in self._hidden:
            return False
        if not self._complete:
            self._hidden.add(session_id)
        return True
