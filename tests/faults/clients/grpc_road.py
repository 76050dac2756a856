"""Asking over gRPC, past no library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc

from sessiond.status import from_rpc_error
from sessiond.v1 import live_pb2 as live
from sessiond.v1 import store_pb2 as store
from sessiond.v1.live_pb2_grpc import LiveServiceStub
from sessiond.v1.store_pb2_grpc import StoreServiceStub
from tests.faults.clients.callers import PAGE, SECONDS, TAIL
from tests.faults.clients.notebook import Answer, now
from tests.faults.history import digest


class GrpcRoad:
    """Bare stubs, through the doors; a try that fails is made at the next part."""

    def __init__(
        self,
        lives: Sequence[grpc.aio.Channel],
        stores: Sequence[grpc.aio.Channel],
        token: str,
        first: int = 0,
    ) -> None:
        """Ask at these parts; `first` says at which of them at first."""
        self._lives = [LiveServiceStub(channel) for channel in lives]
        self._stores = [StoreServiceStub(channel) for channel in stores]
        self._next = first
        self._metadata = (("authorization", f"Bearer {token}"),)

    async def create(self, session: str, op_id: str, workflow: str) -> Answer:
        request = store.CreateSessionRequest(id=session, op_id=op_id, workflow_id=workflow)
        response = await self._ask(self._stores, "CreateSession", request)
        return Answer(1, response.session.id)

    async def append(self, session: str, op_id: str, text: str, expected: int) -> Answer:
        request = live.AppendMessageRequest(session_id=session, op_id=op_id, content=text)
        if expected:
            request.expected_revision = expected
        return await self._change("AppendMessage", request)

    async def update(self, session: str, op_id: str, title: str) -> Answer:
        return await self._change(
            "UpdateSession", live.UpdateSessionRequest(session_id=session, op_id=op_id, title=title)
        )

    async def submit(self, session: str, op_id: str, text: str) -> Answer:
        request = live.SubmitOutputRequest(session_id=session, op_id=op_id, content=text)
        response = await self._ask(self._lives, "SubmitOutput", request)
        return Answer(response.seq, output=response.output_id)

    async def edit(self, session: str, op_id: str, output: str, text: str) -> Answer:
        return await self._change(
            "EditOutput",
            live.EditOutputRequest(session_id=session, op_id=op_id, output_id=output, content=text),
        )

    async def decide(self, session: str, op_id: str, output: str, word: str) -> Answer:
        return await self._change(
            "ApproveOutput",
            live.ApproveOutputRequest(
                session_id=session,
                op_id=op_id,
                output_id=output or None,
                decision=live.Decision.Value(f"DECISION_{word.upper()}"),
            ),
        )

    async def pause(self, session: str, op_id: str) -> Answer:
        return await self._change(
            "PauseSession", live.PauseSessionRequest(session_id=session, op_id=op_id)
        )

    async def resume(self, session: str, op_id: str) -> Answer:
        return await self._change(
            "ResumeSession", live.ResumeSessionRequest(session_id=session, op_id=op_id)
        )

    async def delete(self, session: str, op_id: str) -> Answer:
        request = live.DeleteSessionRequest(session_id=session, op_id=op_id)
        await self._ask(self._lives, "DeleteSession", request)
        return Answer()

    async def get(self, session: str) -> Answer:
        request = store.GetSessionRequest(session_id=session, tail=TAIL)
        response = await self._ask(self._stores, "GetSession", request, mutating=False)
        told = response.session
        messages = tuple((each.seq, digest(each.content)) for each in told.conversation_history)
        return Answer(told.revision, messages=messages)

    async def pages(self, session: str) -> Answer:
        request = store.ListMessagesRequest(session_id=session, page_size=PAGE)
        pages, returned = await self._pages("ListMessages", request)
        messages = tuple(
            (each.seq, digest(each.content)) for page in pages for each in page.messages
        )
        return Answer(messages=messages, returned=returned)

    async def listing(self, user: str) -> Answer:
        request = store.ListSessionsRequest(user_id=user, page_size=PAGE)
        pages, returned = await self._pages("ListSessions", request)
        listed = tuple((each.id, each.revision) for page in pages for each in page.sessions)
        return Answer(listed=listed, returned=returned)

    async def _pages(self, method: str, request: Any) -> tuple[list[Any], int]:
        """Return all pages, and when the first one came."""
        pages: list[Any] = []
        returned = 0
        while True:
            pages.append(await self._ask(self._stores, method, request, mutating=False))
            returned = returned or now()
            if not pages[-1].next_page_token:
                return pages, returned
            request.page_token = pages[-1].next_page_token

    async def _change(self, method: str, request: Any) -> Answer:
        return Answer((await self._ask(self._lives, method, request)).seq)

    async def _ask(
        self, stubs: Sequence[Any], method: str, request: Any, *, mutating: bool = True
    ) -> Any:
        stub = stubs[self._next % len(stubs)]
        try:
            return await getattr(stub, method)(request, metadata=self._metadata, timeout=SECONDS)
        except grpc.aio.AioRpcError as error:
            self._next += 1
            raise from_rpc_error(error, mutating=mutating) from None
