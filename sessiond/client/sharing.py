"""Sharing, asynchronously: with whom a session is shared, by calls and in an attached session."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sessiond.client import sharing_requests as requests
from sessiond.session.access import MemberRole
from sessiond.v1.live_pb2 import (
    ClientFrame,
    JoinSessionResponse,
    MakeLinkResponse,
    Reply,
    ShareSessionResponse,
    TransferSessionResponse,
    UnshareSessionResponse,
)
from sessiond.v1.store_pb2 import ListMembersRequest, ListMembersResponse

if TYPE_CHECKING:
    from sessiond.client.calls import Replicas
    from sessiond.client.unary import Caller
    from sessiond.v1.store_pb2_grpc import StoreServiceAsyncStub


class SharingCalls(ABC):
    """Calls about members and links; see `UnaryCalls`, which has them."""

    _caller: Caller
    _store: Replicas[StoreServiceAsyncStub]

    @abstractmethod
    async def _ask(self, replicas: Any, method: Any, request: Any, *, changes: bool = False) -> Any:
        """Ask until there is an answer."""

    @abstractmethod
    async def _change(self, method: Any, request: Any) -> Any:
        """Ask Live for a change until there is an answer."""

    async def members(self, session_id: str) -> ListMembersResponse:
        """Return with whom a session is shared: its owner, members and links."""
        request = ListMembersRequest(session_id=session_id)
        response: ListMembersResponse = await self._ask(
            self._store, lambda stub: stub.ListMembers, request
        )
        return response

    async def share(
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
            op_id=op_id or self._caller.new_op_id(),
            expected_revision=expected_revision,
        )
        response: ShareSessionResponse = await self._change(lambda stub: stub.ShareSession, request)
        return response

    async def unshare(
        self,
        session_id: str,
        user_id: str,
        *,
        expected_revision: int | None = None,
        op_id: str | None = None,
    ) -> int:
        """End a membership, one's own for example; return the seq of that."""
        request = requests.unshare(
            session_id,
            user_id,
            op_id=op_id or self._caller.new_op_id(),
            expected_revision=expected_revision,
        )
        response: UnshareSessionResponse = await self._change(
            lambda stub: stub.UnshareSession, request
        )
        return response.seq

    async def make_link(
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
            op_id=op_id or self._caller.new_op_id(),
            expected_revision=expected_revision,
        )
        response: MakeLinkResponse = await self._change(lambda stub: stub.MakeLink, request)
        return response

    async def revoke_link(
        self,
        session_id: str,
        link_id: str,
        *,
        expected_revision: int | None = None,
        op_id: str | None = None,
    ) -> None:
        """Revoke a link; who joined by it stays a member."""
        request = requests.revoke_link(
            session_id,
            link_id,
            op_id=op_id or self._caller.new_op_id(),
            expected_revision=expected_revision,
        )
        await self._change(lambda stub: stub.RevokeLink, request)

    async def join(
        self, session_id: str, secret: str, *, op_id: str | None = None
    ) -> JoinSessionResponse:
        """Become a member by a link's secret.

        Raises:
            SessionNotFound: no link of the session that is good has this secret.
        """
        request = requests.join(session_id, secret, op_id=op_id or self._caller.new_op_id())
        response: JoinSessionResponse = await self._change(lambda stub: stub.JoinSession, request)
        return response

    async def transfer(
        self,
        session_id: str,
        user_id: str,
        *,
        expected_revision: int | None = None,
        op_id: str | None = None,
    ) -> TransferSessionResponse:
        """Make a member the owner, and oneself an editor."""
        request = requests.transfer(
            session_id,
            user_id,
            op_id=op_id or self._caller.new_op_id(),
            expected_revision=expected_revision,
        )
        response: TransferSessionResponse = await self._change(
            lambda stub: stub.TransferSession, request
        )
        return response


class AttachedSharing(ABC):
    """Changes of members and links in an attached session; see `AttachedSession`."""

    id: str
    new_op_id: Callable[[], str]

    @abstractmethod
    async def _done(self, frame: ClientFrame) -> int:
        """Make the change, and return its seq."""

    @abstractmethod
    async def change(self, frame: ClientFrame) -> Reply:
        """Make the change, and return its reply."""

    async def share(
        self,
        user_id: str,
        role: MemberRole,
        *,
        expected_revision: int | None = None,
        op_id: str | None = None,
    ) -> int:
        """Make a user a member, or give a member another role."""
        request = requests.share(
            self.id,
            user_id,
            role,
            op_id=op_id or self.new_op_id(),
            expected_revision=expected_revision,
        )
        return await self._done(ClientFrame(share=request))

    async def unshare(
        self, user_id: str, *, expected_revision: int | None = None, op_id: str | None = None
    ) -> int:
        """End a membership. One's own is ended better by `Client.unshare`: this ends the stream."""
        request = requests.unshare(
            self.id,
            user_id,
            op_id=op_id or self.new_op_id(),
            expected_revision=expected_revision,
        )
        return await self._done(ClientFrame(unshare=request))

    async def make_link(
        self,
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
            self.id,
            role,
            expires_at=expires_at,
            op_id=op_id or self.new_op_id(),
            expected_revision=expected_revision,
        )
        reply = await self.change(ClientFrame(make_link=request))
        if reply.HasField("link"):
            return reply.link
        return MakeLinkResponse(secret=request.secret, seq=reply.seq)  # made long ago

    async def revoke_link(
        self, link_id: str, *, expected_revision: int | None = None, op_id: str | None = None
    ) -> int:
        """Revoke a link; who joined by it stays a member."""
        request = requests.revoke_link(
            self.id,
            link_id,
            op_id=op_id or self.new_op_id(),
            expected_revision=expected_revision,
        )
        return await self._done(ClientFrame(revoke_link=request))

    async def transfer(
        self, user_id: str, *, expected_revision: int | None = None, op_id: str | None = None
    ) -> int:
        """Make a member the owner, and oneself an editor."""
        request = requests.transfer(
            self.id,
            user_id,
            op_id=op_id or self.new_op_id(),
            expected_revision=expected_revision,
        )
        return await self._done(ClientFrame(transfer=request))
