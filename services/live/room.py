"""A held session, as a plain synchronous object: no I/O, no tasks, no clock of its own.

Changes wait in `submit`. `form` decides as many of them as one commit takes, in order, on top of
the durable state, and says what is to be written; `settle` takes the verdict. One commit is in
flight at a time, and what arrives meanwhile forms the next: group commit without a timer.

    idle --submit--> waiting --form--> in flight --settle(committed)--> idle or waiting
                                           |
                                           +--settle(anything else), close--> closed, for ever

The output gate: every answer that rests on events of a commit, refusals included, is given when
that commit is known to be stored, and not before.
"""

from __future__ import annotations

from asyncio import Future
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from services.live.operations import Answered, Operations
from services.live.outcome import Attempt, Verdict
from sessiond.errors import (
    Internal,
    SessiondError,
    SessionFull,
    StaleRevision,
    Unavailable,
)
from sessiond.session.access import Identity, Operation, check_access
from sessiond.session.apply import apply, message_of
from sessiond.session.changes import (
    AppendMessage,
    ApproveOutput,
    Change,
    DeleteSession,
    EditOutput,
    PauseSession,
    ResumeSession,
    SubmitOutput,
    UpdateSession,
    fingerprint,
)
from sessiond.session.decide import decide
from sessiond.session.events import (
    MessageAppended,
    OutputDecided,
    OutputEdited,
    OutputSubmitted,
    Record,
    SessionUpdated,
)
from sessiond.session.limits import KIB, MIB, Limits
from sessiond.session.state import Message, Session
from sessiond.store.codec import (
    HeadMeta,
    Tombstone,
    encode_entry,
    encode_head,
    encode_outputs,
    encode_record,
    encode_tombstone_head,
)
from sessiond.v1.ownership_pb2 import AwaitedWrite, Commit, DeleteRequest, IndexWrite

COMMIT_RECORDS = 54
"""Records of one commit: 60 operations less head, outputs, and the moves of two list places."""

COMMIT_BYTES = MIB
"""Bytes of one commit's records, far under etcd's 1.5 MiB for a transaction."""

INDEX_MOVES_AFTER_MS = 250
"""An index entry moves when lastActive is this far past its place: listings rely on it."""

WINDOW_RECORDS = 1000
WINDOW_BYTES = 512 * KIB
"""The newest records that a room keeps in memory; older ones are read from Store."""

WAITING = 1000
"""Changes that may wait in one room; beyond it a caller is told to come back."""

OPERATIONS: dict[type[Change], Operation] = {
    AppendMessage: Operation.APPEND_MESSAGE,
    UpdateSession: Operation.UPDATE,
    ApproveOutput: Operation.DECIDE_OUTPUT,
    SubmitOutput: Operation.SUBMIT_OUTPUT,
    EditOutput: Operation.EDIT_OUTPUT,
    PauseSession: Operation.PAUSE,
    ResumeSession: Operation.PAUSE,
    DeleteSession: Operation.DELETE,
}


class RoomClosed(Exception):
    """The room is no longer the place for this session, and did not apply the change."""


class Unsettled(Exception):
    """The room closed while the change was in flight: the same operation id settles it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a change.

    `seq` is that of its event; where it changed nothing, the revision at that moment. `record` is
    the event, where it is at hand.
    """

    seq: int
    record: Record | None = None


@dataclass(slots=True)
class Request:
    """A change that waits for its answer."""

    change: Change
    identity: Identity
    op_id: str
    expected_revision: int | None = None
    reply: Future[Answer] = field(default_factory=Future)
    hash: bytes = b""

    def __post_init__(self) -> None:
        self.hash = self.hash or fingerprint(self.change)


@dataclass(frozen=True, slots=True)
class Formed:
    """One commit, or one deletion, that is in flight, and who waits for it."""

    write: Commit | DeleteRequest
    attempt: Attempt
    session: Session
    meta: HeadMeta
    head: bytes
    records: tuple[Record, ...]
    answers: tuple[tuple[Request, Answer | SessiondError], ...]


class Room:
    """Orders the changes of one session, in one epoch."""

    def __init__(
        self,
        session: Session,
        meta: HeadMeta,
        head: bytes,
        recent: Iterable[Record],
        *,
        limits: Limits,
        now_ms: Callable[[], int],
        new_id: Callable[[], str],
        new_commit_id: Callable[[], bytes],
    ) -> None:
        """Hold a session just loaded.

        `head` are the very bytes that stand in etcd; `recent` the newest records without a hole.
        """
        self.session = session
        self.closed: SessiondError | RoomClosed | None = None
        self._meta = meta
        self._head = head
        self._limits = limits
        self._now_ms = now_ms
        self._new_id = new_id
        self._new_commit_id = new_commit_id
        self._waiting: deque[Request] = deque()
        self._in_flight: Formed | None = None
        self._window: deque[Record] = deque()
        self._window_bytes = 0
        recent = tuple(recent)
        self._operations = Operations(recent)
        self._extend(recent)

    # --- what the room holds -----------------------------------------------------------------

    @property
    def meta(self) -> HeadMeta:
        """The part of the head that is not the session's state."""
        return self._meta

    @property
    def head(self) -> bytes:
        """The very bytes that stand in etcd."""
        return self._head

    @property
    def quiet(self) -> bool:
        """Whether nothing waits and nothing is in flight."""
        return not self._waiting and self._in_flight is None

    @property
    def window_start(self) -> int:
        """The first seq from which on every record is in memory."""
        return self._window[0].seq if self._window else self.session.seq + 1

    def messages(self) -> list[Message]:
        """Return the messages in memory, oldest first: all of them from `window_start` on."""
        return [m for record in self._window if (m := message_of(record)) is not None]

    def record(self, seq: int) -> Record | None:
        """Return a record that is in memory."""
        place = seq - self.window_start
        return self._window[place] if 0 <= place < len(self._window) else None

    # --- changes -----------------------------------------------------------------------------

    def submit(self, request: Request) -> None:
        """Let a change wait for the next commit; its reply gets an `Answer` or a failure.

        Raises:
            RoomClosed: the session is no longer held here.
            Internal: the room broke down.
            Unavailable: too many changes wait.
        """
        if self.closed is not None:
            raise self.closed
        if len(self._waiting) >= WAITING:
            raise Unavailable("Too many changes of this session wait.", retry_after=1.0)
        self._waiting.append(request)

    def form(self) -> Formed | None:
        """Decide what waits, and return what is to be written; None when nothing is.

        Answers that need no write are given here.
        """
        while self._waiting and self._in_flight is None and self.closed is None:
            self._in_flight = self._form_next()
            if self._in_flight is not None:
                return self._in_flight
        return None

    def settle(self, verdict: Verdict) -> None:
        """Take the verdict on what is in flight; everything but COMMITTED closes the room."""
        formed = self._in_flight
        if formed is None:
            raise RuntimeError("nothing is in flight")
        match verdict:
            case Verdict.COMMITTED:
                self._committed(formed)
            case Verdict.UNSTORABLE:
                self._close(RoomClosed(), in_flight=SessionFull())
            case Verdict.FENCED | Verdict.LOST | Verdict.GONE:
                self._close(RoomClosed())
            case Verdict.LOST_UNKNOWN | Verdict.GONE_UNKNOWN:
                self._close(RoomClosed(), in_flight=Unsettled())
            case Verdict.BROKEN | Verdict.AGAIN:
                self.break_down()

    def close(self) -> None:
        """Hold the session no longer; what is in flight is left unsettled."""
        self._close(RoomClosed(), in_flight=Unsettled())

    def break_down(self) -> None:
        """Stop loudly: every caller hears that something is wrong on our side."""
        self._close(Internal())

    # --- inside ------------------------------------------------------------------------------

    def _form_next(self) -> Formed | None:
        session = self.session
        records: list[Record] = []
        encoded: list[bytes] = []
        size = 0
        answers: list[tuple[Request, Answer | SessiondError]] = []
        joined: dict[tuple[object, str], Request] = {}
        commit_id = self._new_commit_id()
        while self._waiting and len(records) < COMMIT_RECORDS:
            request = self._waiting[0]
            if request.reply.cancelled():
                self._waiting.popleft()  # its caller has gone, and was told that it is not known
                continue
            key = request.identity.actor, request.op_id
            if key in joined:
                break  # joins the answer of its twin once that is known
            try:
                answered = self._check(request, session)
                if answered is None and isinstance(request.change, DeleteSession):
                    if answers:
                        break  # a deletion goes alone
                    self._waiting.popleft()
                    return self._form_deletion(request, commit_id)
                record = None if answered else self._decide(request, session, commit_id)
                if record is not None:
                    value = encode_record(record)
                    if records and size + len(value) > COMMIT_BYTES:
                        break
                    self._check_size(size + len(value))
                    session = apply(session, record)
                    records.append(record)
                    encoded.append(value)
                    size += len(value)
                    joined[key] = request
                answer: Answer | SessiondError = (
                    Answer(answered.seq, self.record(answered.seq))
                    if answered
                    else Answer(session.seq, record)
                )
                if answered is None and record is None:
                    self._operations.remember_unchanging(
                        request.identity.actor, request.op_id, Answered(session.seq, request.hash)
                    )
            except SessiondError as error:
                answer = error
            self._waiting.popleft()
            answers.append((request, answer))
        if not records:
            _give(answers)
            return None
        return self._form_commit(session, records, encoded, answers)

    def _check(self, request: Request, session: Session) -> Answered | None:
        """Check access, operation id and expected revision, in this order."""
        check_access(
            request.identity,
            OPERATIONS[type(request.change)],
            session_id=session.id,
            owner=session.user_id,
            current_agent=session.current_agent,
        )
        answered = self._operations.find(request.identity.actor, request.op_id, request.hash)
        if answered is not None:
            return answered
        if request.expected_revision is not None and request.expected_revision != session.seq:
            raise StaleRevision(session.seq)
        return None

    def _decide(self, request: Request, session: Session, commit_id: bytes) -> Record | None:
        # The wall clock may step back; a session's times never do.
        now_ms = max(self._now_ms(), session.last_active_ms)
        events = decide(
            session,
            request.change,
            identity=request.identity,
            now_ms=now_ms,
            new_id=self._new_id,
            limits=self._limits,
        )
        if not events:
            return None
        (event,) = events
        return Record(
            seq=session.seq + 1,
            time_ms=now_ms,
            actor=request.identity.actor,
            event=event,
            op_id=request.op_id,
            hash=request.hash,
            epoch=self._meta.epoch,
            instance=self._meta.owner,
            commit_id=commit_id,
        )

    def _check_size(self, added: int) -> None:
        if self._meta.size + added > self._limits.session:
            raise SessionFull

    def _form_commit(
        self,
        session: Session,
        records: Sequence[Record],
        encoded: Sequence[bytes],
        answers: Sequence[tuple[Request, Answer | SessiondError]],
    ) -> Formed:
        before, commit_id = self._meta, records[0].commit_id
        moved = session.last_active_ms - before.index_ms >= INDEX_MOVES_AFTER_MS
        meta = replace(
            before,
            commit_id=commit_id,
            size=before.size + sum(map(len, encoded)),
            index_ms=session.last_active_ms if moved else before.index_ms,
            awaited_agent=session.awaited_agent,
        )
        head = encode_head(session, meta)
        commit = Commit(
            session_id=session.id,
            expected_head=self._head,
            head=head,
            first_seq=records[0].seq,
            records=encoded,
            index=IndexWrite(
                user_id=session.user_id,
                position_ms=meta.index_ms,
                previous_position_ms=before.index_ms,
                entry=encode_entry(session),
            ),
        )
        if any(
            isinstance(r.event, OutputSubmitted | OutputEdited | OutputDecided) for r in records
        ):
            commit.outputs = encode_outputs(session)
        if meta.awaited_agent != before.awaited_agent:
            commit.awaited.CopyFrom(
                AwaitedWrite(agent=meta.awaited_agent, previous_agent=before.awaited_agent)
            )
        return Formed(
            write=commit,
            attempt=Attempt(self._head, commit_id, before.epoch, unknown=False),
            session=session,
            meta=meta,
            head=head,
            records=tuple(records),
            answers=tuple(answers),
        )

    def _form_deletion(self, request: Request, commit_id: bytes) -> Formed:
        meta = self._meta
        actor = request.identity.actor
        time_ms = max(self._now_ms(), self.session.last_active_ms)
        tombstone = Tombstone(actor, request.op_id, request.hash, time_ms)
        head = encode_tombstone_head(meta.log_id, tombstone)
        deletion = DeleteRequest(
            instance=meta.owner,
            session_id=self.session.id,
            expected_head=self._head,
            head=head,
            user_id=self.session.user_id,
            position_ms=meta.index_ms,
            awaited_agent=meta.awaited_agent,
        )
        return Formed(
            write=deletion,
            attempt=Attempt(
                self._head, commit_id, meta.epoch, unknown=False, actor=actor, op_id=request.op_id
            ),
            session=self.session,
            meta=meta,
            head=head,
            records=(),
            answers=((request, Answer(self.session.seq)),),
        )

    def _committed(self, formed: Formed) -> None:
        self._in_flight = None
        if isinstance(formed.write, DeleteRequest):
            _give(formed.answers)
            self._close(RoomClosed())
            return
        self.session, self._meta, self._head = formed.session, formed.meta, formed.head
        for record in formed.records:
            self._operations.remember(record)
        self._extend(formed.records)
        _give(formed.answers)

    def _extend(self, records: Iterable[Record]) -> None:
        for record in records:
            self._window.append(record)
            self._window_bytes += _weight(record)
        while len(self._window) > WINDOW_RECORDS or (
            self._window_bytes > WINDOW_BYTES and len(self._window) > 1
        ):
            self._window_bytes -= _weight(self._window.popleft())

    def _close(
        self,
        reason: SessiondError | RoomClosed,
        *,
        in_flight: Exception | None = None,
    ) -> None:
        """Close with a reason for what waits, and another for what is in flight."""
        self.closed = self.closed or reason
        formed, self._in_flight = self._in_flight, None
        waiting, self._waiting = self._waiting, deque()
        for request, _ in formed.answers if formed is not None else ():
            _fail(request, in_flight or reason)
        for request in waiting:
            _fail(request, reason)


def _weight(record: Record) -> int:
    match record.event:
        case MessageAppended(content=text) | SessionUpdated(user_inputs=str(text)):
            return KIB + len(text)
        case OutputSubmitted(output=body) | OutputEdited(output=body):
            return KIB + len(body.content)
    return KIB


def _give(answers: Iterable[tuple[Request, Answer | SessiondError]]) -> None:
    for request, answer in answers:
        if request.reply.done():
            continue  # its caller has gone
        if isinstance(answer, SessiondError):
            request.reply.set_exception(answer)
        else:
            request.reply.set_result(answer)


def _fail(request: Request, reason: Exception) -> None:
    if not request.reply.done():
        request.reply.set_exception(reason)
