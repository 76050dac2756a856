"""People: they change and read sessions, one thing after the other, or try what is not theirs."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc

from sessiond.errors import IdTaken, Unavailable
from sessiond.status import from_rpc_error
from sessiond.v1 import live_pb2 as live
from sessiond.v1 import store_pb2 as store
from sessiond.v1.session_pb2 import (
    MEMBER_ROLE_EDITOR,
    MEMBER_ROLE_VIEWER,
    OUTPUT_STATUS_PENDING,
)
from tests.simulation.clients import (
    AGAIN,
    CALL_SECONDS,
    PATIENCE,
    TRIES,
    UNSETTLED,
    Client,
    state_of,
)
from tests.simulation.history import FAIL, OK, UNKNOWN, Operation

KINDS = {
    "append": 36,
    "get": 14,
    "list": 8,
    "update": 6,
    "expect": 6,
    "submit": 8,
    "edit": 6,
    "approve": 10,
    "pause": 2,
    "resume": 12,
}
"""How often each is done."""

GUEST = "bob"
"""With whom sessions are shared."""


class Person(Client):
    """Makes changes and reads, one after the other."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._outputs: dict[str, str] = {}
        self._known: dict[str, int] = {}
        self.pace = 6.0
        """Operations a second."""
        self.stepped: frozenset[str] = frozenset()
        """The sessions that outputs belong in."""
        self.also: dict[str, int] = {}
        """What else is done, beside what everybody does, and how often."""
        self.forks: list[str] = []

    async def work(self, sessions: tuple[str, ...], operations: int, *, deletes: bool) -> None:
        """Do so many things; with `deletes` to delete a session, too, and to make it again."""
        deletions = {operations - 2} | ({operations // 3} if len(sessions) > 1 else set())
        for number in range(operations):
            await asyncio.sleep(self.chance.expovariate(self.pace))
            session_id = self.chance.choice(sessions)
            if deletes and number in deletions:
                await self._one("delete", session_id)
                await self.create_again(session_id)
            else:
                kind = self._any()
                if kind in ("submit", "edit", "approve") and session_id not in self.stepped:
                    kind = "append"
                await self._one(kind, session_id)

    async def fork(self, session_id: str, at_seq: int | None) -> None:
        """Make a session that begins as another one, and go on with it."""
        op_id = self.new_op_id()
        made = f"{session_id}-{op_id}"
        request = store.ForkSessionRequest(
            session_id=session_id, at_seq=at_seq, id=made, op_id=op_id
        )
        asked = self.begin("fork", made, op_id, request)
        unknown = False
        for tried in range(TRIES):
            try:
                answer = await self.store().ForkSession(
                    request, metadata=self.metadata, timeout=self.chance.choice(PATIENCE)
                )
            except grpc.aio.AioRpcError as error:
                failure = from_rpc_error(error, mutating=True)
            else:
                self.settle(asked, OK, answer.seq)
                self.forks.append(made)
                await self._one(self.chance.choice(("append", "get", "rewind")), made)
                return
            self._complain(asked, failure)
            unknown = unknown or isinstance(failure, (*UNSETTLED, Unavailable))
            if failure.reason not in AGAIN or self.chance.random() < 0.2:
                break
            if self.chance.random() < 0.3:  # what is half way there is nowhere yet
                await self.get(made)
            await asyncio.sleep(self.chance.uniform(0.01, 0.2) * 2 ** min(tried, 4))
        self.settle(asked, UNKNOWN if unknown else FAIL, reason=failure.reason)

    def heard(self, asked: Operation, answer: Any) -> None:
        """Remember the output that waits, and how far the session has come."""
        if asked.kind == "rewind":
            asked.state = answer.session.revision, state_of(answer.session)
        self._known[asked.session_id] = asked.seq
        if asked.kind == "submit":
            self._outputs[asked.session_id] = answer.output_id
        elif asked.kind == "get":
            for name, output in answer.session.agent_outputs.items():
                if output.status == OUTPUT_STATUS_PENDING:
                    self._outputs[asked.session_id] = name

    async def create_again(self, session_id: str) -> None:
        """Try to make a session of an id that is in use, or was: twice at most."""
        request = store.CreateSessionRequest(
            id=session_id, workflow_id="chat", op_id=self.new_op_id()
        )
        asked = self.begin("create", session_id, request.op_id)
        unknown = False
        for _ in range(2):
            try:
                await self.store().CreateSession(
                    request, metadata=self.metadata, timeout=CALL_SECONDS
                )
            except grpc.aio.AioRpcError as error:
                failure = from_rpc_error(error, mutating=True)
            else:
                self.settle(asked, OK, 1)
                return
            unknown = unknown or isinstance(failure, UNSETTLED)
            if isinstance(failure, IdTaken):
                break
        self.settle(asked, UNKNOWN if unknown else FAIL, reason=failure.reason)

    # --- inside ----------------------------------------------------------------------------------

    def _any(self) -> str:
        kinds = {**KINDS, **self.also}
        return self.chance.choices(tuple(kinds), tuple(kinds.values()))[0]

    async def _one(self, kind: str, session_id: str) -> None:
        where: dict[str, Any] = {"session_id": session_id}
        name = f"{self.voice} {self._count}"
        match kind:
            case "append":
                text = live.AppendMessageRequest(content=f"said by {name}", **where)
                await self.change(kind, session_id, text, "AppendMessage")
            case "update":
                update = live.UpdateSessionRequest(title=f"as {name} wants", **where)
                await self.change(kind, session_id, update, "UpdateSession")
            case "expect":  # only where nothing happened since
                known = self._known.get(session_id, 1)
                update = live.UpdateSessionRequest(
                    title=f"as {name} expects", expected_revision=known, **where
                )
                await self.change("update", session_id, update, "UpdateSession")
            case "submit":
                output = live.SubmitOutputRequest(content=f"made by {name}", **where)
                await self.change(kind, session_id, output, "SubmitOutput")
            case "edit":
                edit = live.EditOutputRequest(content=f"mended by {name}", **where)
                edit.output_id = self._outputs.get(session_id, "nothing")
                await self.change(kind, session_id, edit, "EditOutput")
            case "approve":
                approve = live.ApproveOutputRequest(**where)
                if session_id in self._outputs and self.chance.random() < 0.7:
                    approve.output_id = self._outputs[session_id]
                if self.chance.random() < 0.3:
                    approve.decision = live.DECISION_REJECTED
                await self.change(kind, session_id, approve, "ApproveOutput")
            case "delete":
                delete = live.DeleteSessionRequest(**where)
                await self.change(kind, session_id, delete, "DeleteSession")
            case "pause":
                pause = live.PauseSessionRequest(**where)
                await self.change(kind, session_id, pause, "PauseSession")
                await self._one("resume", session_id)
            case "resume":  # which mostly changes nothing, and is answered by the revision
                resume = live.ResumeSessionRequest(**where)
                await self.change(kind, session_id, resume, "ResumeSession")
            case "rewind":
                to_seq = self.chance.randint(1, max(1, self._known.get(session_id, 3)))
                rewind = live.RewindSessionRequest(to_seq=to_seq, **where)
                await self.change(kind, session_id, rewind, "RewindSession")
            case "share":
                role = self.chance.choice((MEMBER_ROLE_VIEWER, MEMBER_ROLE_EDITOR))
                share = live.ShareSessionRequest(user_id=GUEST, role=role, **where)
                await self.change(kind, session_id, share, "ShareSession")
            case "unshare":
                unshare = live.UnshareSessionRequest(user_id=GUEST, **where)
                await self.change(kind, session_id, unshare, "UnshareSession")
            case "transfer":
                to = "alice" if self.user == GUEST else GUEST
                transfer = live.TransferSessionRequest(user_id=to, **where)
                await self.change(kind, session_id, transfer, "TransferSession")
            case "fork":
                known = max(1, self._known.get(session_id, 1))
                await self.fork(
                    session_id, self.chance.choice((None, self.chance.randint(1, known)))
                )
            case "get":
                await self.get(session_id)
            case _:
                whose = self.user if self.user == GUEST else "alice"
                await self.list(whose, self.chance.choice((None, 1, 2)))


class Guest(Person):
    """Does what members do, whether a session is shared with them at the moment or not."""

    async def visit(self, sessions: tuple[str, ...], operations: int) -> None:
        """Do so many things, here and there."""
        kinds = ("append", "append", "get", "get", "list", "resume", *self.also)
        for _ in range(operations):
            await asyncio.sleep(self.chance.expovariate(self.pace))
            await self._one(self.chance.choice(kinds), self.chance.choice(sessions))


class Stranger(Person):
    """Has a session of their own, and tries what is not theirs."""

    async def trespass(self, own: str, others: tuple[str, ...], operations: int) -> None:
        """Do so many things, here and there."""
        await self.create(own, "chat")
        for _ in range(operations):
            await asyncio.sleep(self.chance.expovariate(4.0))
            if self.chance.random() < 0.3:
                await self.list(self.chance.choice((self.user, "alice")))
            else:
                kind = self.chance.choice(("append", "get", "update", "resume"))
                await self._one(kind, self.chance.choice((own, *others)))
