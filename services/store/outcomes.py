"""Commits from the wire, and their outcomes back to it."""

from __future__ import annotations

from collections.abc import Iterable

from services.store.writes import (
    AwaitedWrite,
    Commit,
    Committed,
    DraftWrite,
    IndexWrite,
    Outcome,
    PutOff,
    Refused,
    SharedWrite,
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
    drafts = wire.drafts
    # By place: by name it takes three times as long.
    commit = Commit(
        instance,
        wire.session_id,
        wire.expected_head,
        wire.head,
        wire.first_seq,
        wire.records[:],
        wire.outputs if wire.HasField("outputs") else None,
        _index_from_wire(wire.index) if wire.HasField("index") else None,
        _awaited_from_wire(wire.awaited) if wire.HasField("awaited") else None,
        b"",  # only a hand-over has a successor
        tuple(map(_draft_from_wire, drafts)) if drafts else (),
        wire.ended_turn,
        wire.deferrable,
        wire.members if wire.HasField("members") else None,
        tuple(map(_shared_from_wire, wire.shared)) if wire.shared else (),
    )
    return commit if _fits(commit) else None


def _index_from_wire(wire: pb.IndexWrite) -> IndexWrite:
    return IndexWrite(
        wire.user_id,
        wire.position_ms,
        wire.previous_position_ms,
        wire.entry,
        wire.previous_user_id,
    )


def _awaited_from_wire(wire: pb.AwaitedWrite) -> AwaitedWrite:
    return AwaitedWrite(wire.agent, wire.previous_agent)


def _shared_from_wire(wire: pb.SharedWrite) -> SharedWrite:
    return SharedWrite(wire.user_id, wire.shared)


def _draft_from_wire(wire: pb.DraftWrite) -> DraftWrite:
    return DraftWrite(wire.turn_id, wire.number, wire.value)


def _fits(commit: Commit) -> bool:
    """Return whether keys can hold what the commit names."""
    index = commit.index
    return bool(
        len(commit.instance) == INSTANCE_BYTES
        and SESSION_ID.fullmatch(commit.session_id)
        and commit.expected_head
        and (commit.head or commit.drafts)
        and (not commit.records or 1 <= commit.first_seq < _LAST_SEQ)
        and (
            index is None
            or (
                index.user_id
                and 0 <= index.position_ms < _LAST_MS
                and 0 <= index.previous_position_ms < _LAST_MS
            )
        )
        and (not commit.shared or all(each.user_id for each in commit.shared))
        and (
            not commit.drafts
            or all(draft.turn_id and 1 <= draft.number < _LAST_DRAFT for draft in commit.drafts)
        )
    )


def response_of(outcomes: Iterable[tuple[int, Outcome]]) -> pb.CommitResponse:
    """Return the outcomes of commits with these tags."""
    response = pb.CommitResponse()
    add = response.outcomes.add
    for tag, outcome in outcomes:
        if isinstance(outcome, Committed):  # made where it travels: nearly all are
            add(tag=tag).committed.SetInParent()
        else:
            add().CopyFrom(outcome_to_wire(tag, outcome))
    return response


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
