"""What a session is: immutable values. Times are milliseconds since 1970 in UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from sessiond.session.access import Actor, MemberRole
from sessiond.session.conversation import WHOLE, Conversation
from sessiond.session.workflow import Progress, Workflow, progress


class Status(StrEnum):
    """Where a session stands."""

    ACTIVE = "active"
    PAUSED = "paused"
    COMPLETED = "completed"


class Sender(StrEnum):
    """Who wrote a message."""

    USER = "user"
    AGENT = "agent"
    SYSTEM = "system"


class MessageType(StrEnum):
    """What a message is."""

    TEXT = "text"
    OUTPUT = "output"
    APPROVAL_REQUEST = "approval_request"
    SYSTEM = "system"
    USER_INPUT_REQUEST = "user_input_request"


class OutputStatus(StrEnum):
    """Whether an output was decided."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    ERROR = "error"


class Decision(StrEnum):
    """What a user decides about an output."""

    APPROVED = "approved"
    REJECTED = "rejected"


class TurnOutcome(StrEnum):
    """How a turn ended."""

    COMPLETED = "completed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


class LastWord(StrEnum):
    """Whose the newest message or decision is: nobody's yet, the current agent's, or another's."""

    NOBODY = "nobody"
    AGENT = "agent"
    OTHER = "other"


class Message(NamedTuple):
    """One message of a conversation. `metadata` is a JSON object's text.

    `user_id` is the user who wrote it; None where an agent or the system did.
    """

    id: str
    sender: Sender
    type: MessageType
    content: str
    time_ms: int
    seq: int
    agent_id: str | None = None
    metadata: str | None = None
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class OutputBody:
    """An output as an agent made it. `metadata` is a JSON object's text."""

    id: str
    agent_id: str
    step_id: str
    content: str
    generated_ms: int
    quality_score: float | None = None
    metadata: str | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """An output and what was decided about it.

    `body_seq` and `decision_seq` are the seqs of the events that hold its body and its decision;
    0 while it waits for one.
    """

    body: OutputBody
    body_seq: int
    status: OutputStatus = OutputStatus.PENDING
    decision_seq: int = 0
    feedback: str | None = None
    approved_ms: int | None = None
    approved_by: str | None = None


@dataclass(frozen=True, slots=True)
class OutputRow:
    """Where one output is to be found: the seqs of its body and of its decision (0 for none)."""

    id: str
    status: OutputStatus
    body_seq: int
    decision_seq: int


@dataclass(frozen=True, slots=True)
class Member:
    """A user with whom a session is shared; `link_id` is "" where they joined by none."""

    role: MemberRole
    granted_ms: int
    link_id: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """A link by which users join. `expires_ms` 0 is never; without a hash nobody can."""

    role: MemberRole
    made_ms: int
    expires_ms: int = 0
    secret_hash: bytes = b""

    def is_good_at(self, time_ms: int) -> bool:
        """Return whether it has not expired then."""
        return not self.expires_ms or time_ms < self.expires_ms


@dataclass(frozen=True, slots=True)
class Lineage:
    """The session of whose first `seq` events this one began as a copy."""

    session_id: str
    seq: int


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn that runs: an agent's answer in progress.

    It belongs to the actor and the operation id that began it, by the event `seq`. `agent_id` is
    None where no agent is the current one.
    """

    id: str
    actor: Actor
    op_id: str
    agent_id: str | None
    seq: int

    def belongs_to(self, actor: Actor, op_id: str) -> bool:
        """Return whether a begin of this actor's, under this operation id, is this turn's."""
        return (self.actor, self.op_id) == (actor, op_id)


class Session(NamedTuple):
    """The state of a session after the event `seq`, without its messages.

    `user_inputs` is a JSON object's text. `turn` is the one that runs; its text is its owner's to
    keep until the event that ends it. How many bytes the records take is the log keeper's to
    add up; `capacity.check_room` compares it with the limit. `members` are by user and `links` by
    id, in the order in which they came; `held` says that a legal hold keeps the session.
    """

    id: str
    user_id: str
    workflow: Workflow
    status: Status
    current_step: int
    created_ms: int
    last_active_ms: int
    user_inputs: str
    inputs_seq: int
    title: str
    title_given: bool
    metadata: Mapping[str, str]
    seq: int
    outputs: Mapping[str, Output] = MappingProxyType({})
    message_count: int = 0
    last_message_seq: int = 0
    last_message: str = ""
    last_word: LastWord = LastWord.NOBODY
    turn: Turn | None = None
    members: Mapping[str, Member] = MappingProxyType({})
    links: Mapping[str, Link] = MappingProxyType({})
    held: bool = False
    lineage: Lineage | None = None
    conversation: Conversation = WHOLE

    @property
    def current_agent(self) -> str:
        """The agent of the current step; "" once completed."""
        return self.workflow.agent_at(self.current_step)

    @property
    def roles(self) -> Mapping[str, MemberRole]:
        """As what the session is shared with each member."""
        return {user_id: member.role for user_id, member in self.members.items()}

    @property
    def progress(self) -> Progress:
        """How far the workflow has come."""
        return progress(self.workflow, self.current_step)

    @property
    def pending_output(self) -> Output | None:
        """The output of the current step that waits for its decision."""
        step_id = self.workflow.step_id_at(self.current_step)
        for output in self.outputs.values():
            if output.status is OutputStatus.PENDING and output.body.step_id == step_id:
                return output
        return None

    @property
    def awaited_agent(self) -> str:
        """The agent whose turn it is; "" for none.

        An active session without a running turn or a pending output awaits its current agent when
        the newest message or decision is not the agent's. Before the first message, a workflow
        awaits the agent of its first step, and a plain conversation awaits nobody.
        """
        if self.turn is not None or self.last_word is LastWord.AGENT:
            return ""
        if self.status is not Status.ACTIVE or self.pending_output is not None:
            return ""
        if self.last_word is LastWord.NOBODY and not self.workflow.steps:
            return ""
        return self.current_agent
