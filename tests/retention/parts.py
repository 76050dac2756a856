"""Store and Live as retention sees them: sessions in a dictionary, and what goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Self

from services.retention.installation import Installation
from sessiond.errors import LegalHold, SessiondError, SessionNotFound, StaleRevision
from sessiond.v1.job_pb2 import HoldJobResponse
from sessiond.v1.session_pb2 import SESSION_STATUS_COMPLETED, SessionSummary
from sessiond.v1.store_pb2 import (
    LIST_SCOPE_SHARED,
    Erasure,
    HistoryEvent,
    ListScope,
    ReadHistoryResponse,
)
from sessiond.wire import set_timestamp

NOW_MS = 1_800_000_000_000
TTL_MS = 10_000


def summary(session_id: str, user_id: str = "alice", *, revision: int = 3) -> SessionSummary:
    """Return a completed session of long ago."""
    made = SessionSummary(
        id=session_id,
        user_id=user_id,
        workflow_id="chat",
        status=SESSION_STATUS_COMPLETED,
        revision=revision,
    )
    set_timestamp(made.created_at, 1_000)
    set_timestamp(made.last_active, 2_000)
    return made


class Parts(Installation):
    """All callers share one world.

    Attributes:
        sessions: what stands, by id; a scan shows it.
        held: ids that cannot be deleted.
        shared: ids that are shared with somebody, by user.
        deletions: each that was carried out: user, session, operation id.
        left: each membership that was ended: user, session, operation id.
        fails: what the next call about a session raises, by its id.
        answers: what `hold_job` answers next; a term, or why there is no answer.
    """

    def __init__(self, *sessions: SessionSummary) -> None:
        self.user = ""
        self.sessions = {each.id: each for each in sessions}
        self.held: set[str] = set()
        self.shared: dict[str, list[str]] = {}
        self.deletions: list[tuple[str, str, str]] = []
        self.left: list[tuple[str, str, str]] = []
        self.fails: dict[str, SessiondError] = {}
        self.asked: list[Erasure] = []
        self.completed: list[tuple[str, int, int]] = []
        self.answers: asyncio.Queue[int | SessiondError] = asyncio.Queue()
        self.released = 0
        self.scan_breaks: SessiondError | None = None

    def acting_for(self, user_id: str) -> Self:
        another = object.__new__(type(self))
        another.__dict__ = {**self.__dict__, "user": user_id}
        return another

    def within(self, seconds: float) -> Self:
        return self

    async def scan_pages(self, size: int) -> AsyncGenerator[Sequence[SessionSummary], None]:
        standing = list(self.sessions.values())
        for first in range(0, len(standing), size):
            yield standing[first : first + size]
        if self.scan_breaks is not None:
            raise self.scan_breaks

    async def history(self, session_id: str) -> AsyncGenerator[ReadHistoryResponse, None]:
        self._check(session_id)
        standing = self.sessions[session_id]
        yield ReadHistoryResponse(session=standing)
        for seq in range(1, standing.revision + 1):
            event = HistoryEvent()
            event.event.session_id, event.event.seq = session_id, seq
            event.event.session_paused.SetInParent()
            yield ReadHistoryResponse(events=[event])

    async def delete(
        self, session_id: str, *, expected_revision: int | None = None, op_id: str | None = None
    ) -> None:
        self._check(session_id)
        if expected_revision not in (None, self.sessions[session_id].revision):
            raise StaleRevision(self.sessions[session_id].revision)
        if session_id in self.held:
            raise LegalHold
        del self.sessions[session_id]
        self.deletions.append((self.user, session_id, op_id or ""))

    async def listed(self, user_id: str, scope: ListScope.ValueType) -> list[str]:
        assert user_id == self.user
        if scope == LIST_SCOPE_SHARED:
            return list(self.shared.get(user_id, ()))
        return [each.id for each in self.sessions.values() if each.user_id == user_id]

    async def leave(self, session_id: str, user_id: str, *, op_id: str) -> None:
        if session_id in self.fails:
            raise self.fails.pop(session_id)
        self.shared[user_id].remove(session_id)
        self.left.append((self.user, session_id, op_id))

    async def erasures(self) -> Sequence[Erasure]:
        return self.asked

    async def complete(self, user_id: str, *, sessions: int, shares: int) -> Erasure:
        self.completed.append((user_id, sessions, shares))
        self.asked = [each for each in self.asked if each.user_id != user_id]
        return Erasure(user_id=user_id, sessions=sessions, shares=shares)

    async def hold_job(self, job: str, holder: bytes) -> HoldJobResponse:
        answer = await self.answers.get()
        self.answers.task_done()
        if isinstance(answer, SessiondError):
            raise answer
        return HoldJobResponse(held=answer > 0, term=answer, ttl_ms=TTL_MS)

    async def release_job(self, job: str, holder: bytes) -> None:
        self.released += 1

    def _check(self, session_id: str) -> None:
        if session_id in self.fails:
            raise self.fails.pop(session_id)
        if session_id not in self.sessions or self.user != self.sessions[session_id].user_id:
            raise SessionNotFound


def erasure(user_id: str, requested_ms: int = NOW_MS) -> Erasure:
    """Return an erasure that is to be done."""
    made = Erasure(user_id=user_id)
    set_timestamp(made.requested_at, requested_ms)
    return made
