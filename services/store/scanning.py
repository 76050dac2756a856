"""A scan of all index entries: its part of StoreService."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc

from services.serving.context import current_identity
from services.store.answers import EntryScan, RevisionCompacted
from services.store.lists import decoded_entry
from services.store.repository import Repository
from services.store.tokens import Fact, seal, unseal
from sessiond.errors import InvalidArgument, Violations
from sessiond.numbers import STATUS_NUMBER
from sessiond.session.access import check_backend
from sessiond.session.checks import check_page_size
from sessiond.session.limits import Limits
from sessiond.session.state import Status
from sessiond.store.v1.records_pb2 import IndexEntry
from sessiond.v1 import store_pb2 as pb
from sessiond.v1.store_pb2_grpc import StoreServiceServicer
from sessiond.wire import set_summary, status_from_wire, timestamp_from_wire

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class ScanQuery:
    """Which of all sessions; None: whatever they are. `inactive_since_ms` is exclusive."""

    status: Status | None = None
    workflow_id: str | None = None
    inactive_since_ms: int | None = None

    @property
    def facts(self) -> list[Fact]:
        """What a page token belongs to."""
        return ["scan", self.status, self.workflow_id, self.inactive_since_ms]

    def matches(self, entry: IndexEntry) -> bool:
        """Return whether the entry is asked for."""
        return (
            (self.status is None or entry.status == STATUS_NUMBER[self.status])
            and (self.workflow_id is None or entry.workflow_id == self.workflow_id)
            and (self.inactive_since_ms is None or entry.last_active_ms < self.inactive_since_ms)
        )


async def scan_sessions(
    repository: Repository, query: ScanQuery, *, page_size: int, page_token: str
) -> tuple[list[IndexEntry], str]:
    """Return what is asked for of the next `page_size` sessions, and the token; "" at the end.

    A page is one bounded read, however few of its sessions are asked for.

    Raises:
        InvalidArgument: the page token is not one of this query.
    """
    after, revision = _opened(query, page_token) if page_token else (None, None)
    scan = await _piece(repository, after, page_size, revision)
    entries = [
        entry
        for each in scan.entries
        if query.matches(entry := decoded_entry(each.session_id, each.value))
    ]
    token = seal(query.facts, [scan.revision, scan.last_key.hex()]) if scan.more else ""
    return entries, token


async def _piece(
    repository: Repository, after: bytes | None, limit: int, revision: int | None
) -> EntryScan:
    if revision is not None:
        try:
            return await repository.scan(after, limit, revision)
        except RevisionCompacted:
            pass  # it goes on at the present: sessions that moved may come twice, or not at all
    return await repository.scan(after, limit, None)


def _opened(query: ScanQuery, page_token: str) -> tuple[bytes, int]:
    revision, last_key = unseal(page_token, query.facts, (int, str), field="page_token")
    assert isinstance(revision, int) and isinstance(last_key, str)
    try:
        after = bytes.fromhex(last_key)
    except ValueError:
        after = b""
    if revision < 1 or not after:
        raise InvalidArgument.of("page_token", "must be one that this query was given")
    return after, revision


class ScanServicer(StoreServiceServicer):
    """Pages through all sessions."""

    _repository: Repository
    _limits: Limits

    async def ScanSessions(
        self, request: pb.ScanSessionsRequest, context: Context
    ) -> pb.ScanSessionsResponse:
        """Return a page of all sessions."""
        check_backend(current_identity())
        found = Violations()
        page_size = check_page_size(
            request.page_size if request.HasField("page_size") else None, "page_size", found
        )
        status = status_from_wire(request.status, "status", found)
        found.check()
        inactive = request.HasField("inactive_since")
        query = ScanQuery(
            status=status,
            workflow_id=request.workflow_id or None,
            inactive_since_ms=timestamp_from_wire(request.inactive_since) if inactive else None,
        )
        entries, token = await scan_sessions(
            self._repository, query, page_size=page_size, page_token=request.page_token
        )
        response = pb.ScanSessionsResponse(next_page_token=token)
        for entry in entries:
            set_summary(response.sessions.add(), entry)
        return response
