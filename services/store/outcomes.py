"""Commits from the wire, and their outcomes back to it."""

from __future__ import annotations

from services.store.repository import (
    AwaitedWrite,
    Commit,
    Committed,
    DraftWrite,
    IndexWrite,
    Outcome,
    PutOff,
    Refused,
    Unknown,
    Unstorable,
)
from sessiond.session.checks import SESSION_ID
from sessiond.v1 import ownership_pb2 as pb

INSTANCE_BYTES = 16

_COMMITTED = pb.CommitOutcome.Committed()
_UNKNOWN = pb.CommitOutcome.Unknown()
_UNSTORABLE = pb.CommitOutcome.Unstorable()
_PUT_OFF = pb.CommitOutcome.PutOff()
# What keys can hold.
_LAST_SEQ = 10**10
_LAST_DRAFT = 10**10
_LAST_MS = 10**13


def commit_from_wire(instance: bytes, wire: pb.Commit) -> Commit | None:
    """Return the commit that an instance asks for; None when nothing could ever store it."""
    index = wire.index
    has_index = wire.HasField("index")
    if not (
        len(instance) == INSTANCE_BYTES
        and SESSION_ID.fullmatch(wire.session_id)
        and wire.expected_head
        and (wire.head or wire.drafts)
        and (not wire.records or 1 <= wire.first_seq < _LAST_SEQ)
        and (
            not has_index
            or (
                index.user_id
                and 0 <= index.position_ms < _LAST_MS
                and 0 <= index.previous_position_ms < _LAST_MS
            )
        )
        and all(draft.turn_id and 1 <= draft.number < _LAST_DRAFT for draft in wire.drafts)
    ):
        return None
    return Commit(
        instance=instance,
        session_id=wire.session_id,
        expected_head=wire.expected_head,
        head=wire.head,
        first_seq=wire.first_seq,
        records=tuple(wire.records),
        outputs=wire.outputs if wire.HasField("outputs") else None,
        index=IndexWrite(
            user_id=index.user_id,
            position_ms=index.position_ms,
            previous_position_ms=index.previous_position_ms,
            entry=index.entry,
        )
        if has_index
        else None,
        awaited=AwaitedWrite(wire.awaited.agent, wire.awaited.previous_agent)
        if wire.HasField("awaited")
        else None,
        drafts=tuple(DraftWrite(draft.turn_id, draft.number, draft.value) for draft in wire.drafts),
        ended_turn=wire.ended_turn,
        deferrable=wire.deferrable,
    )


def outcome_to_wire(tag: int, outcome: Outcome) -> pb.CommitOutcome:
    """Return the outcome of the commit with this tag."""
    match outcome:
        case Committed():
            return pb.CommitOutcome(tag=tag, committed=_COMMITTED)
        case Refused(head, registered):
            refused = pb.CommitOutcome.Refused(head=head, registered=registered)
            return pb.CommitOutcome(tag=tag, refused=refused)
        case Unknown():
            return pb.CommitOutcome(tag=tag, unknown=_UNKNOWN)
        case Unstorable():
            return pb.CommitOutcome(tag=tag, unstorable=_UNSTORABLE)
        case PutOff():
            return pb.CommitOutcome(tag=tag, put_off=_PUT_OFF)
