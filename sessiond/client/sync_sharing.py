"""Sharing, synchronously: with whom a session is shared."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sessiond.client import sharing_requests as requests
from sessiond.client.requests import new_op_id
from sessiond.session.access import MemberRole
from sessiond.v1.live_pb2 import (
    JoinSessionResponse,
    MakeLinkResponse,
    ShareSessionResponse,
    TransferSessionResponse,
    UnshareSessionResponse,
)
from sessiond.v1.store_pb2 import ListMembersRequest, ListMembersResponse

if TYPE_CHECKING:
    from sessiond.client.calls import Replicas
    from sessiond.v1.store_pb2_grpc import StoreServiceStub


class SyncSharing(ABC):
    """Calls about members and links; see `SyncClient`, which has them."""

    _store: Replicas[StoreServiceStub]

    @abstractmethod
    def _ask(self, replicas: Any, method: Any, request: Any, *, changes: bool = False) -> Any:
        """Ask until there is an answer."""

    @abstractmethod
    def _change(self, method: Any, request: Any) -> Any:
        """Ask Live for a change until there is an answer."""

    def members(self, session_id: str) -> ListMembersResponse:
        """Return with whom a session is shared: its owner, members and links."""
        request = ListMembersRequest(session_id=session_id)
        response: ListMembersResponse = self._ask(
            self._store, lambda stub: stub.ListMembers, request
        )
        return response

    def share(
        self,
        session_id: str,
        user_id: str,
        role: MemberRole,
        *,
        expected_revision: int | None = None,
        op_id: str | None = None,
    ) -> ShareSessionResponse:
        """Make a user a member, or give a member another role."""
        request = requests.share(
            session_id,
            user_id,
            role,
            op_id=op_id or new_op_id(),
            expected_revision=expected_revision,
        )
        response: ShareSessionResponse = self._change(lambda stub: stub.ShareSession, request)
        return response

    def unshare(
        self,
        session_id: str,
        user_id: str,
        *,
        expected_revision: int | None = None,
        op_id: str | None = None,
    ) -> int:
        """End a membership, one's own for example; return the seq of that."""
        request = requests.unshare(
            session_id, user_id, op_id=op_id or new_op_id(), expected_revision=expected_revision
        )
        response: UnshareSessionResponse = self._change(lambda stub: stub.UnshareSession, request)
        return response.seq

    def make_link(
        self,
        session_id: str,
        role: MemberRole,
        *,
        expires_at: datetime | None = None,
        expected_revision: int | None = None,
        op_id: str | None = None,
    ) -> MakeLinkResponse:
        """Make a link by which others join; its secret is told now and never again.

        Raises:
            ValueError: `expires_at` has no time zone.
        """
        request = requests.make_link(
            session_id,
            role,
            expires_at=expires_at,
            op_id=op_id or new_op_id(),
            expected_revision=expected_revision,
        )
        response: MakeLinkResponse = self._change(lambda stub: stub.MakeLink, request)
        return response

    def revoke_link(
        self,
        session_id: str,
        link_id: str,
        *,
        expected_revision: int | None = None,
        op_id: str | None = None,
    ) -> None:
        """Revoke a link; who joined by it stays a member."""
        request = requests.revoke_link(
            session_id, link_id, op_id=op_id or new_op_id(), expected_revision=expected_revision
        )
        self._change(lambda stub: stub.RevokeLink, request)

    def join(
        self, session_id: str, secret: str, *, op_id: str | None = None
    ) -> JoinSessionResponse:
        """Become a member by a link's secret.

        Raises:
            SessionNotFound: no link of the session that is good has this secret.
        """
        request = requests.join(session_id, secret, op_id=op_id or new_op_id())
        response: JoinSessionResponse = self._change(lambda stub: stub.JoinSession, request)
        return response

    def transfer(
        self,
        session_id: str,
        user_id: str,
        *,
        expected_revision: int | None = None,
        op_id: str | None = None,
    ) -> TransferSessionResponse:
        """Make a member the owner, and oneself an editor."""
        request = requests.transfer(
            session_id, user_id, op_id=op_id or new_op_id(), expected_revision=expected_revision
        )
        response: TransferSessionResponse = self._change(lambda stub: stub.TransferSession, request)
        return response
