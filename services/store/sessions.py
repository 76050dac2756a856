"""Creating and loading sessions."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import aclosing

import structlog

from services.store.acquisition import decoded_head
from services.store.entering import entered
from services.store.repository import (
    Committed,
    Creation,
    Existing,
    Repository,
    RevisionCompacted,
    Snapshot,
)
from services.store.space import Space
from services.store.transcript import Transcript, add_message
from services.store.workflows import Workflows
from sessiond.errors import (
    IdempotencyMismatch,
    IdTaken,
    Internal,
    InvalidArgument,
    TooManySessions,
    Unavailable,
    Violations,
)
from sessiond.session.access import Actor, Identity
from sessiond.session.apply import apply
from sessiond.session.changes import CreateSession, fingerprint
from sessiond.session.checks import check_op_id
from sessiond.session.decide import check_room, create
from sessiond.session.events import Record
from sessiond.session.identifiers import uuid7, uuid8
from sessiond.session.limits import Limits
from sessiond.session.state import Session
from sessiond.store.codec import (
    HeadMeta,
    StoredHead,
    decode_outputs,
    decode_record,
    encode_entry,
    encode_head,
    encode_record,
    load,
    needed_seqs,
)
from sessiond.v1 import session_pb2, store_pb2
from sessiond.wire import session_to_wire

_log = structlog.get_logger(__name__)

_TRIES = 3


class Sessions:
    """The sessions of a repository, for callers who are checked here."""

    def __init__(
        self,
        repository: Repository,
        workflows: Workflows,
        limits: Limits,
        *,
        now_ms: Callable[[], int],
        random_bytes: Callable[[int], bytes],
        space: Space | None = None,
    ) -> None:
        """Take collaborators; without a `space` there is room for every new session."""
        self._repository = repository
        self._workflows = workflows
        self._limits = limits
        self._now_ms = now_ms
        self._random_bytes = random_bytes
        self._space = space or Space()

    async def create(
        self, identity: Identity, change: CreateSession, op_id: str | None
    ) -> session_pb2.Session:
        """Create a session of the caller's, or find the one that the same operation id made.

        Raises:
            InvalidArgument: with every bad field.
            PermissionDenied: the caller owns no sessions.
            IdTaken: the id is in use, or was deleted within a day.
            IdempotencyMismatch: the operation id made another session.
            TooManySessions: the user has as many as one may have.
            Unavailable: there is little space left; nothing was made.
        """
        session_id = self._id_of(identity.actor, change, op_id)
        record = self._first_record(identity, change, op_id, session_id)
        count = await self._repository.count(identity.user_id)
        full = count >= self._limits.sessions_per_user
        if full or self._space.is_short:
            # It may have been made while there was room; otherwise nothing is said about ids.
            if op_id is None or not await self._made_before(record, session_id):
                raise TooManySessions if full else self._space.refusal()
            return await self.load(identity, session_id)
        session = apply(None, record)
        outcome = await self._repository.create(self._creation(session, record))
        match outcome:
            case Committed():
                return session_to_wire(session, ())
            case Existing():
                self._check_same(session_id, outcome, record)
                return await self.load(identity, session_id)

    async def load(
        self, identity: Identity, session_id: str, *, tail: int | None = None
    ) -> session_pb2.Session:
        """Return a session as `get` answers it; it may raise as that does."""
        return (await self.get(identity, session_id, tail=tail)).session

    async def get(
        self, identity: Identity, session_id: str, *, tail: int | None = None
    ) -> store_pb2.GetSessionResponse:
        """Return the answer with a session and its newest `tail` messages, or all of them.

        Raises:
            SessionNotFound: no such session, or not the caller's.
        """
        for _ in range(_TRIES):
            snapshot, head = await entered(self._repository, identity, session_id)
            try:
                return await self._read(session_id, snapshot, head, tail)
            except RevisionCompacted:
                continue
        raise Unavailable

    def _id_of(self, actor: Actor, change: CreateSession, op_id: str | None) -> str:
        if change.id is not None:
            return change.id
        if op_id is None:
            return uuid7(self._now_ms(), self._random_bytes(10))
        # The same caller and operation id find the same session, through whichever replica.
        scope = "\0".join((actor.subject, actor.role, actor.acting_for, op_id))
        return uuid8(hashlib.sha256(scope.encode("utf-8", "surrogatepass")).digest())

    def _first_record(
        self, identity: Identity, change: CreateSession, op_id: str | None, session_id: str
    ) -> Record:
        found = Violations()
        check_op_id(op_id, "op_id", found, limits=self._limits)
        try:
            event = create(
                change,
                workflow=self._workflows.find(change.workflow_id),
                session_id=session_id,
                identity=identity,
                limits=self._limits,
            )
        except InvalidArgument as error:
            found.found.extend(error.violations)
            raise InvalidArgument(found.found) from None
        found.check()
        return Record(
            seq=1,
            time_ms=self._now_ms(),
            actor=identity.actor,
            event=event,
            op_id=op_id or "",
            hash=fingerprint(change),
            commit_id=self._random_bytes(16),
        )

    def _creation(self, session: Session, record: Record) -> Creation:
        data = encode_record(record)
        check_room(0, len(data), self._limits)
        meta = HeadMeta(
            log_id=int.from_bytes(self._random_bytes(8), "big"),
            commit_id=record.commit_id,
            size=len(data),
            index_ms=session.last_active_ms,
            awaited_agent=session.awaited_agent,
        )
        return Creation(
            session_id=session.id,
            user_id=session.user_id,
            head=encode_head(session, meta),
            record=data,
            entry=encode_entry(session),
            position_ms=meta.index_ms,
            awaited_agent=meta.awaited_agent,
        )

    async def _made_before(self, record: Record, session_id: str) -> bool:
        snapshot = await self._repository.snapshot(session_id)
        if snapshot is None:
            return False
        try:
            first = await self._repository.records_at(session_id, (1,), revision=snapshot.revision)
        except RevisionCompacted:
            raise Unavailable from None
        existing = Existing(snapshot.head, first[0] if first else b"")
        self._check_same(session_id, existing, record)
        return True

    def _check_same(self, session_id: str, existing: Existing, record: Record) -> None:
        """Return if what stands there was made by the same operation."""
        if decoded_head(session_id, existing.head).tombstone is not None:
            raise IdTaken
        try:
            first = decode_record(existing.record)
        except ValueError:
            _log.exception("first record cannot be read", session=session_id)
            raise Internal from None
        if not record.op_id or (first.actor, first.op_id) != (record.actor, record.op_id):
            raise IdTaken
        if first.hash != record.hash:
            raise IdempotencyMismatch

    async def _read(
        self, session_id: str, snapshot: Snapshot, head: StoredHead, tail: int | None
    ) -> store_pb2.GetSessionResponse:
        wanted = head.message_count if tail is None else min(tail, head.message_count)
        # Filled where it travels: a session made beside its answer would be copied into it whole.
        response = store_pb2.GetSessionResponse()
        session = response.session
        state, _ = await asyncio.gather(
            self._state(session_id, snapshot, head),
            self._add_newest(session, session_id, snapshot, head, wanted),
        )
        session.MergeFrom(session_to_wire(state, ()))
        return response

    async def _state(self, session_id: str, snapshot: Snapshot, head: StoredHead) -> Session:
        try:
            outputs = decode_outputs(snapshot.outputs)
            needed = await self._repository.records_at(
                session_id, needed_seqs(head, outputs), revision=snapshot.revision
            )
            return load(head, outputs, map(decode_record, needed), snapshot.members)
        except ValueError:
            _log.exception("session cannot be loaded", session=session_id)
            raise Internal from None

    async def _add_newest(
        self,
        session: session_pb2.Session,
        session_id: str,
        snapshot: Snapshot,
        head: StoredHead,
        wanted: int,
    ) -> None:
        """Add the `wanted` newest messages, oldest first."""
        messages = session.conversation_history
        last = head.last_message_seq if wanted else 0
        transcript = Transcript(self._repository, session_id, snapshot, head)
        async with aclosing(transcript.backward(1, last, messages=wanted)) as runs:
            async for run in runs:
                for record in run:
                    add_message(messages, record, session_id)
                if len(messages) >= wanted:
                    break
        if len(messages) < wanted:
            _log.error("messages are missing", session=session_id, found=len(messages))
            raise Internal
        del messages[wanted:]
        messages.reverse()
