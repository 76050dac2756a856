"""People: they change and read sessions, one thing after the other, or try what is not theirs."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc

from sessiond.errors import IdTaken
from sessiond.status import from_rpc_error
from sessiond.v1 import live_pb2 as live
from sessiond.v1 import store_pb2 as store
from sessiond.v1.session_pb2 import OUTPUT_STATUS_PENDING
from tests.simulation.clients import CALL_SECONDS, UNSETTLED, Client
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

    def heard(self, asked: Operation, answer: Any) -> None:
        """Remember the output that waits, and how far the session has come."""
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
        return self.chance.choices(tuple(KINDS), tuple(KINDS.values()))[0]

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
            case "get":
                await self.get(session_id)
            case _:
                await self.list("alice", self.chance.choice((None, 1, 2)))


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
