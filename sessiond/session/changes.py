"""What a caller asks for: one value per kind of change, and its fingerprint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from sessiond.session.access import MemberRole
from sessiond.session.state import Decision, MessageType, Sender, TurnOutcome


@dataclass(frozen=True, slots=True)
class CreateSession:
    """Asks for a new session; None leaves the choice to the template, or else to the rules."""

    workflow_id: str | None = None
    user_inputs: str | None = None
    title: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    id: str | None = None
    template: str | None = None


@dataclass(frozen=True, slots=True)
class ForkSession:
    """Asks for a new session that begins as a copy of another one's first `at_seq` events.

    None copies all of them, and leaves the new id to the server.
    """

    session_id: str
    at_seq: int | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class ImportSession:
    """Asks to store the exported session of this id, whose last event has this seq."""

    session_id: str
    last_seq: int


class AppendMessage(NamedTuple):
    """Asks to append a message."""

    content: str
    sender: Sender | None = None
    type: MessageType | None = None
    agent_id: str | None = None
    metadata: str | None = None


@dataclass(frozen=True, slots=True)
class UpdateSession:
    """Asks to change title, metadata or inputs.

    `title` "" clears it, so that the next user message gives one. `metadata` holds keys to set, and
    with None keys to remove. `user_inputs` is a JSON Merge Patch (RFC 7396) as text. What is to be
    cleared is cleared first.
    """

    title: str | None = None
    metadata: Mapping[str, str | None] = field(default_factory=dict)
    user_inputs: str | None = None
    clear_metadata: bool = False
    clear_user_inputs: bool = False


@dataclass(frozen=True, slots=True)
class ApproveOutput:
    """Asks to decide an output; without an id, the pending one of the current step."""

    output_id: str | None = None
    feedback: str | None = None
    decision: Decision = Decision.APPROVED


@dataclass(frozen=True, slots=True)
class SubmitOutput:
    """Asks to submit an output for the current step."""

    content: str
    output_id: str | None = None
    agent_id: str | None = None
    quality_score: float | None = None
    metadata: str | None = None


@dataclass(frozen=True, slots=True)
class EditOutput:
    """Asks to edit a pending output; None stays."""

    output_id: str
    content: str | None = None
    metadata: str | None = None


@dataclass(frozen=True, slots=True)
class PauseSession:
    """Asks to pause."""


@dataclass(frozen=True, slots=True)
class ResumeSession:
    """Asks to resume."""


@dataclass(frozen=True, slots=True)
class BeginTurn:
    """Asks to begin a turn; without an agent, as the current one."""

    agent_id: str | None = None


@dataclass(frozen=True, slots=True)
class EndTurn:
    """Asks to end a turn: its text becomes the agent's message.

    `length` is how many Unicode code points the whole text has, and `failed` whether the agent gave
    up.
    """

    turn_id: str
    length: int
    failed: bool = False
    metadata: str | None = None


@dataclass(frozen=True, slots=True)
class CancelTurn:
    """Asks that a turn end now, with the text that there is."""

    turn_id: str


@dataclass(frozen=True, slots=True)
class AbandonTurn:
    """Ends a turn by the server itself: its worker stayed away, or its text became too long."""

    turn_id: str
    outcome: TurnOutcome


@dataclass(frozen=True, slots=True)
class RewindSession:
    """Asks to go back to how the session was after the event `to_seq`."""

    to_seq: int


@dataclass(frozen=True, slots=True)
class SetHold:
    """Asks to begin or end a legal hold."""

    held: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DeleteSession:
    """Asks to delete the session and all that belongs to it."""


@dataclass(frozen=True, slots=True)
class ShareSession:
    """Asks to make a user a member, or to give a member another role."""

    user_id: str
    role: MemberRole


@dataclass(frozen=True, slots=True)
class UnshareSession:
    """Asks that a user be a member no longer."""

    user_id: str


@dataclass(frozen=True, slots=True)
class MakeLink:
    """Asks for a link by which others join; `expires_ms` None is never.

    Its secret is no part of the change: whoever repeats it need not know what the server made.
    """

    role: MemberRole
    expires_ms: int | None = None


@dataclass(frozen=True, slots=True)
class RevokeLink:
    """Asks that a link be good no longer."""

    link_id: str


@dataclass(frozen=True, slots=True)
class JoinSession:
    """Asks to become a member by a link; `secret_hash` is the SHA-256 of its secret, in hex."""

    secret_hash: str


@dataclass(frozen=True, slots=True)
class TransferSession:
    """Asks to make a member the owner."""

    user_id: str


Change = (
    AppendMessage
    | UpdateSession
    | ApproveOutput
    | SubmitOutput
    | EditOutput
    | PauseSession
    | ResumeSession
    | BeginTurn
    | EndTurn
    | CancelTurn
    | AbandonTurn
    | RewindSession
    | SetHold
    | DeleteSession
    | ShareSession
    | UnshareSession
    | MakeLink
    | RevokeLink
    | JoinSession
    | TransferSession
)


_CANONICAL = json.JSONEncoder(sort_keys=True, ensure_ascii=True, separators=(",", ":"))


def fingerprint(change: CreateSession | ForkSession | ImportSession | Change) -> bytes:
    """Return 16 bytes that are equal for equal changes and, for all practice, only for them.

    They are stored, and a retry may come after an upgrade: so what is None is left out, and a
    field added later with that default leaves the fingerprints of today as they are.
    """
    # The object's text is put together here, because the encoder is quick for texts alone.
    given = [
        f'"{name}":{_CANONICAL.encode(value)}'
        for name in _in_order(change.__match_args__)
        if (value := getattr(change, name)) is not None
    ]
    canonical = f'["{type(change).__name__}",{{{",".join(given)}}}]'
    return hashlib.blake2b(canonical.encode("ascii"), digest_size=16).digest()


@cache
def _in_order(names: tuple[str, ...]) -> list[str]:
    return sorted(names)
