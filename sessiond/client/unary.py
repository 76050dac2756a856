"""Unary calls of Store and Live, made until they are answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import grpc

from sessiond.client import requests
from sessiond.client.calls import Attempts, Replicas
from sessiond.client.channels import metadata_of
from sessiond.client.copies import CopyCalls
from sessiond.client.history import history
from sessiond.client.requests import Json
from sessiond.client.retention import RetentionCalls
from sessiond.client.sharing import SharingCalls
from sessiond.client.sharing_requests import LIST_SCOPE, Scope
from sessiond.client.templates import TemplateCalls
from sessiond.client.tokens import Tokens, subject_of
from sessiond.errors import PageTokenExpired, Unauthenticated, Unavailable
from sessiond.numbers import STATUS_NUMBER
from sessiond.session.state import Decision, MessageType, Sender, Status
from sessiond.status import from_rpc_error
from sessiond.v1.event_pb2 import Workflow
from sessiond.v1.live_pb2 import (
    AppendMessageResponse,
    ApproveOutputResponse,
    DeleteSessionRequest,
    EditOutputResponse,
    PauseSessionRequest,
    PauseSessionResponse,
    ResumeSessionRequest,
    ResumeSessionResponse,
    RewindSessionResponse,
    SubmitOutputResponse,
    UpdateSessionResponse,
)
from sessiond.v1.session_pb2 import Message, Session, SessionSummary
from sessiond.v1.store_pb2 import (
    ORDER_ASC,
    ORDER_DESC,
    ListMessagesRequest,
    ListSessionsRequest,
    ListWorkflowsRequest,
    ReadHistoryResponse,
)

if TYPE_CHECKING:
    from sessiond.v1.live_pb2_grpc import LiveServiceAsyncStub
    from sessiond.v1.store_pb2_grpc import StoreServiceAsyncStub

Stub = TypeVar("Stub")
Request = TypeVar("Request")
Response = TypeVar("Response")

HISTORY_PAGE = 1000
"""Messages of one page; a page also ends at 4 MiB."""

HISTORY_TRIES = 3
"""How often a history is begun that is rewound while it is read."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and how patiently. `deadline` is in seconds, attempts and pauses included."""

    tokens: Tokens
    acting_for: str | None
    deadline: float
    new_op_id: Callable[[], str]
    clock: Callable[[], float]
    chance: Callable[[], float]


class UnaryCalls(CopyCalls, RetentionCalls, SharingCalls, TemplateCalls):
    """Calls that are answered once.

    Answers are the contract's messages, from `sessiond.v1`. A call that breaks is made again over
    the addresses until the deadline; each change has an operation id, given or made, so it is done
    once. `expected_revision` makes a change only if the session is still at that revision.

    Raises:
        SessiondError: why it failed; `OutcomeUnknown` or `DeadlineExceeded` where a change may have
            been made. The same call with the same `op_id` settles it.
    """

    def __init__(
        self,
        caller: Caller,
        store: Replicas[StoreServiceAsyncStub],
        live: Replicas[LiveServiceAsyncStub],
    ) -> None:
        self._caller = caller
        self._store = store
        self._live = live

    async def create(
        self,
        *,
        workflow_id: str | None = None,
        user_inputs: Json | None = None,
        title: str | None = None,
        metadata: Mapping[str, str] | None = None,
        id: str | None = None,  # noqa: A002
        template: str | None = None,
        op_id: str | None = None,
    ) -> Session:
        """Create a session owned by the caller; what is None comes from the template named."""
        request = requests.create(
            op_id=op_id or self._caller.new_op_id(),
            workflow_id=workflow_id,
            user_inputs=user_inputs,
            title=title,
            metadata=metadata,
            session_id=id,
            template=template,
        )
        response = await self._ask(
            self._store, lambda stub: stub.CreateSession, request, changes=True
        )
        return response.session

    async def get(
        self,
        session_id: str,
        *,
        tail: int | None = None,
        at_seq: int | None = None,
        at_time: datetime | None = None,
    ) -> Session:
        """Load a session with its whole history, or its newest `tail` messages.

        It is as it was after the event `at_seq`, or at the time `at_time`, where one is given. The
        history of the present is read in pages.
        """
        if tail is not None or at_seq is not None or at_time is not None:
            request = requests.get(session_id, tail=tail, at_seq=at_seq, at_time=at_time)
            return (await self._ask(self._store, lambda stub: stub.GetSession, request)).session
        for _ in range(HISTORY_TRIES):
            request = requests.get(session_id, tail=1, at_seq=None, at_time=None)
            response = await self._ask(self._store, lambda stub: stub.GetSession, request)
            session, history = response.session, response.session.conversation_history
            newest = [message.seq for message in history]
            del history[:]
            with suppress(PageTokenExpired):
                async for message in self.messages(session_id, page_size=HISTORY_PAGE):
                    if message.seq > session.revision:
                        break
                    history.append(message)
                if [message.seq for message in history[-1:]] == newest:
                    return session  # otherwise it was rewound meanwhile
        raise Unavailable("The session goes back and forth; try again.")

    async def list(
        self,
        user_id: str | None = None,
        *,
        status: Status | None = None,
        workflow_id: str | None = None,
        q: str | None = None,
        scope: Scope = "all",
        page_size: int = 50,
    ) -> AsyncIterator[SessionSummary]:
        """Yield a user's sessions, newest activity first; by default the caller's.

        `scope` "own" leaves out those that others share with that user, "shared" the user's own.
        All are as of one revision. `q` is searched in titles and last messages. A listing that
        takes minutes may end in `PageTokenExpired`.
        """
        request = ListSessionsRequest(
            user_id=await self._user(user_id),
            page_size=page_size,
            status=None if status is None else STATUS_NUMBER[status],
            workflow_id=workflow_id,
            q=q,
            scope=LIST_SCOPE[scope],
        )
        while True:
            page = await self._ask(self._store, lambda stub: stub.ListSessions, request)
            for summary in page.sessions:
                yield summary
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def messages(
        self, session_id: str, *, newest_first: bool = False, page_size: int = 50
    ) -> AsyncIterator[Message]:
        """Yield a session's messages, by default oldest first."""
        request = ListMessagesRequest(
            session_id=session_id,
            page_size=page_size,
            order=ORDER_DESC if newest_first else ORDER_ASC,
        )
        while True:
            page = await self._ask(self._store, lambda stub: stub.ListMessages, request)
            for message in page.messages:
                yield message
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def history(self, session_id: str) -> AsyncGenerator[ReadHistoryResponse, None]:
        """Yield a session as it now is, and then its events up to that, in order, in parts.

        `sessiond.export` makes a document of them.
        """
        responses = history(self._caller, self._store, session_id)
        try:
            async for response in responses:
                yield response
        finally:
            await responses.aclose()

    async def workflows(self) -> Sequence[Workflow]:
        """Return the workflows that a new session may follow: the default one first."""
        response = await self._ask(
            self._store, lambda stub: stub.ListWorkflows, ListWorkflowsRequest()
        )
        return response.workflows

    async def append(
        self,
        session_id: str,
        content: str,
        *,
        sender: Sender | None = None,
        type: MessageType | None = None,  # noqa: A002
        agent_id: str | None = None,
        metadata: Json | None = None,
        expected_revision: int | None = None,
        op_id: str | None = None,
    ) -> AppendMessageResponse:
        """Append a message."""
        request = requests.append(
            session_id,
            content,
            op_id=op_id or self._caller.new_op_id(),
            sender=sender,
            kind=type,
            agent_id=agent_id,
            metadata=metadata,
            expected_revision=expected_revision,
        )
        return await self._change(lambda stub: stub.AppendMessage, request)

    async def update(
        self,
        session_id: str,
        *,
        title: str | None = None,
        metadata: Mapping[str, str | None] | None = None,
        user_inputs: Json | None = None,
        clear_metadata: bool = False,
        clear_user_inputs: bool = False,
        expected_revision: int | None = None,
        op_id: str | None = None,
    ) -> UpdateSessionResponse:
        """Change title, metadata (None removes a key) or inputs (a JSON Merge Patch)."""
        request = requests.update(
            session_id,
            op_id=op_id or self._caller.new_op_id(),
            title=title,
            metadata=metadata,
            user_inputs=user_inputs,
            clear_metadata=clear_metadata,
            clear_user_inputs=clear_user_inputs,
            expected_revision=expected_revision,
        )
        return await self._change(lambda stub: stub.UpdateSession, request)

    async def submit_output(
        self,
        session_id: str,
        content: str,
        *,
        output_id: str | None = None,
        agent_id: str | None = None,
        quality_score: float | None = None,
        metadata: Json | None = None,
        expected_revision: int | None = None,
        op_id: str | None = None,
    ) -> SubmitOutputResponse:
        """Submit an output for the current step."""
        request = requests.submit_output(
            session_id,
            content,
            op_id=op_id or self._caller.new_op_id(),
            output_id=output_id,
            agent_id=agent_id,
            quality_score=quality_score,
            metadata=metadata,
            expected_revision=expected_revision,
        )
        return await self._change(lambda stub: stub.SubmitOutput, request)

    async def edit_output(
        self,
        session_id: str,
        output_id: str,
        *,
        content: str | None = None,
        metadata: Json | None = None,
        expected_revision: int | None = None,
        op_id: str | None = None,
    ) -> EditOutputResponse:
        """Edit an output that waits for its decision; what is None stays."""
        request = requests.edit_output(
            session_id,
            output_id,
            op_id=op_id or self._caller.new_op_id(),
            content=content,
            metadata=metadata,
            expected_revision=expected_revision,
        )
        return await self._change(lambda stub: stub.EditOutput, request)

    async def approve(
        self,
        session_id: str,
        output_id: str | None = None,
        *,
        feedback: str | None = None,
        decision: Decision = Decision.APPROVED,
        expected_revision: int | None = None,
        op_id: str | None = None,
    ) -> ApproveOutputResponse:
        """Decide an output; by default approve the pending one of the current step."""
        request = requests.approve(
            session_id,
            op_id=op_id or self._caller.new_op_id(),
            output_id=output_id,
            feedback=feedback,
            decision=decision,
            expected_revision=expected_revision,
        )
        return await self._change(lambda stub: stub.ApproveOutput, request)

    async def pause(self, session_id: str, *, op_id: str | None = None) -> PauseSessionResponse:
        """Pause a session."""
        request = PauseSessionRequest(
            session_id=session_id, op_id=op_id or self._caller.new_op_id()
        )
        return await self._change(lambda stub: stub.PauseSession, request)

    async def resume(self, session_id: str, *, op_id: str | None = None) -> ResumeSessionResponse:
        """Resume a session."""
        request = ResumeSessionRequest(
            session_id=session_id, op_id=op_id or self._caller.new_op_id()
        )
        return await self._change(lambda stub: stub.ResumeSession, request)

    async def rewind(
        self,
        session_id: str,
        to_seq: int,
        *,
        expected_revision: int | None = None,
        op_id: str | None = None,
    ) -> RewindSessionResponse:
        """Go back to how a session was after the event `to_seq`.

        Nothing is lost: a rewind to the revision before takes it back.
        """
        request = requests.rewind(
            session_id,
            to_seq,
            op_id=op_id or self._caller.new_op_id(),
            expected_revision=expected_revision,
        )
        return await self._change(lambda stub: stub.RewindSession, request)

    async def delete(
        self,
        session_id: str,
        *,
        expected_revision: int | None = None,
        op_id: str | None = None,
    ) -> None:
        """Delete a session, at once and for good."""
        request = DeleteSessionRequest(
            session_id=session_id,
            op_id=op_id or self._caller.new_op_id(),
            expected_revision=expected_revision,
        )
        await self._change(lambda stub: stub.DeleteSession, request)

    # --- inside --------------------------------------------------------------------------------

    async def _user(self, user_id: str | None) -> str:
        """Return whose lists are meant: the user named, or the caller."""
        if user_id is not None:
            return user_id
        return self._caller.acting_for or subject_of(await self._caller.tokens.current())

    async def _change(
        self,
        method: Callable[
            [LiveServiceAsyncStub], grpc.aio.UnaryUnaryMultiCallable[Request, Response]
        ],
        request: Request,
    ) -> Response:
        return await self._ask(self._live, method, request, changes=True)

    async def _ask(
        self,
        replicas: Replicas[Stub],
        method: Callable[[Stub], grpc.aio.UnaryUnaryMultiCallable[Request, Response]],
        request: Request,
        *,
        changes: bool = False,
    ) -> Response:
        caller = self._caller
        attempts = Attempts(
            replicas,
            deadline=caller.deadline,
            changes=changes,
            renewable=caller.tokens.renewable,
            clock=caller.clock,
            chance=caller.chance,
        )
        token = ""
        while True:
            token = token or await caller.tokens.current()
            call: Any = method(attempts.stub)
            try:
                response: Response = await call(
                    request,
                    metadata=metadata_of(token, caller.acting_for),
                    timeout=attempts.seconds,
                )
            except grpc.aio.AioRpcError as error:
                failure = from_rpc_error(error, mutating=changes)
            else:
                return response
            pause = attempts.failed(failure)
            refused = isinstance(failure, Unauthenticated)
            token = await caller.tokens.another(token) if refused else ""
            await asyncio.sleep(pause)
