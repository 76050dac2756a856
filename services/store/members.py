"""With whom a session is shared: its part of StoreService."""

from __future__ import annotations

from typing import Any

import grpc

from services.serving.context import current_identity
from services.store.acquisition import decoded_members
from services.store.entering import entered
from services.store.repository import Repository
from sessiond.errors import Violations
from sessiond.session.checks import check_session_id
from sessiond.session.limits import Limits
from sessiond.standing_wire import links_to_wire, members_to_wire
from sessiond.v1 import store_pb2 as pb
from sessiond.v1.store_pb2_grpc import StoreServiceServicer

Context = grpc.aio.ServicerContext[Any, Any]


class MembersServicer(StoreServiceServicer):
    """Reads members and links."""

    _repository: Repository
    _limits: Limits

    async def ListMembers(
        self, request: pb.ListMembersRequest, context: Context
    ) -> pb.ListMembersResponse:
        """List members and links."""
        found = Violations()
        check_session_id(request.session_id, "session_id", found)
        found.check()
        snapshot, head = await entered(self._repository, current_identity(), request.session_id)
        members, links = decoded_members(request.session_id, snapshot.members)
        return pb.ListMembersResponse(
            owner=head.user_id, members=members_to_wire(members), links=links_to_wire(links)
        )
