"""The changes that can be made to an attached session, one method each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

from sessiond.client import requests
from sessiond.client.requests import Json
from sessiond.session.state import Decision, MessageType, Sender
from sessiond.v1.live_pb2 import (
    ClientFrame,
    PauseSessionRequest,
    ResumeSessionRequest,
    SetHoldRequest,
)


class Changes(ABC):
    """Changes of one session.

    Each returns the seq of its event once it is durable, or the session's revision where nothing
    changed. `op_id` names the change: the same caller and the same operation id do it once. What
    is None is left to the server.

    Raises:
        SessiondError: why the change was refused.
        ValueError: an object given is no JSON.
    """

    id: str
    new_op_id: Callable[[], str]

    @abstractmethod
    async def _done(self, frame: ClientFrame) -> int:
        """Make the change, and return its seq."""

    async def append(
        self,
        content: str,
        *,
        sender: Sender | None = None,
        type: MessageType | None = None,  # noqa: A002
        agent_id: str | None = None,
        metadata: Json | None = None,
        expected_revision: int | None = None,
        op_id: str | None = None,
    ) -> int:
        """Append a message; by default a user's text."""
        request = requests.append(
            self.id,
            content,
            op_id=op_id or self.new_op_id(),
            sender=sender,
            kind=type,
            agent_id=agent_id,
            metadata=metadata,
            expected_revision=expected_revision,
        )
        return await self._done(ClientFrame(append=request))

    async def update(
        self,
        *,
        title: str | None = None,
        metadata: Mapping[str, str | None] | None = None,
        user_inputs: Json | None = None,
        clear_metadata: bool = False,
        clear_user_inputs: bool = False,
        expected_revision: int | None = None,
        op_id: str | None = None,
    ) -> int:
        """Change title, metadata (None removes a key) or inputs (a JSON Merge Patch)."""
        request = requests.update(
            self.id,
            op_id=op_id or self.new_op_id(),
            title=title,
            metadata=metadata,
            user_inputs=user_inputs,
            clear_metadata=clear_metadata,
            clear_user_inputs=clear_user_inputs,
            expected_revision=expected_revision,
        )
        return await self._done(ClientFrame(update=request))

    async def submit_output(
        self,
        content: str,
        *,
        output_id: str | None = None,
        agent_id: str | None = None,
        quality_score: float | None = None,
        metadata: Json | None = None,
        expected_revision: int | None = None,
        op_id: str | None = None,
    ) -> int:
        """Submit an output for the current step."""
        request = requests.submit_output(
            self.id,
            content,
            op_id=op_id or self.new_op_id(),
            output_id=output_id,
            agent_id=agent_id,
            quality_score=quality_score,
            metadata=metadata,
            expected_revision=expected_revision,
        )
        return await self._done(ClientFrame(submit_output=request))

    async def edit_output(
        self,
        output_id: str,
        *,
        content: str | None = None,
        metadata: Json | None = None,
        expected_revision: int | None = None,
        op_id: str | None = None,
    ) -> int:
        """Edit an output that waits for its decision; what is None stays."""
        request = requests.edit_output(
            self.id,
            output_id,
            op_id=op_id or self.new_op_id(),
            content=content,
            metadata=metadata,
            expected_revision=expected_revision,
        )
        return await self._done(ClientFrame(edit_output=request))

    async def approve(
        self,
        output_id: str | None = None,
        *,
        feedback: str | None = None,
        decision: Decision = Decision.APPROVED,
        expected_revision: int | None = None,
        op_id: str | None = None,
    ) -> int:
        """Decide an output; by default approve the pending one of the current step."""
        request = requests.approve(
            self.id,
            op_id=op_id or self.new_op_id(),
            output_id=output_id,
            feedback=feedback,
            decision=decision,
            expected_revision=expected_revision,
        )
        return await self._done(ClientFrame(approve=request))

    async def pause(self, *, op_id: str | None = None) -> int:
        """Pause the session."""
        request = PauseSessionRequest(session_id=self.id, op_id=op_id or self.new_op_id())
        return await self._done(ClientFrame(pause=request))

    async def resume(self, *, op_id: str | None = None) -> int:
        """Resume the session."""
        request = ResumeSessionRequest(session_id=self.id, op_id=op_id or self.new_op_id())
        return await self._done(ClientFrame(resume=request))

    async def rewind(
        self, to_seq: int, *, expected_revision: int | None = None, op_id: str | None = None
    ) -> int:
        """Go back to how the session was after the event `to_seq`.

        Nothing is lost: a rewind to the revision before takes it back.
        """
        request = requests.rewind(
            self.id,
            to_seq,
            op_id=op_id or self.new_op_id(),
            expected_revision=expected_revision,
        )
        return await self._done(ClientFrame(rewind=request))

    async def set_hold(self, held: bool, *, reason: str = "", op_id: str | None = None) -> int:
        """Begin or end a legal hold: a held session cannot be deleted. For administrators."""
        request = SetHoldRequest(
            session_id=self.id, held=held, reason=reason or None, op_id=op_id or self.new_op_id()
        )
        return await self._done(ClientFrame(set_hold=request))
