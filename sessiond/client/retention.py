"""Calls about what is kept and what goes, of both clients: holds, erasures, scans."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

from google.protobuf.timestamp_pb2 import Timestamp

from sessiond.client.calls import Replicas
from sessiond.client.requests import new_op_id
from sessiond.numbers import STATUS_NUMBER
from sessiond.session.state import Status
from sessiond.v1.live_pb2 import SetHoldRequest, SetHoldResponse
from sessiond.v1.session_pb2 import SessionSummary
from sessiond.v1.store_pb2 import (
    EraseUserRequest,
    EraseUserResponse,
    Erasure,
    GetErasureRequest,
    GetErasureResponse,
    ScanSessionsRequest,
    ScanSessionsResponse,
)

if TYPE_CHECKING:
    from sessiond.v1.store_pb2_grpc import StoreServiceAsyncStub, StoreServiceStub

SCAN_PAGE = 1000
"""Sessions that one page of a scan looks at."""


class RetentionCalls:
    """What `UnaryCalls` can do about what is kept and what goes."""

    _ask: Any
    _change: Any
    _store: Replicas[StoreServiceAsyncStub]
    _user: Any

    async def set_hold(
        self,
        session_id: str,
        held: bool,
        *,
        reason: str = "",
        expected_revision: int | None = None,
        op_id: str | None = None,
    ) -> SetHoldResponse:
        """Begin or end a legal hold: a held session cannot be deleted. For administrators."""
        request = _hold(session_id, held, reason, expected_revision, op_id)
        response: SetHoldResponse = await self._change(lambda stub: stub.SetHold, request)
        return response

    async def erase(self, user_id: str | None = None) -> Erasure:
        """Ask that everything of a user be erased, by default oneself; it is done soon.

        Asking again changes nothing, unless it was done and something came since.
        """
        request = EraseUserRequest(user_id=await self._user(user_id))
        response: EraseUserResponse = await self._ask(
            self._store, lambda stub: stub.EraseUser, request, changes=True
        )
        return response.erasure

    async def erasure(self, user_id: str | None = None) -> Erasure:
        """Return how an erasure stands; it is done, and a receipt, once it has `completed_at`.

        Raises:
            ErasureNotFound: nobody asked for one.
        """
        request = GetErasureRequest(user_id=await self._user(user_id))
        response: GetErasureResponse = await self._ask(
            self._store, lambda stub: stub.GetErasure, request
        )
        return response.erasure

    async def scan(
        self,
        *,
        status: Status | None = None,
        workflow_id: str | None = None,
        inactive_since: Timestamp | None = None,
    ) -> AsyncIterator[SessionSummary]:
        """Yield everybody's sessions, user by user. For administrators and services.

        A scan that takes minutes goes on at a later revision: a session that moved meanwhile may
        come twice, or not at all.
        """
        request = _scan(status, workflow_id, inactive_since)
        while True:
            page: ScanSessionsResponse = await self._ask(
                self._store, lambda stub: stub.ScanSessions, request
            )
            for summary in page.sessions:
                yield summary
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token


class SyncRetentionCalls:
    """What `SyncClient` can do about what is kept and what goes."""

    _ask: Any
    _change: Any
    _store: Replicas[StoreServiceStub]
    _user: Any

    def set_hold(
        self,
        session_id: str,
        held: bool,
        *,
        reason: str = "",
        expected_revision: int | None = None,
        op_id: str | None = None,
    ) -> SetHoldResponse:
        """Begin or end a legal hold: a held session cannot be deleted. For administrators."""
        request = _hold(session_id, held, reason, expected_revision, op_id)
        response: SetHoldResponse = self._change(lambda stub: stub.SetHold, request)
        return response

    def erase(self, user_id: str | None = None) -> Erasure:
        """Ask that everything of a user be erased, by default oneself; it is done soon.

        Asking again changes nothing, unless it was done and something came since.
        """
        request = EraseUserRequest(user_id=self._user(user_id))
        response: EraseUserResponse = self._ask(
            self._store, lambda stub: stub.EraseUser, request, changes=True
        )
        return response.erasure

    def erasure(self, user_id: str | None = None) -> Erasure:
        """Return how an erasure stands; it is done, and a receipt, once it has `completed_at`.

        Raises:
            ErasureNotFound: nobody asked for one.
        """
        request = GetErasureRequest(user_id=self._user(user_id))
        response: GetErasureResponse = self._ask(self._store, lambda stub: stub.GetErasure, request)
        return response.erasure

    def scan(
        self,
        *,
        status: Status | None = None,
        workflow_id: str | None = None,
        inactive_since: Timestamp | None = None,
    ) -> Iterator[SessionSummary]:
        """Yield everybody's sessions, user by user. For administrators and services.

        A scan that takes minutes goes on at a later revision: a session that moved meanwhile may
        come twice, or not at all.
        """
        request = _scan(status, workflow_id, inactive_since)
        while True:
            page: ScanSessionsResponse = self._ask(
                self._store, lambda stub: stub.ScanSessions, request
            )
            yield from page.sessions
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token


def _hold(
    session_id: str, held: bool, reason: str, expected_revision: int | None, op_id: str | None
) -> SetHoldRequest:
    return SetHoldRequest(
        session_id=session_id,
        held=held,
        reason=reason or None,
        expected_revision=expected_revision,
        op_id=op_id or new_op_id(),
    )


def _scan(
    status: Status | None, workflow_id: str | None, inactive_since: Timestamp | None
) -> ScanSessionsRequest:
    return ScanSessionsRequest(
        page_size=SCAN_PAGE,
        status=None if status is None else STATUS_NUMBER[status],
        workflow_id=workflow_id,
        inactive_since=inactive_since,
    )
