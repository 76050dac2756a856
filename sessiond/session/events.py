"""What happened in a session: immutable, numbered, and enough to rebuild it.

An event carries results, never patches: the title as it became, the inputs whole. So `apply` needs
no history, and a later version of a rule cannot change what an old event meant.

What every appended message makes anew is a named tuple, here and in `access`, `changes`, `state`:
to make one takes a quarter of the time that a frozen dataclass takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from sessiond.session.access import Actor
from sessiond.session.standing import StandingEvent
from sessiond.session.state import Decision, MessageType, OutputBody, Sender, TurnOutcome
from sessiond.session.workflow import Workflow


@dataclass(frozen=True, slots=True)
class SessionCreated:
    """A session came into being. Always and only the first event."""

    session_id: str
    user_id: str
    workflow: Workflow
    user_inputs: str
    title: str
    metadata: Mapping[str, str]


class MessageAppended(NamedTuple):
    """A message joined the conversation; `title` is the session's where this message gave it."""

    id: str
    sender: Sender
    type: MessageType
    content: str
    agent_id: str | None = None
    metadata: str | None = None
    title: str | None = None


@dataclass(frozen=True, slots=True)
class SessionUpdated:
    """Title, metadata or inputs changed; None stayed. All are as they became, whole."""

    title: str | None = None
    title_given: bool = False
    metadata: Mapping[str, str] | None = None
    user_inputs: str | None = None


@dataclass(frozen=True, slots=True)
class OutputSubmitted:
    """An agent submitted an output for the current step."""

    output: OutputBody


@dataclass(frozen=True, slots=True)
class OutputEdited:
    """A pending output was edited; the body is as it became, whole."""

    output: OutputBody


@dataclass(frozen=True, slots=True)
class OutputDecided:
    """An output was approved or rejected. Approval of the current step's moves the workflow."""

    output_id: str
    decision: Decision
    feedback: str | None = None


@dataclass(frozen=True, slots=True)
class SessionPaused:
    """The session was paused."""


@dataclass(frozen=True, slots=True)
class SessionResumed:
    """The session was resumed."""


@dataclass(frozen=True, slots=True)
class TurnBegun:
    """An agent began a turn. The record's actor and operation id are whose it is."""

    turn_id: str
    agent_id: str | None = None


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """The running turn ended, and became the agent's message.

    There is no message where nothing was written: then nothing but the turn and the outcome is
    given.
    """

    turn_id: str
    outcome: TurnOutcome
    message_id: str = ""
    agent_id: str | None = None
    content: str = ""
    metadata: str | None = None


Event = (
    SessionCreated
    | MessageAppended
    | SessionUpdated
    | OutputSubmitted
    | OutputEdited
    | OutputDecided
    | SessionPaused
    | SessionResumed
    | TurnBegun
    | TurnEnded
    | StandingEvent
)


class Record(NamedTuple):
    """An event with its place in the log: who, when, under which operation id and epoch.

    `hash` is the fingerprint of the change that was asked for, so that a repeated operation id is
    told from a reused one. `time_ms` is milliseconds since 1970 in UTC.
    """

    seq: int
    time_ms: int
    actor: Actor
    event: Event
    op_id: str = ""
    hash: bytes = b""
    epoch: int = 0
    instance: bytes = b""
    commit_id: bytes = b""
