"""Creating and loading sessions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog

from services.store.acquisition import decoded_head
from services.store.answers import Existing, RevisionCompacted
from services.store.entering import entered
from services.store.moments import Moment
from services.store.new_ids import new_session_id
from services.store.places import Places
from services.store.reading import read_session
from services.store.repository import Repository
from services.store.space import Space
from services.store.templates import Templates
from services.store.workflows import Workflows
from services.store.writes import Committed, Creation
from sessiond.errors import (
    IdempotencyMismatch,
    IdTaken,
    Internal,
    InvalidArgument,
    TooManySessions,
    Unavailable,
    Violations,
)
from sessiond.session.access import Identity
from sessiond.session.apply import apply
from sessiond.session.capacity import check_room
from sessiond.session.changes import CreateSession, fingerprint
from sessiond.session.checks import check_op_id
from sessiond.session.decide import create
from sessiond.session.events import Record
from sessiond.session.limits import Limits
from sessiond.session.state import Session
from sessiond.session.templates import overridden
from sessiond.store.codec import (
    HeadMeta,
    decode_record,
    encode_entry,
    encode_head,
    encode_record,
)
from sessiond.v1 import session_pb2, store_pb2
from sessiond.wire import session_to_wire

_log = structlog.get_logger(__name__)

_TRIES = 3

PAST_AT_ONCE: Final = 4
"""Reads of a session's past at the same time: each folds up to 32 MiB of records."""

PAST_WAITING: Final = 64
"""How many more of these wait; beyond it a caller is told to come back."""


class Sessions:
    """The sessions of a repository, for callers who are checked here.

    Attributes:
        templates: what they may begin with.
    """

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
        self._past = Places(PAST_AT_ONCE, waiting=PAST_WAITING)
        self.templates = Templates(repository, workflows, limits, now_ms=now_ms, space=self._space)

    async def create(
        self, identity: Identity, change: CreateSession, op_id: str | None
    ) -> session_pb2.Session:
        """Create a session of the caller's, or find the one that the same operation id made.

        Raises:
            InvalidArgument: with every bad field.
            PermissionDenied: the caller owns no sessions.
            IdTaken: the id is in use, or was deleted within a day.
            IdempotencyMismatch: the operation id made another session.
            TemplateNotFound: the user has no such template.
            TooManySessions: the user has as many as one may have.
            Unavailable: there is little space left; nothing was made.
        """
        session_id = change.id
        if session_id is None:
            session_id = new_session_id(
                identity.actor, op_id, now_ms=self._now_ms(), random_bytes=self._random_bytes
            )
        record = self._first_record(identity, change, op_id, session_id)
        if change.template is not None:
            # What this operation made stands, whatever has become of the template since.
            if op_id is not None and await self._made_before(record, session_id):
                return await self.load(identity, session_id)
            filled = await self._filled(identity, change, change.template)
            filled_record = self._first_record(identity, filled, op_id, session_id)
            # A repetition asks for the same, and so has the same hash.
            record = filled_record._replace(hash=record.hash)
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
        self,
        identity: Identity,
        session_id: str,
        *,
        tail: int | None = None,
        moment: Moment | None = None,
    ) -> store_pb2.GetSessionResponse:
        """Return the answer with a session and its newest `tail` messages, or all of them.

        At a `moment` of its past it is as it was then. Who may see it, is who may see it now.

        Raises:
            SessionNotFound: no such session, or not the caller's.
            InvalidArgument: it has no such moment.
            Unavailable: too many read the past of sessions at the same time.
        """
        if moment is None:
            return await self._read(identity, session_id, tail, None)
        async with self._past.place():
            return await self._read(identity, session_id, tail, moment)

    async def _read(
        self, identity: Identity, session_id: str, tail: int | None, moment: Moment | None
    ) -> store_pb2.GetSessionResponse:
        for _ in range(_TRIES):
            snapshot, head = await entered(self._repository, identity, session_id)
            try:
                return await read_session(
                    self._repository, session_id, snapshot, head, tail=tail, moment=moment
                )
            except RevisionCompacted:
                continue
        raise Unavailable

    async def _filled(
        self, identity: Identity, change: CreateSession, template: str
    ) -> CreateSession:
        found = await self.templates.find(identity.user_id, template)
        workflow_id = found.workflow_id if change.workflow_id is None else change.workflow_id
        workflow = self._workflows.find(workflow_id)
        return overridden(change, found, workflow, now_ms=self._now_ms(), limits=self._limits)

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
        check_room(0, len(data), record.event, self._limits)
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
        head = decoded_head(session_id, existing.head)
        if head.tombstone is not None or head.meta.building is not None:
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
