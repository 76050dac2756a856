"""Events about a session as a whole: whose it is, who else may enter, what it goes back to.

What each does to the session stands beside it, in `stand`; `apply` asks that for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar, assert_never

from sessiond.session.access import MemberRole
from sessiond.session.conversation import Conversation, Run
from sessiond.session.state import (
    LastWord,
    Lineage,
    Link,
    Member,
    Output,
    OutputBody,
    OutputRow,
    OutputStatus,
    Session,
    Status,
)

Value = TypeVar("Value")

LAST_EXPIRY_MS = 253_402_300_799_999
"""The latest end of a link, in milliseconds since 1970: the last that RFC 3339 can spell."""


@dataclass(frozen=True, slots=True)
class MemberGranted:
    """A user became a member, or a member got another role; "" where no link was followed."""

    user_id: str
    role: MemberRole
    link_id: str = ""


@dataclass(frozen=True, slots=True)
class MemberRevoked:
    """A member is one no longer."""

    user_id: str


@dataclass(frozen=True, slots=True)
class LinkMade:
    """A link was made; `expires_ms` 0 is never.

    `secret_hash` is the SHA-256 of its secret. It is stored and goes nowhere else, so it is empty
    for clients and in imported sessions.
    """

    link_id: str
    role: MemberRole
    expires_ms: int = 0
    secret_hash: bytes = b""


@dataclass(frozen=True, slots=True)
class LinkRevoked:
    """A link is good no longer. Who joined by it stays a member."""

    link_id: str


@dataclass(frozen=True, slots=True)
class OwnerTransferred:
    """A member became the owner, and the former owner an editor."""

    user_id: str
    former_user_id: str


@dataclass(frozen=True, slots=True)
class Rewound:
    """The session went back to how it was after `to_seq`.

    What is small is given as it became; contents stand in the records that the seqs name.
    """

    to_seq: int
    status: Status
    current_step: int
    title: str
    title_given: bool
    metadata: Mapping[str, str]
    inputs_seq: int
    outputs: tuple[OutputRow, ...]
    message_count: int
    last_message_seq: int
    last_word: LastWord
    runs: tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class Forked:
    """The session began as a copy of the first `seq` events of another one."""

    session_id: str
    seq: int
    user_id: str


@dataclass(frozen=True, slots=True)
class HoldSet:
    """A legal hold began or ended."""

    held: bool
    reason: str = ""


StandingEvent = (
    MemberGranted
    | MemberRevoked
    | LinkMade
    | LinkRevoked
    | OwnerTransferred
    | Rewound
    | Forked
    | HoldSet
)


def stand(session: Session, event: StandingEvent, *, seq: int, time_ms: int) -> Session:
    """Return the session after the event of this seq and time, which are set in it already."""
    match event:
        case MemberGranted(user_id, role, link_id):
            former = session.members.get(user_id)
            granted_ms = time_ms if former is None else former.granted_ms
            member = Member(role, granted_ms, link_id)
            return session._replace(members={**session.members, user_id: member})
        case MemberRevoked(user_id):
            return session._replace(members=_without(session.members, user_id))
        case LinkMade(link_id, role, expires_ms, secret_hash):
            # What has expired makes room, or the table would grow without a bound.
            links = {key: each for key, each in session.links.items() if each.is_good_at(time_ms)}
            links[link_id] = Link(role, time_ms, expires_ms, secret_hash)
            return session._replace(links=links)
        case LinkRevoked(link_id):
            return session._replace(links=_without(session.links, link_id))
        case OwnerTransferred(user_id):
            members = _without(session.members, user_id)
            members[session.user_id] = Member(MemberRole.EDITOR, time_ms)
            return session._replace(user_id=user_id, members=members)
        case Rewound():
            return _rewound(session, event, seq)
        case Forked(session_id, copied, user_id):
            return session._replace(
                user_id=user_id,
                created_ms=time_ms,
                lineage=Lineage(session_id, copied),
                members={},
                links={},
                held=False,
                turn=None,
            )
        case HoldSet(held):
            return session._replace(held=held)
        case _:  # pragma: no cover
            assert_never(event)


def lacking(session: Session) -> list[int]:
    """Return the seqs of the records that hold what the state lacks since a rewind, in order.

    They are never named to those whose snapshots told no seqs: these get a new snapshot.
    """
    seqs = {session.inputs_seq} if not session.user_inputs else set[int]()
    if session.last_message_seq and not session.last_message:
        seqs.add(session.last_message_seq)
    for output in session.outputs.values():
        if not output.body.agent_id:
            seqs |= {output.body_seq, output.decision_seq}
    return sorted(seqs - {0})


def _without(values: Mapping[str, Value], key: str) -> dict[str, Value]:
    return {name: value for name, value in values.items() if name != key}


def _rewound(session: Session, event: Rewound, seq: int) -> Session:
    same_inputs = event.inputs_seq == session.inputs_seq
    same_message = event.last_message_seq == session.last_message_seq
    step_id = session.workflow.step_id_at(event.current_step)
    return session._replace(
        status=event.status,
        current_step=event.current_step,
        title=event.title,
        title_given=event.title_given,
        metadata=event.metadata,
        user_inputs=session.user_inputs if same_inputs else "",
        inputs_seq=event.inputs_seq,
        outputs={row.id: _output(session, row, step_id) for row in event.outputs},
        message_count=event.message_count,
        last_message_seq=event.last_message_seq,
        last_message=session.last_message if same_message else "",
        last_word=event.last_word,
        turn=None,
        conversation=Conversation(seq, event.runs),
    )


def _output(session: Session, row: OutputRow, step_id: str) -> Output:
    """Return the output as the row says; its body is empty where the session has another one.

    Only its step is told, which is the current one while it waits: its approval moves the workflow.
    """
    held = session.outputs.get(row.id)
    if held is not None and held.body.agent_id and held.body_seq == row.body_seq:
        if held.decision_seq == row.decision_seq:
            return held
        if not row.decision_seq:
            return Output(held.body, row.body_seq)
    pending = row.status is OutputStatus.PENDING
    body = OutputBody(
        row.id, agent_id="", step_id=step_id if pending else "", content="", generated_ms=0
    )
    return Output(body, row.body_seq, row.status, row.decision_seq)
