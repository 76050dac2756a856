"""The synchronous client, for scripts: unary calls of Store and Live, made until they are answered.

```
with SyncClient(live="localhost:50052", store="localhost:50051", token=token) as client:
    for session in client.list():
        print(session.title)
```
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc

from sessiond.client import requests
from sessiond.client.calls import Attempts, Replicas
from sessiond.client.changes_feed import synchronous_changes
from sessiond.client.channels import Tls, addresses_of, metadata_of, open_synchronous_channel
from sessiond.client.history import Reading
from sessiond.client.requests import Json, new_op_id
from sessiond.client.retention import SyncRetentionCalls
from sessiond.client.sharing_requests import LIST_SCOPE, Scope
from sessiond.client.sync_copies import SyncCopies
from sessiond.client.sync_sharing import SyncSharing
from sessiond.client.sync_templates import SyncTemplates
from sessiond.client.tokens import SyncTokens, subject_of
from sessiond.client.unary import HISTORY_PAGE, HISTORY_TRIES
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
from sessiond.v1.live_pb2_grpc import LiveServiceStub
from sessiond.v1.session_pb2 import Message, Session, SessionSummary
from sessiond.v1.store_pb2 import (
    ORDER_ASC,
    ORDER_DESC,
    ListMessagesRequest,
    ListSessionsRequest,
    ListWorkflowsRequest,
    ReadHistoryResponse,
    WatchChangesRequest,
    WatchChangesResponse,
)
from sessiond.v1.store_pb2_grpc import StoreServiceStub

Stub = TypeVar("Stub")
Request = TypeVar("Request")
Response = TypeVar("Response")


class SyncClient(SyncCopies, SyncRetentionCalls, SyncSharing, SyncTemplates):
    """Calls that are answered once, from plain threads.

    Answers are the contract's messages, from `sessiond.v1`. A call that breaks is made again over
    the addresses until the deadline; each change has an operation id, given or made, so it is done
    once. `expected_revision` makes a change only if the session is still at that revision.

    Raises:
        SessiondError: why it failed; `OutcomeUnknown` or `DeadlineExceeded` where a change may have
            been made. The same call with the same `op_id` settles it.
    """

    def __init__(
        self,
        *,
        live: str | Sequence[str],
        store: str | Sequence[str],
        token: str | Callable[[], str],
        acting_for: str | None = None,
        tls: Tls | None = None,
        deadline: float = 30.0,
        open_channel: Callable[[str, Tls | None], grpc.Channel] = open_synchronous_channel,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Name whom to ask, and who asks: see `Client`, whose arguments these are.

        Raises:
            ValueError: there is no address.
        """
        self._addresses = (addresses_of(live, "live"), addresses_of(store, "store"))
        self._tokens = SyncTokens(token, clock=clock)
        self._acting_for = acting_for
        self._tls = tls
        self._deadline = deadline
        self._open_channel = open_channel
        self._sleep = sleep
        self._chance = chance
        self._live: Replicas[LiveServiceStub] = Replicas([], 0)
        self._store: Replicas[StoreServiceStub] = Replicas([], 0)
        self._resources = ExitStack()

    def __enter__(self) -> Self:
        first = int(self._chance() * 1_000_000)
        live, store = (
            [
                self._resources.enter_context(self._open_channel(address, self._tls))
                for address in addresses
            ]
            for addresses in self._addresses
        )
        self._live = Replicas([LiveServiceStub(channel) for channel in live], first)
        self._store = Replicas([StoreServiceStub(channel) for channel in store], first)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._resources.close()

    def create(
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
            op_id=op_id or new_op_id(),
            workflow_id=workflow_id,
            user_inputs=user_inputs,
            title=title,
            metadata=metadata,
            session_id=id,
            template=template,
        )
        response = self._ask(self._store, lambda stub: stub.CreateSession, request, changes=True)
        return response.session

    def get(
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
            return (self._ask(self._store, lambda stub: stub.GetSession, request)).session
        for _ in range(HISTORY_TRIES):
            request = requests.get(session_id, tail=1, at_seq=None, at_time=None)
            response = self._ask(self._store, lambda stub: stub.GetSession, request)
            session, history = response.session, response.session.conversation_history
            newest = [message.seq for message in history]
            del history[:]
            with suppress(PageTokenExpired):
                for message in self.messages(session_id, page_size=HISTORY_PAGE):
                    if message.seq > session.revision:
                        break
                    history.append(message)
                if [message.seq for message in history[-1:]] == newest:
                    return session  # otherwise it was rewound meanwhile
        raise Unavailable("The session goes back and forth; try again.")

    def list(
        self,
        user_id: str | None = None,
        *,
        status: Status | None = None,
        workflow_id: str | None = None,
        q: str | None = None,
        scope: Scope = "all",
        page_size: int = 50,
    ) -> Iterator[SessionSummary]:
        """Yield a user's sessions, newest activity first; by default the caller's.

        `scope` "own" leaves out those that others share with that user, "shared" the user's own.
        All are as of one revision. `q` is searched in titles and last messages. A listing that
        takes minutes may end in `PageTokenExpired`.
        """
        request = ListSessionsRequest(
            user_id=self._user(user_id),
            page_size=page_size,
            status=None if status is None else STATUS_NUMBER[status],
            workflow_id=workflow_id,
            q=q,
            scope=LIST_SCOPE[scope],
        )
        while True:
            page = self._ask(self._store, lambda stub: stub.ListSessions, request)
            yield from page.sessions
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def messages(
        self, session_id: str, *, newest_first: bool = False, page_size: int = 50
    ) -> Iterator[Message]:
        """Yield a session's messages, by default oldest first."""
        request = ListMessagesRequest(
            session_id=session_id,
            page_size=page_size,
            order=ORDER_DESC if newest_first else ORDER_ASC,
        )
        while True:
            page = self._ask(self._store, lambda stub: stub.ListMessages, request)
            yield from page.messages
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def history(self, session_id: str) -> Iterator[ReadHistoryResponse]:
        """Yield a session as it now is, and then its events up to that, in order, in parts.

        `sessiond.export` makes a document of them.
        """
        reading = Reading(session_id)
        attempts, token = self._attempts(self._store), ""
        while True:
            token = token or self._tokens.current()
            call = attempts.stub.ReadHistory(
                reading.request, metadata=metadata_of(token, self._acting_for)
            )
            try:
                for response in call:
                    told = reading.came(response)
                    if told is not None:
                        yield told
                        attempts = self._attempts(self._store)
                return
            except grpc.RpcError as error:
                failed: Any = error
                failure = from_rpc_error(failed, mutating=False)
            finally:
                call.cancel()
            pause = attempts.failed(failure)
            refused = isinstance(failure, Unauthenticated)
            token = self._tokens.another(token) if refused else ""
            self._sleep(pause)

    def workflows(self) -> Sequence[Workflow]:
        """Return the workflows that a new session may follow: the default one first."""
        response = self._ask(self._store, lambda stub: stub.ListWorkflows, ListWorkflowsRequest())
        return response.workflows

    def changes(
        self,
        *,
        cursor: str | None = None,
        user_ids: Sequence[str] = (),
        workflow_ids: Sequence[str] = (),
        event_types: Sequence[str] = (),
    ) -> Iterator[WatchChangesResponse]:
        """Follow all changes of all sessions: see `Client.changes`. Whoever stops closes it."""
        request = WatchChangesRequest(
            cursor=cursor, user_ids=user_ids, workflow_ids=workflow_ids, event_types=event_types
        )
        return synchronous_changes(
            self._tokens,
            self._acting_for,
            self._store,
            request,
            sleep=self._sleep,
            chance=self._chance,
        )

    def append(
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
            op_id=op_id or new_op_id(),
            sender=sender,
            kind=type,
            agent_id=agent_id,
            metadata=metadata,
            expected_revision=expected_revision,
        )
        return self._change(lambda stub: stub.AppendMessage, request)

    def update(
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
            op_id=op_id or new_op_id(),
            title=title,
            metadata=metadata,
            user_inputs=user_inputs,
            clear_metadata=clear_metadata,
            clear_user_inputs=clear_user_inputs,
            expected_revision=expected_revision,
        )
        return self._change(lambda stub: stub.UpdateSession, request)

    def submit_output(
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
            op_id=op_id or new_op_id(),
            output_id=output_id,
            agent_id=agent_id,
            quality_score=quality_score,
            metadata=metadata,
            expected_revision=expected_revision,
        )
        return self._change(lambda stub: stub.SubmitOutput, request)

    def edit_output(
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
            op_id=op_id or new_op_id(),
            content=content,
            metadata=metadata,
            expected_revision=expected_revision,
        )
        return self._change(lambda stub: stub.EditOutput, request)

    def approve(
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
            op_id=op_id or new_op_id(),
            output_id=output_id,
            feedback=feedback,
            decision=decision,
            expected_revision=expected_revision,
        )
        return self._change(lambda stub: stub.ApproveOutput, request)

    def pause(self, session_id: str, *, op_id: str | None = None) -> PauseSessionResponse:
        """Pause a session."""
        request = PauseSessionRequest(session_id=session_id, op_id=op_id or new_op_id())
        return self._change(lambda stub: stub.PauseSession, request)

    def resume(self, session_id: str, *, op_id: str | None = None) -> ResumeSessionResponse:
        """Resume a session."""
        request = ResumeSessionRequest(session_id=session_id, op_id=op_id or new_op_id())
        return self._change(lambda stub: stub.ResumeSession, request)

    def rewind(
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
            op_id=op_id or new_op_id(),
            expected_revision=expected_revision,
        )
        return self._change(lambda stub: stub.RewindSession, request)

    def delete(
        self,
        session_id: str,
        *,
        expected_revision: int | None = None,
        op_id: str | None = None,
    ) -> None:
        """Delete a session, at once and for good."""
        request = DeleteSessionRequest(
            session_id=session_id,
            op_id=op_id or new_op_id(),
            expected_revision=expected_revision,
        )
        self._change(lambda stub: stub.DeleteSession, request)

    # --- inside --------------------------------------------------------------------------------

    def _user(self, user_id: str | None) -> str:
        """Return whose lists are meant: the user named, or the caller."""
        if user_id is not None:
            return user_id
        return self._acting_for or subject_of(self._tokens.current())

    def _change(
        self,
        method: Callable[[LiveServiceStub], grpc.UnaryUnaryMultiCallable[Request, Response]],
        request: Request,
    ) -> Response:
        return self._ask(self._live, method, request, changes=True)

    def _ask(
        self,
        replicas: Replicas[Stub],
        method: Callable[[Stub], grpc.UnaryUnaryMultiCallable[Request, Response]],
        request: Request,
        *,
        changes: bool = False,
    ) -> Response:
        attempts = self._attempts(replicas, changes=changes)
        token = ""
        while True:
            token = token or self._tokens.current()
            call: Any = method(attempts.stub)
            try:
                response: Response = call(
                    request,
                    metadata=metadata_of(token, self._acting_for),
                    timeout=attempts.seconds,
                )
            except grpc.RpcError as error:
                failed: Any = error
                failure = from_rpc_error(failed, mutating=changes)
            else:
                return response
            pause = attempts.failed(failure)
            refused = isinstance(failure, Unauthenticated)
            token = self._tokens.another(token) if refused else ""
            self._sleep(pause)

    def _attempts(self, replicas: Replicas[Stub], *, changes: bool = False) -> Attempts[Stub]:
        return Attempts(
            replicas,
            deadline=self._deadline,
            changes=changes,
            renewable=self._tokens.renewable,
            clock=time.monotonic,
            chance=self._chance,
        )
