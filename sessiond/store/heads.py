"""Heads as they are stored: the small mutable record that every write of a session compares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from google.protobuf.message import DecodeError

from sessiond.numbers import STATUS_NUMBER, STATUS_WORD
from sessiond.session.access import Actor
from sessiond.session.conversation import WHOLE, Conversation
from sessiond.session.state import LastWord, Lineage, Session, Status, Turn
from sessiond.store.records import actor_from_stored, actor_to_stored
from sessiond.store.standing import LAST_WORD, LAST_WORD_NUMBER, runs_of, set_runs
from sessiond.store.v1 import records_pb2 as pb

FORMAT = 1


class Building(NamedTuple):
    """Who makes a copy, under which operation id and hash, and when a piece was last written.

    Attributes:
        user_id: under whom it is listed until it is finished; "" for who makes it.
        parent_log_id: of a fork, the log id of the session that is copied.
    """

    actor: Actor
    op_id: str
    hash: bytes
    touched_ms: int
    user_id: str = ""
    parent_log_id: int = 0

    @property
    def lister_id(self) -> str:
        """Under whom it is listed until it is finished."""
        return self.user_id or self.actor.user_id


class HeadMeta(NamedTuple):
    """What a head says about the log and its keepers, beside the session's state.

    Attributes:
        log_id: 64 random bits made with the session.
        epoch: the ownership term.
        owner: the owning instance; b"" for none.
        commit_id: the commit that wrote the head.
        size: the bytes of all records.
        index_ms: the t of the key of the index entry.
        awaited_agent: the agent that the session stands under as awaiting; "" for none.
        copied_seq: the seq of the last record that a copy brought; 0 where it began here.
        building: set while a copy is being written: for all others there is no such session.
    """

    log_id: int
    epoch: int = 0
    owner: bytes = b""
    commit_id: bytes = b""
    size: int = 0
    index_ms: int = 0
    awaited_agent: str = ""
    copied_seq: int = 0
    building: Building | None = None


@dataclass(frozen=True, slots=True)
class Tombstone:
    """Who deleted a session, when, and under which operation id and hash of the change."""

    actor: Actor
    op_id: str
    hash: bytes
    time_ms: int


@dataclass(frozen=True, slots=True)
class StoredHead:
    """A head that was read. With a tombstone, only `meta.log_id` says something beside it."""

    meta: HeadMeta
    seq: int
    user_id: str
    status: Status
    current_step: int
    current_agent: str
    title: str
    title_given: bool
    metadata: Mapping[str, str]
    created_ms: int
    last_active_ms: int
    message_count: int
    last_message_seq: int
    inputs_seq: int
    last_word: LastWord
    turn: Turn | None = None
    workflow_id: str = ""
    held: bool = False
    lineage: Lineage | None = None
    conversation: Conversation = WHOLE
    member_count: int = 0
    tombstone: Tombstone | None = None


def encode_head(session: Session, meta: HeadMeta) -> bytes:
    """Return the bytes of a living session's head."""
    # Every commit writes a head: to set its fields one by one takes half of what keywords take.
    stored = pb.Head()
    stored.format = FORMAT
    stored.log_id = meta.log_id
    stored.epoch = meta.epoch
    stored.owner = meta.owner
    stored.seq = session.seq
    stored.commit_id = meta.commit_id
    stored.user_id = session.user_id
    stored.status = STATUS_NUMBER[session.status]
    stored.current_step = session.current_step
    stored.current_agent = session.current_agent
    stored.title = session.title
    stored.title_given = session.title_given
    for key, value in session.metadata.items():
        stored.metadata[key] = value
    stored.created_ms = session.created_ms
    stored.last_active_ms = session.last_active_ms
    stored.message_count = session.message_count
    stored.last_message_seq = session.last_message_seq
    stored.inputs_seq = session.inputs_seq
    stored.size = meta.size
    stored.index_ms = meta.index_ms
    stored.awaited_agent = meta.awaited_agent
    stored.last_word = LAST_WORD_NUMBER[session.last_word]
    if session.turn is not None:
        _turn_to_stored(session.turn, stored.turn)
    stored.workflow_id = session.workflow.id
    stored.held = session.held
    if session.lineage is not None:
        stored.lineage.session_id = session.lineage.session_id
        stored.lineage.seq = session.lineage.seq
    stored.rewound_seq = session.conversation.rewound_seq
    set_runs(stored.runs, session.conversation.runs)
    stored.member_count = len(session.members)
    stored.copied_seq = meta.copied_seq
    if meta.building is not None:
        _building_to_stored(meta.building, stored.building)
    return stored.SerializeToString()


def encode_building_head(log_id: int, building: Building, *, seq: int = 0, size: int = 0) -> bytes:
    """Return the bytes of the head of a copy of which `seq` records, of `size` bytes, are there."""
    stored = pb.Head(
        format=FORMAT, log_id=log_id, status=STATUS_NUMBER[Status.ACTIVE], seq=seq, size=size
    )
    _building_to_stored(building, stored.building)
    return stored.SerializeToString()


def encode_tombstone_head(log_id: int, tombstone: Tombstone) -> bytes:
    """Return the bytes of a deleted session's head."""
    stored = pb.Head(format=FORMAT, log_id=log_id)
    actor_to_stored(tombstone.actor, stored.tombstone.actor)
    stored.tombstone.op_id = tombstone.op_id
    stored.tombstone.hash = tombstone.hash
    stored.tombstone.time_ms = tombstone.time_ms
    return stored.SerializeToString()


def decode_head(data: bytes) -> StoredHead:
    """Return the head of these bytes.

    Raises:
        ValueError: they are no head, or one of a later format.
    """
    try:
        stored = _parsed(data)
        tombstone = None
        if stored.HasField("tombstone"):
            tombstone = Tombstone(
                actor=actor_from_stored(stored.tombstone.actor),
                op_id=stored.tombstone.op_id,
                hash=stored.tombstone.hash,
                time_ms=stored.tombstone.time_ms,
            )
        return StoredHead(
            meta=HeadMeta(
                log_id=stored.log_id,
                epoch=stored.epoch,
                owner=stored.owner,
                commit_id=stored.commit_id,
                size=stored.size,
                index_ms=stored.index_ms,
                awaited_agent=stored.awaited_agent,
                copied_seq=stored.copied_seq,
                building=_building(stored.building) if stored.HasField("building") else None,
            ),
            seq=stored.seq,
            user_id=stored.user_id,
            status=Status.ACTIVE if tombstone else STATUS_WORD[stored.status],
            current_step=stored.current_step,
            current_agent=stored.current_agent,
            title=stored.title,
            title_given=stored.title_given,
            metadata=dict(stored.metadata),
            created_ms=stored.created_ms,
            last_active_ms=stored.last_active_ms,
            message_count=stored.message_count,
            last_message_seq=stored.last_message_seq,
            inputs_seq=stored.inputs_seq,
            last_word=LAST_WORD[stored.last_word],
            turn=_turn(stored.turn) if stored.HasField("turn") else None,
            workflow_id=stored.workflow_id,
            held=stored.held,
            lineage=Lineage(stored.lineage.session_id, stored.lineage.seq)
            if stored.HasField("lineage")
            else None,
            conversation=Conversation(stored.rewound_seq, runs_of(stored.runs)),
            member_count=stored.member_count,
            tombstone=tombstone,
        )
    except KeyError as error:
        raise ValueError("the head holds a number that this version does not know") from error


def take_over(head: bytes, *, owner: bytes, epoch: int, commit_id: bytes) -> bytes:
    """Return the head under another owner; all else stays, fields of later versions too.

    Raises:
        ValueError: the bytes are no head of a living session.
    """
    stored = _parsed(head)
    if stored.HasField("tombstone"):
        raise ValueError("nobody takes over a deleted session")
    stored.owner = owner
    stored.epoch = epoch
    stored.commit_id = commit_id
    return stored.SerializeToString()


def _turn_to_stored(turn: Turn, stored: pb.RunningTurn) -> None:
    stored.turn_id = turn.id
    actor_to_stored(turn.actor, stored.actor)
    stored.op_id = turn.op_id
    if turn.agent_id is not None:
        stored.agent_id = turn.agent_id
    stored.seq = turn.seq


def _turn(stored: pb.RunningTurn) -> Turn:
    return Turn(
        id=stored.turn_id,
        actor=actor_from_stored(stored.actor),
        op_id=stored.op_id,
        agent_id=stored.agent_id if stored.HasField("agent_id") else None,
        seq=stored.seq,
    )


def _building_to_stored(building: Building, stored: pb.Building) -> None:
    actor_to_stored(building.actor, stored.actor)
    stored.op_id = building.op_id
    stored.hash = building.hash
    stored.touched_ms = building.touched_ms
    stored.user_id = building.user_id
    stored.parent_log_id = building.parent_log_id


def _building(stored: pb.Building) -> Building:
    actor = actor_from_stored(stored.actor)
    return Building(
        actor,
        stored.op_id,
        stored.hash,
        stored.touched_ms,
        stored.user_id,
        stored.parent_log_id,
    )


def _parsed(data: bytes) -> pb.Head:
    try:
        stored = pb.Head.FromString(data)
    except DecodeError as error:
        raise ValueError("these bytes are no head") from error
    if stored.format != FORMAT:
        raise ValueError(f"the head is of format {stored.format}, not {FORMAT}")
    return stored
