"""Clients: they know only what they were told, and write down all of it."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable
from typing import Any

import grpc

from sessiond.errors import DeadlineExceeded, Internal, OutcomeUnknown, SessiondError
from sessiond.status import from_rpc_error
from sessiond.v1 import live_pb2 as live
from sessiond.v1 import store_pb2 as store
from sessiond.v1.live_pb2_grpc import LiveServiceStub
from sessiond.v1.session_pb2 import MemberRole, Session
from sessiond.v1.store_pb2_grpc import StoreServiceStub
from tests.faults.history import digest, place
from tests.simulation.channels import Channel
from tests.simulation.history import FAIL, OK, UNKNOWN, History, Operation
from tests.simulation.loop import Process
from tests.simulation.world import World

TRIES = 8
CALL_SECONDS = 4.0
PATIENCE = (1.0, 4.0, 8.0)
"""How long a caller may wait for a change, which is then unknown, and asked for again."""

UNSETTLED = (OutcomeUnknown, DeadlineExceeded, Internal)
AGAIN = frozenset({"UNAVAILABLE", "SESSION_MOVED", "DRAINING", "OUTCOME_UNKNOWN"})
AGAIN |= {"DEADLINE_EXCEEDED", "INTERNAL"}


def told_of(message: Any) -> tuple[int, str]:
    """Return a message as histories have it."""
    return message.seq, digest(message.content)


def state_of(session: Session) -> str:
    """Return the digest of a whole session, its history included."""
    return digest(session.SerializeToString(deterministic=True).hex())


def _said(kind: str, request: Any) -> tuple[str, str]:
    """Return what a request says, and of whom or what, as the event says it that it makes."""
    match kind:
        case "approve":
            rejects = request.decision == live.DECISION_REJECTED
            return "rejected" if rejects else "approved", request.output_id
        case "rewind":
            return place(request.to_seq), ""
        case "share":
            return MemberRole.Name(request.role).removeprefix(
                "MEMBER_ROLE_"
            ).lower(), request.user_id
        case "unshare" | "transfer":
            return "", request.user_id
        case "fork":
            at = request.at_seq
            return place(at, request.session_id) if at else "", request.session_id
    return getattr(request, "content", "") or getattr(request, "title", ""), ""


class Client:
    """Who asks, and where the parts are."""

    def __init__(
        self,
        world: World,
        history: History,
        name: str,
        *,
        token: str,
        chance: random.Random,
        lives: tuple[str, ...],
        stores: tuple[str, ...],
    ) -> None:
        self.name = self.voice = name
        self.process = Process(name)
        self.history = history
        self.loop = world.loop
        self.chance = chance
        role, _, self.user = token.partition(":")
        self.actor = f"{self.user}/{role}/"
        self.metadata = (("authorization", f"Bearer {token}"),)
        self._network = world.network
        self._lives, self._stores = lives, stores
        self._channels: dict[str, Any] = {}
        self._stubs: dict[str, Any] = {}
        self._count = 0

    def live(self) -> Any:
        """Return a Live, any of them."""
        return self._stub(self.chance.choice(self._lives), LiveServiceStub)

    def store(self) -> Any:
        """Return a Store, any of them."""
        return self._stub(self.chance.choice(self._stores), StoreServiceStub)

    def _stub(self, name: str, kind: Callable[[Any], Any]) -> Any:
        if name not in self._stubs:
            self._stubs[name] = kind(self.channel(name))
        return self._stubs[name]

    def channel(self, name: str) -> Any:
        """Return the channel to a part."""
        if name not in self._channels:
            self._channels[name] = Channel(self._network, self.process, f"{name}:1")
        return self._channels[name]

    def new_op_id(self) -> str:
        """Return an operation id that nobody else has, but for those of the same voice."""
        self._count += 1
        return f"{self.voice}-{self._count}"

    def begin(self, kind: str, session_id: str, op_id: str = "", request: Any = None) -> Operation:
        """Note that something is asked for."""
        content, about = _said(kind, request)
        asked = Operation(self.name, self.actor, kind, session_id, op_id, content, self.loop.time())
        asked.about = about
        asked.expected = getattr(request, "expected_revision", 0)
        asked.user = self.user if kind in ("create", "fork") else ""
        self.history.operations.append(asked)
        self.history.note(self.loop.time(), self.name, f"{kind} {session_id} {op_id}")
        return asked

    def settle(self, asked: Operation, outcome: Any, seq: int = 0, reason: str = "") -> None:
        """Note what came of it."""
        asked.returned, asked.outcome = self.loop.time(), outcome
        asked.seq, asked.reason = seq, reason
        told = f"{asked.kind} {asked.session_id} {asked.op_id} {outcome.value} {seq} {reason}"
        self.history.note(asked.returned, self.name, told)

    async def change(self, kind: str, session_id: str, request: Any, method: str) -> Operation:
        """Make a change, and repeat it while that may help: nearly always."""
        request.op_id = self.new_op_id()
        asked = self.begin(kind, session_id, request.op_id, request)
        unknown = False
        for tried in range(TRIES):
            try:
                answer = await getattr(self.live(), method)(
                    request, metadata=self.metadata, timeout=self.chance.choice(PATIENCE)
                )
            except grpc.aio.AioRpcError as error:
                failure = from_rpc_error(error, mutating=True)
            else:
                self.settle(asked, OK, getattr(answer, "seq", 0))
                self.heard(asked, answer)
                return asked
            self._complain(asked, failure)
            unknown = unknown or isinstance(failure, UNSETTLED)
            # Some give up at once: what they were told then is the last word on it.
            if failure.reason not in AGAIN or self.chance.random() < 0.35:
                break
            await asyncio.sleep(self.chance.uniform(0.01, 0.2) * 2 ** min(tried, 4))
        self.settle(asked, UNKNOWN if unknown else FAIL, reason=failure.reason)
        return asked

    def heard(self, asked: Operation, answer: Any) -> None:
        """Take what a change, or a read of a session, was answered."""

    async def say_at_the_end(self, session_id: str, ends_at: float) -> None:
        """Append one more message, when everything should work again."""
        while True:
            request = live.AppendMessageRequest(session_id=session_id, content="the end")
            asked = await self.change("append", session_id, request, "AppendMessage")
            if asked.outcome is OK or asked.reason == "SESSION_NOT_FOUND":
                return
            if self.loop.time() >= ends_at:
                return

    async def create(self, session_id: str, workflow_id: str) -> None:
        """Create a session, however long that takes."""
        request = store.CreateSessionRequest(
            id=session_id, workflow_id=workflow_id, op_id=self.new_op_id()
        )
        asked = self.begin("create", session_id, request.op_id)
        while True:
            try:
                await self.store().CreateSession(
                    request, metadata=self.metadata, timeout=CALL_SECONDS
                )
            except grpc.aio.AioRpcError:
                await asyncio.sleep(0.1)
            else:
                self.settle(asked, OK, 1)
                return

    async def get(self, session_id: str) -> Operation:
        """Load a session."""
        asked = self.begin("get", session_id)
        request = store.GetSessionRequest(session_id=session_id)
        answer = await self._read(asked, "GetSession", request)
        if answer is not None:
            session = answer.session
            asked.told = [told_of(message) for message in session.conversation_history]
            asked.state = session.revision, state_of(session)
            self.settle(asked, OK, session.revision)
            self.heard(asked, answer)
        return asked

    async def list(self, user_id: str, page_size: int | None = None) -> None:
        """List a user's sessions, page by page."""
        asked = self.begin("list", "")
        asked.user = user_id
        request = store.ListSessionsRequest(user_id=user_id, page_size=page_size)
        listed: list[tuple[str, int]] = []
        first = math.inf
        while True:
            answer = await self._read(asked, "ListSessions", request)
            if answer is None:
                return
            first = min(first, self.loop.time())  # all of it is as it was for the first page
            listed += [(each.id, each.revision) for each in answer.sessions]
            if not answer.next_page_token:
                break
            request.page_token = answer.next_page_token
        asked.told = listed
        self.settle(asked, OK)
        asked.returned = first

    async def _read(self, asked: Operation, method: str, request: Any) -> Any:
        """Return the answer; None, once that is settled, where there is none."""
        try:
            return await getattr(self.store(), method)(
                request, metadata=self.metadata, timeout=CALL_SECONDS
            )
        except grpc.aio.AioRpcError as error:
            failure = from_rpc_error(error, mutating=False)
            self._complain(asked, failure)
            self.settle(asked, FAIL, reason=failure.reason)
            return None

    def _complain(self, asked: Operation, failure: SessiondError) -> None:
        if isinstance(failure, Internal):
            self.history.complaints.append(f"{asked.client} {asked.kind} was told INTERNAL")
