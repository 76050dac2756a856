"""Imports: a session that was exported elsewhere, stored as it was.

Nothing is believed: every event is verified before it is stored, and nothing is to be seen before
the last one came. What is there already is compared, so an import may be repeated, and one that
broke goes on where it ended.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Final

import structlog

from services.store.acquisition import decoded_head, read_records
from services.store.answers import Existing, RevisionCompacted
from services.store.copying import PIECE_RECORDS, Copy, Copying, check_may_own
from services.store.entering import entered
from sessiond.errors import (
    FieldViolation,
    IdTaken,
    Internal,
    InvalidArgument,
    PermissionDenied,
    SessionFull,
    SessionNotFound,
    TooManySessions,
    TooManyShared,
    Unavailable,
    Violations,
)
from sessiond.event_wire import event_from_wire, event_to_wire
from sessiond.session.access import Identity, Role
from sessiond.session.apply import apply
from sessiond.session.capacity import check_count, check_room
from sessiond.session.changes import ImportSession, fingerprint
from sessiond.session.checks import check_session_id, check_user_id
from sessiond.session.events import Record
from sessiond.session.rewinding import fill
from sessiond.session.standing import LinkMade, Rewound, lacking
from sessiond.session.state import Session
from sessiond.session.verifying import Verifier
from sessiond.store.codec import (
    Building,
    decode_entry,
    decode_outputs,
    decode_record,
    encode_entry,
    encode_record,
    load,
    needed_seqs,
)
from sessiond.v1 import store_pb2 as pb
from sessiond.wire import summary_to_wire

_log = structlog.get_logger(__name__)

Events = AsyncIterator[pb.HistoryEvent]

_TRIES: Final = 3
_FLUSHED_BYTES: Final = 512 * 1024
_SKEW_MS: Final = 5 * 60 * 1000
"""How far another installation's clock may be ahead of ours."""


class Imports:
    """Stores exported sessions."""

    def __init__(self, copying: Copying) -> None:
        self._copying = copying
        self._repository = copying.repository

    async def store(
        self, identity: Identity, change: ImportSession, events: Events
    ) -> pb.ImportSessionResponse:
        """Store a session from its events, or find that it is there with these as its first ones.

        Raises:
            InvalidArgument: an event cannot be one, or there are not as many as was said.
            PermissionDenied: it is not the caller's session, and they are no administrator.
            IdTaken: another session stands there, or was deleted within a day.
            TooManySessions: its owner has as many as one may have.
            TooManyShared: as many are shared with one of its members as may be.
            SessionFull: it is larger than a session may be.
            RateLimited: another import or fork of the same caller goes on here.
            Unavailable: there is little space left, or another call imports the same session.
        """
        self._check_form(change)
        check_may_own(identity)
        with self._copying.makers.place(identity.actor):
            return await self._store(identity, change, events)

    async def _store(
        self, identity: Identity, change: ImportSession, events: Events
    ) -> pb.ImportSessionResponse:
        snapshot = await self._repository.snapshot(change.session_id)
        if snapshot is not None:
            head = decoded_head(change.session_id, snapshot.head)
            if head.tombstone is not None:
                raise IdTaken
            if head.meta.building is None:
                await self._compare(identity, change, events)
                return await self._response(identity, change.session_id)
        if identity.role is not Role.ADMIN:
            await self._copying.check_count(identity.user_id, change.session_id)
        first = await anext(events, None)
        copy = await self._begun(identity, change, self._owner_of(identity, first))
        async with aclosing(_from(first, events)) as all_events:
            session = await self._written(copy, change, all_events, identity)
        entry = decode_entry(encode_entry(session))
        return pb.ImportSessionResponse(session=summary_to_wire(entry), imported=True)

    def _check_form(self, change: ImportSession) -> None:
        found = Violations()
        check_session_id(change.session_id, "header.session_id", found)
        most = self._copying.limits.most_events
        if not 1 <= change.last_seq <= most:
            found.add("header.last_seq", f"must be 1 to {most}")
        found.check()

    # --- what is not there yet -------------------------------------------------------------------

    def _owner_of(self, identity: Identity, first: pb.HistoryEvent | None) -> str:
        """Return whose an administrator's import is, for what is counted and erased meanwhile.

        "" for everybody else's, which is the caller's own or will be refused. Only the first event
        is known: who became the owner later counts when all events came.
        """
        if identity.role is not Role.ADMIN or first is None:
            return ""
        user_id, found = first.event.session_created.user_id, Violations()
        check_user_id(user_id, "user_id", found, limits=self._copying.limits)
        return "" if found.found else user_id  # such events are refused when they are verified

    async def _begun(self, identity: Identity, change: ImportSession, owner_id: str) -> Copy:
        now_ms = self._copying.now_ms()
        building = Building(identity.actor, "", fingerprint(change), now_ms, owner_id)
        log_id = int.from_bytes(self._copying.random_bytes(8), "big")
        copy = await self._copying.begin(change.session_id, log_id, building)
        if isinstance(copy, Existing):
            raise IdTaken
        return copy

    async def _written(
        self, copy: Copy, change: ImportSession, events: Events, identity: Identity
    ) -> Session:
        try:
            session = await self._add_all(copy, change, events)
            if session is not None and session.seq == change.last_seq:
                await self._check_may_keep(identity, session)
        except (InvalidArgument, PermissionDenied, SessionFull, TooManySessions, TooManyShared):
            # What was refused once is refused for ever: nobody goes on with it.
            await copy.drop()
            raise
        except _Different:
            await copy.drop()
            raise Unavailable("Another import of this session was begun; it is gone.") from None
        if session is None or session.seq < change.last_seq:
            # It may be gone on with: a caller who vanishes looks like one who said all.
            if not copy.seq:
                await copy.drop()
            raise _cut(change, 0 if session is None else session.seq)
        await copy.finish(session)
        return session

    async def _add_all(self, copy: Copy, change: ImportSession, events: Events) -> Session | None:
        """Write the events that came, and return the session after them."""
        latest_ms = self._copying.now_ms() + _SKEW_MS
        limits = self._copying.limits
        verifier = Verifier(change.session_id, limits=limits, latest_ms=latest_ms)
        before = _Before(copy)
        commit_id = self._copying.random_bytes(16)
        session: Session | None = None
        waiting: list[bytes] = []
        size = 0
        async for event in events:
            record = _record_of(event, change.session_id, 1 if session is None else session.seq + 1)
            verifier.verify(session, record)
            if record.seq > change.last_seq:
                raise _cut(change, record.seq)
            check_count(record.seq, record.event, limits)
            session = apply(session, record)
            if record.seq <= before.seq:
                await before.check(record)
            else:
                waiting.append(encode_record(record._replace(commit_id=commit_id)))
                size += len(waiting[-1])
                check_room(copy.size, size, record.event, limits)
            rewound = isinstance(record.event, Rewound)
            if len(waiting) == PIECE_RECORDS or size > _FLUSHED_BYTES or (rewound and waiting):
                await copy.write(waiting)
                waiting, size = [], 0
            if rewound and (seqs := lacking(session)):
                session = fill(session, map(decode_record, await copy.read(seqs)))
        if session is not None and session.seq == change.last_seq:
            await copy.write(waiting)
        return session

    async def _check_may_keep(self, identity: Identity, session: Session) -> None:
        if identity.role is Role.ADMIN:
            await self._copying.check_count(session.user_id, session.id)
        elif session.user_id != identity.user_id:
            raise PermissionDenied("You may import your own sessions only.")
        elif session.held:
            raise PermissionDenied("Only administrators import a session under a legal hold.")
        await self._copying.check_shared(session.members)

    # --- what is there ---------------------------------------------------------------------------

    async def _compare(self, identity: Identity, change: ImportSession, events: Events) -> None:
        """Return if a session that stands there begins with these events.

        Raises:
            IdTaken: it does not, or is none that the caller may see.
        """
        session_id = change.session_id
        try:
            _, head = await entered(self._repository, identity, session_id)
        except (SessionNotFound, PermissionDenied):
            raise IdTaken from None
        if change.last_seq > head.seq:
            raise IdTaken
        seq = 0
        async with aclosing(self._standing(session_id, change.last_seq)) as standing:
            async for event in events:
                seq += 1
                record = _record_of(event, session_id, seq)
                if seq > change.last_seq:
                    raise _cut(change, seq)
                if not _same(record, await anext(standing)):
                    raise IdTaken
        if seq < change.last_seq:
            raise _cut(change, seq)

    async def _standing(self, session_id: str, last: int) -> AsyncGenerator[Record, None]:
        async with aclosing(read_records(self._repository, session_id, 1, last)) as runs:
            async for run in runs:
                for data in run:
                    yield decode_record(data)

    async def _response(self, identity: Identity, session_id: str) -> pb.ImportSessionResponse:
        for _ in range(_TRIES):
            snapshot, head = await entered(self._repository, identity, session_id)
            try:
                outputs = decode_outputs(snapshot.outputs)
                records = await self._repository.records_at(
                    session_id, needed_seqs(head, outputs), revision=snapshot.revision
                )
                session = load(head, outputs, map(decode_record, records), snapshot.members)
            except RevisionCompacted:
                continue
            except ValueError:
                _log.exception("session cannot be loaded", session=session_id)
                raise Internal from None
            entry = decode_entry(encode_entry(session))
            return pb.ImportSessionResponse(session=summary_to_wire(entry), imported=False)
        raise Unavailable


async def _from(
    first: pb.HistoryEvent | None, others: Events
) -> AsyncGenerator[pb.HistoryEvent, None]:
    if first is not None:
        yield first
    async for event in others:
        yield event


class _Different(Exception):
    """What an earlier call left is not what comes now."""


class _Before:
    """The records that an earlier call wrote, read in runs as they are asked for."""

    def __init__(self, copy: Copy) -> None:
        self.seq = copy.seq
        self._copy = copy
        self._read: list[bytes] = []
        self._first = 1

    async def check(self, record: Record) -> None:
        """Return if this record was written.

        Raises:
            _Different: it was another one.
        """
        place = record.seq - self._first
        if place == len(self._read):
            last = min(record.seq + PIECE_RECORDS - 1, self.seq)
            self._read = await self._copy.read(range(record.seq, last + 1))
            self._first, place = record.seq, 0
        if not _same(record, decode_record(self._read[place])):
            raise _Different


def _record_of(history: pb.HistoryEvent, session_id: str, seq: int) -> Record:
    """Return the record of an event, which is said exactly as an export says it."""
    found = Violations()
    event = history.event
    try:
        record = event_from_wire(event)._replace(hash=bytes.fromhex(history.hash))
    except InvalidArgument as error:
        raise InvalidArgument(
            [FieldViolation(f"events.{seq}.{field}", said) for field, said in error.violations]
        ) from None
    except ValueError:
        raise InvalidArgument.of(f"events.{seq}.hash", "must be hexadecimal digits") from None
    if event.session_id != session_id:
        found.add(f"events.{seq}.session_id", "must be that of the session")
    elif event_to_wire(record, session_id) != event:
        found.add(f"events.{seq}", "must say exactly what an export of it says")
    found.check()
    return record


def _same(record: Record, standing: Record) -> bool:
    """Return whether they tell the same, apart from what an export leaves out."""
    event = standing.event
    if isinstance(event, LinkMade):
        event = LinkMade(event.link_id, event.role, event.expires_ms)
    return record[:6] == standing._replace(event=event)[:6]


def _cut(change: ImportSession, seq: int) -> InvalidArgument:
    return InvalidArgument.of("events", f"must be {change.last_seq}, as the header says, not {seq}")
