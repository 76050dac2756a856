"""StoreService: from the wire, one call, to the wire."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

import grpc

from services.serving.context import current_call, current_identity
from services.store.copies import CopiesServicer
from services.store.copying import Copying
from services.store.erasures import Erasures, ErasuresServicer
from services.store.event_log import EventLogServicer
from services.store.feed import FeedServicer
from services.store.feeding import Feeding
from services.store.forking import Forks
from services.store.importing import Imports
from services.store.lists import ListQuery, check_own_list, list_sessions
from services.store.members import MembersServicer
from services.store.messages import list_messages
from services.store.moments import moment_from_wire
from services.store.repository import Repository
from services.store.scanning import ScanServicer
from services.store.sessions import Sessions
from services.store.templates import TemplatesServicer
from services.store.watching import Watching, WatchQuery, check_watch
from services.store.workflows import Workflows
from sessiond.errors import InvalidArgument, Violations
from sessiond.session.checks import (
    check_name,
    check_page_size,
    check_session_id,
    check_tail,
    check_user_id,
)
from sessiond.session.limits import Limits
from sessiond.state_wire import workflow_to_wire
from sessiond.v1 import store_pb2 as pb
from sessiond.v1.store_pb2_grpc import StoreServiceServicer
from sessiond.wire import create_session_from_wire, set_summary, status_from_wire

Context = grpc.aio.ServicerContext[Any, Any]

_MOST_AGENTS = 64
_MOST_QUERY_CHARACTERS = 200


class StoreServicer(
    MembersServicer,
    EventLogServicer,
    CopiesServicer,
    TemplatesServicer,
    ScanServicer,
    FeedServicer,
    ErasuresServicer,
    StoreServiceServicer,
):
    """Answers for the sessions; see the proto for what each method promises.

    `wall_clock` gives seconds since 1970, as tokens count them.
    """

    def __init__(
        self,
        sessions: Sessions,
        repository: Repository,
        workflows: Workflows,
        watching: Watching,
        limits: Limits,
        *,
        copying: Copying,
        feeding: Feeding,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._sessions = sessions
        self._repository = repository
        self._workflows = workflows
        self._watching = watching
        self._limits = limits
        self._forks = Forks(copying, sessions)
        self._imports = Imports(copying)
        self._erasures = Erasures(repository, now_ms=lambda: int(wall_clock() * 1000))
        self._feeding = feeding
        self._wall_clock = wall_clock

    async def CreateSession(
        self, request: pb.CreateSessionRequest, context: Context
    ) -> pb.CreateSessionResponse:
        """Create a session owned by the caller."""
        op_id = request.op_id if request.HasField("op_id") else None
        session = await self._sessions.create(
            current_identity(), create_session_from_wire(request), op_id
        )
        return pb.CreateSessionResponse(session=session, seq=1)

    async def GetSession(
        self, request: pb.GetSessionRequest, context: Context
    ) -> pb.GetSessionResponse:
        """Load a session."""
        tail = request.tail if request.HasField("tail") else None
        found = Violations()
        check_session_id(request.session_id, "session_id", found)
        check_tail(tail, "tail", found)
        moment = moment_from_wire(request, found)
        found.check()
        return await self._sessions.get(
            current_identity(), request.session_id, tail=tail, moment=moment
        )

    async def ListSessions(
        self, request: pb.ListSessionsRequest, context: Context
    ) -> pb.ListSessionsResponse:
        """List a user's sessions."""
        found = Violations()
        check_user_id(request.user_id, "user_id", found, limits=self._limits)
        page_size = check_page_size(
            request.page_size if request.HasField("page_size") else None, "page_size", found
        )
        status = status_from_wire(request.status, "status", found)
        if request.scope not in pb.ListScope.values():
            found.add("scope", "must be one of the known values")
        if len(request.q) > _MOST_QUERY_CHARACTERS:
            found.add("q", f"must be at most {_MOST_QUERY_CHARACTERS} characters")
        found.check()
        check_own_list(current_identity(), request.user_id)
        query = ListQuery(
            user_id=request.user_id,
            status=status,
            workflow_id=request.workflow_id or None,
            q=request.q or None,
            own=request.scope != pb.LIST_SCOPE_SHARED,
            shared=request.scope != pb.LIST_SCOPE_OWN,
        )
        entries, token = await list_sessions(
            self._repository, query, page_size=page_size, page_token=request.page_token
        )
        response = pb.ListSessionsResponse(next_page_token=token)
        for entry in entries:
            set_summary(response.sessions.add(), entry)
        return response

    async def ListMessages(
        self, request: pb.ListMessagesRequest, context: Context
    ) -> pb.ListMessagesResponse:
        """Page through the messages of a session."""
        found = Violations()
        check_session_id(request.session_id, "session_id", found)
        page_size = check_page_size(
            request.page_size if request.HasField("page_size") else None, "page_size", found
        )
        if request.order not in (pb.ORDER_UNSPECIFIED, pb.ORDER_ASC, pb.ORDER_DESC):
            found.add("order", "must be one of the known values")
        found.check()
        return await list_messages(
            self._repository,
            current_identity(),
            request.session_id,
            page_size=page_size,
            page_token=request.page_token,
            newest_first=request.order == pb.ORDER_DESC,
        )

    async def ListWorkflows(
        self, request: pb.ListWorkflowsRequest, context: Context
    ) -> pb.ListWorkflowsResponse:
        """List the workflows that a new session may follow."""
        return pb.ListWorkflowsResponse(workflows=map(workflow_to_wire, self._workflows.all()))

    async def WatchSessions(
        self, request: pb.WatchSessionsRequest, context: Context
    ) -> AsyncGenerator[pb.WatchSessionsResponse, None]:
        """Follow a user's sessions, or those that await some agents."""
        query = self._watch_query(request)
        check_watch(current_identity(), query)
        call = current_call()
        expires_at = float("inf") if call is None else call.expires_at
        watch = self._watching.watch(
            query, cursor=request.cursor, seconds=expires_at - self._wall_clock()
        )
        async with aclosing(watch) as responses:
            async for response in responses:
                yield response

    def _watch_query(self, request: pb.WatchSessionsRequest) -> WatchQuery:
        found = Violations()
        status = status_from_wire(request.status, "status", found)
        match request.WhichOneof("scope"):
            case "user_id":
                check_user_id(request.user_id, "user_id", found, limits=self._limits)
                found.check()
                return WatchQuery.of_user(request.user_id, status)
            case "agents":
                names = request.agents.names
                if not 1 <= len(names) <= _MOST_AGENTS:
                    found.add("agents.names", f"must be 1 to {_MOST_AGENTS}")
                for name in names:
                    check_name(name, "agents.names", found, limit=self._limits.agent_id)
                found.check()
                return WatchQuery.of_agents(names, status)
            case None:
                found.add("scope", "must be a user or agents")
        raise InvalidArgument(found.found)
