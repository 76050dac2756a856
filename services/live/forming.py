"""What a room wants of Store: one commit, one deletion, or a look at its head; who waits for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from services.live.outcome import Attempt
from services.live.request import Answer, Asked
from sessiond.errors import SessiondError
from sessiond.session.apply import apply
from sessiond.session.capacity import check_room, is_urgent
from sessiond.session.events import (
    Event,
    OutputDecided,
    OutputEdited,
    OutputSubmitted,
    Record,
    TurnEnded,
)
from sessiond.session.limits import MIB, Limits
from sessiond.session.rewinding import filled_from
from sessiond.session.standing import (
    LinkMade,
    LinkRevoked,
    MemberGranted,
    MemberRevoked,
    OwnerTransferred,
    Rewound,
)
from sessiond.session.state import Session
from sessiond.store.codec import (
    HeadMeta,
    Tombstone,
    encode_draft,
    encode_entry,
    encode_head,
    encode_members,
    encode_outputs,
    encode_record,
    encode_tombstone_head,
)
from sessiond.v1.ownership_pb2 import (
    AwaitedWrite,
    Commit,
    DeleteRequest,
    DraftWrite,
    ReadHeadRequest,
    SharedWrite,
)

COMMIT_RECORDS = 50
"""Records of one commit: 60 operations less head, outputs, two moves in lists, and a draft; less
members, and two users with whom the session is shared or no longer."""

COMMIT_BYTES = MIB
"""Bytes of one commit's records, far under etcd's 1.5 MiB for a transaction."""

_OF_OUTPUTS = (OutputSubmitted, OutputEdited, OutputDecided, Rewound)
_OF_MEMBERS = (MemberGranted, MemberRevoked, LinkMade, LinkRevoked, OwnerTransferred)

INDEX_MOVES_AFTER_MS = 250
"""An index entry moves when lastActive is this far past its place: listings rely on it."""


@dataclass(frozen=True, slots=True)
class Draft:
    """The next piece of the running turn's text: its place among the pieces, and its offset."""

    turn_id: str
    number: int
    offset: int
    text: str

    @property
    def end(self) -> int:
        """How many characters of the turn are stored with it."""
        return self.offset + len(self.text)


class Formed(NamedTuple):
    """One write that is in flight, what the room holds once it is stored, and the answers.

    Where nothing is to be written, `write` is a read of the head, which must be as expected.
    `urgent` is a commit that is not put off when space is short. `turning` are the states after
    those records that may have changed who may read, by seq.
    """

    write: Commit | DeleteRequest | ReadHeadRequest
    attempt: Attempt
    session: Session
    meta: HeadMeta
    head: bytes
    records: tuple[Record, ...]
    answers: tuple[tuple[Asked, Answer | SessiondError], ...]
    draft: Draft | None = None
    urgent: bool = False
    turning: Mapping[int, Session] = {}

    def give(self) -> None:
        """Give every answer."""
        for request, answer in self.answers:
            request.give(answer)


class Forming:
    """A commit that grows by whole changes, on top of what is stored.

    `session` is the state as it becomes; `head` are the very bytes that stand in etcd. `ended_turn`
    is the turn that ends with the records; "" for none.
    """

    def __init__(self, session: Session, meta: HeadMeta, head: bytes, commit_id: bytes) -> None:
        self.session = session
        self.commit_id = commit_id
        self.records: list[Record] = []
        self.size = 0
        self.ended_turn = ""
        self._meta = meta
        self._head = head
        self._encoded: list[bytes] = []
        self._owner = session.user_id
        self._outputs_changed = False
        self._members_changed = False
        self._urgent = False
        self._turning: dict[int, Session] = {}
        self._shared: tuple[SharedWrite, ...] = ()

    def add(self, record: Record, limits: Limits, past: Session | None = None) -> bool:
        """Take the next record; False when the commit is full, and the record is for the next one.

        `past` is the session as it was where a rewind goes back to: what is large comes from there.

        Raises:
            SessionFull: the session has no room for it.
        """
        event = record.event
        value = encode_record(record)
        size = self.size + len(value)
        if self.records and (len(self.records) == COMMIT_RECORDS or size > COMMIT_BYTES):
            return False
        shared = _shared(self.session, event)
        if shared and self._shared:
            return False  # two could be of one user, and a commit names each once
        check_room(self._meta.size, size, event, limits)
        if isinstance(event, TurnEnded):
            self.ended_turn = self.ended_turn or event.turn_id
        self.session = apply(self.session, record)
        if isinstance(event, Rewound) and past is not None:
            self.session = filled_from(self.session, past)
        self.records.append(record)
        self._encoded.append(value)
        self.size = size
        outputs, members = isinstance(event, _OF_OUTPUTS), isinstance(event, _OF_MEMBERS)
        if outputs or members:
            self._outputs_changed = self._outputs_changed or outputs
            self._members_changed = self._members_changed or members
            self._turning[record.seq] = self.session
        self._urgent = self._urgent or is_urgent(event)
        self._shared = self._shared or shared
        return True

    def commit(
        self,
        answers: Sequence[tuple[Asked, Answer | SessiondError]],
        draft: Draft | None = None,
    ) -> Formed:
        """Return the commit, with everyone who waits for it, and a piece of the running turn.

        A commit that ends the turn removes its drafts, so no piece of it may go along.
        """
        session, before = self.session, self._meta
        moved = session.last_active_ms - before.index_ms >= INDEX_MOVES_AFTER_MS
        meta = before._replace(
            commit_id=self.commit_id,
            size=before.size + self.size,
            index_ms=session.last_active_ms if moved else before.index_ms,
            awaited_agent=session.awaited_agent,
        )
        head = encode_head(session, meta)
        commit = Commit(
            session_id=session.id,
            expected_head=self._head,
            head=head,
            first_seq=self.records[0].seq,
            records=self._encoded,
        )
        index = commit.index  # filled where it stands: a message of its own would be copied
        index.user_id = session.user_id
        index.position_ms = meta.index_ms
        index.previous_position_ms = before.index_ms
        index.entry = encode_entry(session)
        if session.user_id != self._owner:
            index.previous_user_id = self._owner
        if self._outputs_changed:
            commit.outputs = encode_outputs(session)
        if self._members_changed:
            commit.members = encode_members(session)
            commit.shared.extend(self._shared)
        commit.ended_turn = self.ended_turn
        _write_draft(commit, draft)
        if meta.awaited_agent != before.awaited_agent:
            commit.awaited.CopyFrom(
                AwaitedWrite(agent=meta.awaited_agent, previous_agent=before.awaited_agent)
            )
        elif meta.awaited_agent and session.user_id != self._owner:
            # The summary that stands there names the former owner: it is put anew.
            commit.awaited.CopyFrom(AwaitedWrite(agent=meta.awaited_agent))
        return Formed(
            write=commit,
            attempt=Attempt(self._head, self.commit_id, before.epoch, unknown=False),
            session=session,
            meta=meta,
            head=head,
            records=tuple(self.records),
            answers=tuple(answers),
            draft=draft,
            urgent=self._urgent,
            turning=self._turning,
        )

    def draft_alone(self, draft: Draft) -> Formed:
        """Return a commit of nothing but a piece of the running turn: the head stays."""
        commit = Commit(session_id=self.session.id, expected_head=self._head)
        _write_draft(commit, draft)
        return self._unchanged(commit)._replace(draft=draft)

    def confirmation(self, answers: Sequence[tuple[Asked, Answer | SessiondError]]) -> Formed:
        """Return what shows that answers are true which no write is needed for."""
        look = ReadHeadRequest(session_id=self.session.id)
        return self._unchanged(look)._replace(answers=tuple(answers))

    def _unchanged(self, write: Commit | ReadHeadRequest) -> Formed:
        return Formed(
            write=write,
            attempt=Attempt(self._head, self.commit_id, self._meta.epoch, unknown=False),
            session=self.session,
            meta=self._meta,
            head=self._head,
            records=(),
            answers=(),
        )

    def deletion(self, request: Asked, time_ms: int) -> Formed:
        """Return the deletion of the session, which goes alone."""
        session, meta, actor = self.session, self._meta, request.identity.actor
        tombstone = Tombstone(actor, request.op_id, request.hash, time_ms)
        head = encode_tombstone_head(meta.log_id, tombstone)
        return Formed(
            write=DeleteRequest(
                instance=meta.owner,
                session_id=session.id,
                expected_head=self._head,
                head=head,
                user_id=session.user_id,
                position_ms=meta.index_ms,
                awaited_agent=meta.awaited_agent,
                shared_with=session.members,
            ),
            attempt=Attempt(
                self._head,
                self.commit_id,
                meta.epoch,
                unknown=False,
                actor=actor,
                op_id=request.op_id,
            ),
            session=session,
            meta=meta,
            head=head,
            records=(),
            answers=((request, Answer(session.seq)),),
        )


def _shared(session: Session, event: Event) -> tuple[SharedWrite, ...]:
    """Return with whom the session is shared, or no longer, by an event that comes next."""
    match event:
        case MemberGranted(user_id):
            return (SharedWrite(user_id=user_id, shared=True),)
        case MemberRevoked(user_id):
            return (SharedWrite(user_id=user_id, shared=False),)
        case OwnerTransferred(user_id):
            return (
                SharedWrite(user_id=user_id, shared=False),
                SharedWrite(user_id=session.user_id, shared=True),
            )
        case _:
            return ()


def _write_draft(commit: Commit, draft: Draft | None) -> None:
    if draft is not None:
        value = encode_draft(draft.offset, draft.text)
        commit.drafts.append(DraftWrite(turn_id=draft.turn_id, number=draft.number, value=value))
