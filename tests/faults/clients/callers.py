"""Clients that ask one thing after the other: over gRPC past no library, and over REST."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from itertools import count
from typing import Any, Protocol

import grpc
import httpx

from sessiond.errors import Unavailable
from sessiond.frame_failures import from_error
from sessiond.status import from_rpc_error
from sessiond.v1 import live_pb2 as live
from sessiond.v1 import store_pb2 as store
from sessiond.v1.live_pb2_grpc import LiveServiceStub
from sessiond.v1.store_pb2_grpc import StoreServiceStub
from tests.faults.clients.notebook import Answer, Broken, Voice, now
from tests.faults.history import Kind, digest

SECONDS = 3.0
"""How long one try may take."""

_TAIL = 20
_NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Road(Protocol):
    """A way to ask, each method once; the answers are those of `Voice.ask`'s calls."""

    async def create(self, session: str, op_id: str, workflow: str) -> Answer: ...
    async def append(self, session: str, op_id: str, text: str) -> Answer: ...
    async def update(self, session: str, op_id: str, title: str) -> Answer: ...
    async def submit(self, session: str, op_id: str, text: str) -> Answer: ...
    async def approve(self, session: str, op_id: str) -> Answer: ...
    async def pause(self, session: str, op_id: str) -> Answer: ...
    async def resume(self, session: str, op_id: str) -> Answer: ...
    async def delete(self, session: str, op_id: str) -> Answer: ...
    async def get(self, session: str) -> Answer: ...
    async def listing(self, user: str) -> Answer: ...


class GrpcRoad:
    """Bare stubs, through the doors; a try that fails is made at the next part."""

    def __init__(
        self, lives: Sequence[grpc.aio.Channel], stores: Sequence[grpc.aio.Channel], token: str
    ) -> None:
        self._lives = [LiveServiceStub(channel) for channel in lives]
        self._stores = [StoreServiceStub(channel) for channel in stores]
        self._next = 0
        self._metadata = (("authorization", f"Bearer {token}"),)

    async def create(self, session: str, op_id: str, workflow: str) -> Answer:
        request = store.CreateSessionRequest(id=session, op_id=op_id, workflow_id=workflow)
        response = await self._ask(self._stores, "CreateSession", request)
        return Answer(1, response.session.id)

    async def append(self, session: str, op_id: str, text: str) -> Answer:
        return await self._change(
            "AppendMessage",
            live.AppendMessageRequest(session_id=session, op_id=op_id, content=text),
        )

    async def update(self, session: str, op_id: str, title: str) -> Answer:
        return await self._change(
            "UpdateSession", live.UpdateSessionRequest(session_id=session, op_id=op_id, title=title)
        )

    async def submit(self, session: str, op_id: str, text: str) -> Answer:
        return await self._change(
            "SubmitOutput",
            live.SubmitOutputRequest(session_id=session, op_id=op_id, content=text),
        )

    async def approve(self, session: str, op_id: str) -> Answer:
        return await self._change(
            "ApproveOutput", live.ApproveOutputRequest(session_id=session, op_id=op_id)
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
        request = store.GetSessionRequest(session_id=session, tail=_TAIL)
        response = await self._ask(self._stores, "GetSession", request, mutating=False)
        told = response.session
        messages = tuple((each.seq, digest(each.content)) for each in told.conversation_history)
        return Answer(told.revision, messages=messages)

    async def listing(self, user: str) -> Answer:
        request = store.ListSessionsRequest(user_id=user, page_size=100)
        listed: list[tuple[str, int]] = []
        returned: int | None = None
        while True:
            page = await self._ask(self._stores, "ListSessions", request, mutating=False)
            returned = returned or now()
            listed += [(each.id, each.revision) for each in page.sessions]
            if not page.next_page_token:
                return Answer(listed=tuple(listed), returned=returned)
            request.page_token = page.next_page_token

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


class RestRoad:
    """The gateways' REST, through their doors."""

    def __init__(self, gateways: Sequence[str], token: str) -> None:
        self._gateways = gateways
        self._next = 0
        self._http = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {token}"},
            timeout=SECONDS + 1,
            trust_env=False,
            verify=_NOBODY,
        )

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def create(self, session: str, op_id: str, workflow: str) -> Answer:
        body = {"id": session, "workflowId": workflow}
        told = await self._ask("POST", "sessions", op_id, body)
        return Answer(1, told.json()["id"])

    async def append(self, session: str, op_id: str, text: str) -> Answer:
        return await self._change("POST", f"chat/{session}/messages", op_id, {"content": text})

    async def update(self, session: str, op_id: str, title: str) -> Answer:
        return await self._change("PATCH", f"sessions/{session}", op_id, {"title": title})

    async def submit(self, session: str, op_id: str, text: str) -> Answer:
        return await self._change("POST", f"chat/{session}/outputs", op_id, {"content": text})

    async def approve(self, session: str, op_id: str) -> Answer:
        return await self._change("PUT", f"chat/{session}/approve", op_id, {})

    async def pause(self, session: str, op_id: str) -> Answer:
        return await self._change("PUT", f"sessions/{session}/pause", op_id, None)

    async def resume(self, session: str, op_id: str) -> Answer:
        return await self._change("PUT", f"sessions/{session}/resume", op_id, None)

    async def delete(self, session: str, op_id: str) -> Answer:
        await self._ask("DELETE", f"sessions/{session}", op_id, None)
        return Answer()

    async def get(self, session: str) -> Answer:
        told = (await self._ask("GET", f"sessions/{session}?tail={_TAIL}", "", None)).json()
        messages = tuple(
            (each["seq"], digest(each["content"])) for each in told["conversationHistory"]
        )
        return Answer(told["revision"], messages=messages)

    async def listing(self, user: str) -> Answer:
        path = f"users/{user}/sessions?pageSize=100"
        told = (await self._ask("GET", path, "", None)).json()
        return Answer(listed=tuple((each["id"], each["revision"]) for each in told["sessions"]))

    async def _change(self, method: str, path: str, op_id: str, body: Any) -> Answer:
        told = await self._ask(method, path, op_id, body)
        return Answer(int(told.headers["ETag"].strip('W/"')))

    async def _ask(self, method: str, path: str, op_id: str, body: Any) -> httpx.Response:
        gateway = self._gateways[self._next % len(self._gateways)]
        headers = {"Idempotency-Key": op_id} if op_id else {}
        try:
            told = await self._http.request(
                method, f"http://{gateway}/api/{path}", json=body, headers=headers
            )
        except httpx.ConnectError:
            self._next += 1
            raise Unavailable from None
        except httpx.HTTPError:
            self._next += 1
            raise Broken from None
        if told.is_success:
            return told
        self._next += 1
        problem = told.json()
        raise from_error(live.Error(code=problem["code"], retryable=problem["retryable"]))


WORKFLOW = "master-workflow-v2"
_numbers = count(1)


class Caller:
    """Does one thing after the other in some sessions, until nothing new is to be begun."""

    def __init__(self, voice: Voice, road: Road, sessions: Sequence[str], user: str) -> None:
        self._voice = voice
        self._road = road
        self._sessions = sessions
        self._user = user
        self._made: list[str] = []

    async def run(self, pause: float) -> None:
        """Go on until the book closes; every operation under way gets its last word."""
        book = self._voice.book
        while not book.closing.is_set():
            await self.one(book.chance.choice(list(self._sessions)), book.chance.random())
            await book.pause(pause)

    async def append(self, session: str) -> Answer | None:
        """Append a message that says what no other one does."""
        text = f"{self._voice.client} {next(_numbers)}"
        road = self._road
        return await self._voice.ask(
            Kind.APPEND, session, lambda op: road.append(session, op, text), content=digest(text)
        )

    async def create(self, session: str, workflow: str = WORKFLOW) -> Answer | None:
        """Create a session of this id."""
        road = self._road
        return await self._voice.ask(
            Kind.CREATE, session, lambda op: road.create(session, op, workflow), user=self._user
        )

    async def touch(self, session: str) -> Answer | None:
        """Change a session in a way that it takes whatever its status is."""
        title = f"touched {next(_numbers)}"
        road = self._road
        return await self._voice.ask(
            Kind.UPDATE,
            session,
            lambda op: road.update(session, op, title),
            content=digest(title),
        )

    async def one(self, session: str, chosen: float) -> None:
        """Do what a number from 0 to 1 chooses."""
        ask, road = self._voice.ask, self._road
        if chosen < 0.55:
            await self.append(session)
        elif chosen < 0.7:
            await ask(Kind.GET, session, lambda _: road.get(session), tail=_TAIL)
        elif chosen < 0.76:
            await ask(Kind.LIST, "", lambda _: road.listing(self._user), user=self._user)
        elif chosen < 0.82:
            title = f"title {next(_numbers)}"
            await ask(
                Kind.UPDATE,
                session,
                lambda op: road.update(session, op, title),
                content=digest(title),
            )
        elif chosen < 0.87:
            text = f"output {next(_numbers)}"
            await ask(
                Kind.SUBMIT,
                session,
                lambda op: road.submit(session, op, text),
                content=digest(text),
            )
        elif chosen < 0.92:
            await ask(
                Kind.DECIDE,
                session,
                lambda op: road.approve(session, op),
                content=digest("approved"),
            )
        elif chosen < 0.95:
            await ask(Kind.PAUSE, session, lambda op: road.pause(session, op))
            await ask(Kind.RESUME, session, lambda op: road.resume(session, op))
        elif chosen < 0.98 or not self._made:
            made = f"{self._voice.client}-{next(_numbers)}"
            if await self.create(made) is not None:
                self._made.append(made)
                await self.append(made)
        else:
            made = self._made.pop(0)
            await ask(Kind.DELETE, made, lambda op: road.delete(made, op))
            await ask(Kind.GET, made, lambda _: road.get(made), tail=_TAIL)
