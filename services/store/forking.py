"""Forks: a new session that begins as a copy of another one's first events.

The copy is a session of its own: its records are its own, under its own log id, and nothing that
happens to either afterwards touches the other. One event more says where it comes from, and that it
is its maker's: members, links, a hold and a running turn stay behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import NamedTuple

import structlog

from services.store.acquisition import decoded_head, living, read_records, whole
from services.store.answers import Existing, RevisionCompacted
from services.store.copying import Copy, Copying, check_may_own, pieces
from services.store.entering import entered
from services.store.new_ids import new_session_id
from services.store.sessions import Sessions
from sessiond.errors import (
    IdempotencyMismatch,
    IdTaken,
    Internal,
    InvalidArgument,
    SessionFull,
    Unavailable,
    Violations,
)
from sessiond.session.access import Identity
from sessiond.session.apply import apply
from sessiond.session.capacity import check_room
from sessiond.session.changes import ForkSession, fingerprint
from sessiond.session.checks import check_op_id, check_session_id
from sessiond.session.events import Record, SessionCreated
from sessiond.session.rewinding import fill
from sessiond.session.standing import Forked, LinkMade, Rewound, lacking
from sessiond.session.state import Session
from sessiond.store.codec import Building, decode_record, encode_record
from sessiond.v1 import session_pb2
from sessiond.wire import session_to_wire

_log = structlog.get_logger(__name__)

_TRIES = 3


class Made(NamedTuple):
    """The new session without its history, and the seq of the event that says it is a fork."""

    session: session_pb2.Session
    seq: int


class Forks:
    """Makes forks; an earlier call under the same operation id is gone on with, or answered."""

    def __init__(self, copying: Copying, sessions: Sessions) -> None:
        self._copying = copying
        self._repository = copying.repository
        self._sessions = sessions

    async def fork(self, identity: Identity, change: ForkSession, op_id: str | None) -> Made:
        """Make a session of the caller's that begins as a copy.

        Raises:
            InvalidArgument: with every bad field; `at_seq` is beyond the session's revision.
            PermissionDenied: the caller owns no sessions.
            SessionNotFound: there is no such session to copy, or not for the caller.
            IdTaken: the new id is in use, or was deleted within a day.
            IdempotencyMismatch: the operation id made another session.
            TooManySessions: the user has as many as one may have.
            SessionFull: the session has no room for one event more.
            RateLimited: another fork or import of the same caller goes on here.
            Unavailable: there is little space left, or another call makes the same fork, or an
                earlier one began it of another session that had this id, which is removed.
        """
        self._check_form(change, op_id)
        actor, now_ms = identity.actor, self._copying.now_ms()
        session_id = change.id
        if session_id is None:
            session_id = new_session_id(
                actor, op_id, now_ms=now_ms, random_bytes=self._copying.random_bytes
            )
        building = Building(actor, op_id or "", fingerprint(change), now_ms)
        if op_id is not None and (made := await self._made(identity, session_id, building)):
            return made
        with self._copying.makers.place(actor):
            return await self._make(identity, change, session_id, building)

    async def _make(
        self, identity: Identity, change: ForkSession, session_id: str, building: Building
    ) -> Made:
        _, parent = await entered(self._repository, identity, change.session_id)
        check_may_own(identity)
        at = parent.seq if change.at_seq is None else change.at_seq
        if at > parent.seq:
            raise InvalidArgument.of("at_seq", f"must be 1 to {parent.seq}")
        limits = self._copying.limits
        if at >= limits.events:
            raise SessionFull(f"A session may have {limits.events} changes.")
        await self._copying.check_count(identity.user_id, session_id)
        log_id = int.from_bytes(self._copying.random_bytes(8), "big")
        building = building._replace(parent_log_id=parent.meta.log_id)
        copy = await self._copying.begin(session_id, log_id, building)
        if isinstance(copy, Existing):
            made = await self._made(identity, session_id, building)
            if made is None:
                raise IdTaken
            return made
        if copy.building.parent_log_id != parent.meta.log_id:
            # What stands is of one session, and what would follow it of another.
            await copy.drop()
            raise Unavailable("This fork was begun of another session of that id; it is gone.")
        try:
            session = await self._copy(copy, session_id, identity, change.session_id, at)
        except SessionFull:
            await copy.drop()  # nobody can go on with it
            raise
        except ValueError:
            _log.exception("session cannot be copied", session=change.session_id)
            raise Internal from None
        return Made(session_to_wire(session, ()), session.seq)

    def _check_form(self, change: ForkSession, op_id: str | None) -> None:
        found = Violations()
        check_session_id(change.session_id, "session_id", found)
        if change.id is not None:
            check_session_id(change.id, "id", found)
        if change.at_seq is not None and change.at_seq < 1:
            found.add("at_seq", "must be at least 1")
        check_op_id(op_id, "op_id", found, limits=self._copying.limits)
        found.check()

    async def _made(self, identity: Identity, session_id: str, building: Building) -> Made | None:
        """Return what an earlier call made; None where nothing stands, or is still being made.

        Raises:
            IdTaken: another session stands there.
            IdempotencyMismatch: the operation id made another one.
        """
        snapshot = await self._repository.snapshot(session_id)
        if snapshot is None:
            return None
        head = decoded_head(session_id, snapshot.head)
        if head.meta.building is not None:
            return None
        if head.tombstone is not None:
            raise IdTaken
        # A session that this caller created under the same operation id says so in its first event.
        seq = 1 if head.lineage is None else head.lineage.seq + 1
        try:
            found = await self._repository.records_at(
                session_id, (seq,), revision=snapshot.revision
            )
        except RevisionCompacted:
            raise Unavailable from None
        whole(session_id, found, 1)
        record = decode_record(found[0])
        if not building.op_id or (record.actor, record.op_id) != (building.actor, building.op_id):
            raise IdTaken
        if record.hash != building.hash:
            raise IdempotencyMismatch
        return Made(await self._sessions.load(identity, session_id, tail=0), seq)

    async def _copy(
        self, copy: Copy, session_id: str, identity: Identity, parent_id: str, at: int
    ) -> Session:
        building = copy.building
        last = None
        if copy.seq:
            # An earlier call may have come to its end, with fewer events than there are now.
            last = decode_record((await copy.read((copy.seq,)))[0])
            if isinstance(last.event, Forked) and last.hash == building.hash:
                at = copy.seq - 1
            else:
                last = None
        session: Session | None = None
        async with aclosing(read_records(self._repository, parent_id, 1, at)) as runs:
            async for run in runs:
                for piece in pieces(run):
                    session = await self._add(copy, session, piece, session_id, parent_id)
        if session is None:
            raise ValueError("there is no record")
        if last is None:
            last = Record(
                seq=session.seq + 1,
                time_ms=max(self._copying.now_ms(), session.last_active_ms),
                actor=building.actor,
                event=Forked(parent_id, session.seq, identity.user_id),
                op_id=building.op_id,
                hash=building.hash,
            )
            data = encode_record(last)
            check_room(copy.size, len(data), last.event, self._copying.limits)
            await copy.write((data,))
        session = apply(session, last)
        await copy.finish(session)
        return session

    async def _add(
        self,
        copy: Copy,
        session: Session | None,
        piece: Sequence[bytes],
        session_id: str,
        parent_id: str,
    ) -> Session:
        """Write what of the piece is not there yet, and return the session after it."""
        written = []
        for data in piece:
            record = _copied(decode_record(data), session_id)
            session = apply(session, record)
            if isinstance(record.event, Rewound) and (seqs := lacking(session)):
                session = fill(session, await self._parents(parent_id, seqs))
            if record.seq > copy.seq:
                written.append(encode_record(record))
        await copy.write(written)
        if session is None:
            raise ValueError("there is no record")
        return session

    async def _parents(self, parent_id: str, seqs: Sequence[int]) -> list[Record]:
        for _ in range(_TRIES):
            snapshot, _ = await living(self._repository, parent_id)
            try:
                found = await self._repository.records_at(
                    parent_id, seqs, revision=snapshot.revision
                )
            except RevisionCompacted:
                continue
            return list(map(decode_record, found))
        raise Unavailable


def _copied(record: Record, session_id: str) -> Record:
    """Return the record as it stands in a copy, where nobody's retry may find itself answered."""
    event = record.event
    if isinstance(event, SessionCreated):
        event = replace(event, session_id=session_id)
    elif isinstance(event, LinkMade):
        event = replace(event, secret_hash=b"")
    return Record(record.seq, record.time_ms, record.actor, event)
