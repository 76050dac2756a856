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

from collections import deque
from collections.abc import Callable, Iterable

from services.live.forming import Formed, Forming
from services.live.operations import Answered, Operations
from services.live.outcome import Verdict
from services.live.request import Answer, Request, RoomClosed, Unsettled
from services.live.window import Window
from sessiond.errors import (
    Internal,
    SessiondError,
    SessionFull,
    StaleRevision,
    Unavailable,
)
from sessiond.session.access import check_access
from sessiond.session.changes import DeleteSession
from sessiond.session.decide import decide
from sessiond.session.events import Record
from sessiond.session.limits import Limits
from sessiond.session.state import Session
from sessiond.store.codec import HeadMeta
from sessiond.v1.ownership_pb2 import DeleteRequest

WAITING = 1000
"""Changes that may wait in one room; beyond it a caller is told to come back."""


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
        recent = tuple(recent)
        self._operations = Operations(recent)
        self.window = Window(recent)

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
        """Take waiting changes until a commit is full, a deletion comes, or none is left.

        Who waits for a commit gets its answer with it; answers that need none are given here.
        """
        forming = Forming(self.session, self._meta, self._head, self._new_commit_id())
        answers: list[tuple[Request, Answer | SessiondError]] = []
        taken: set[object] = set()
        while self._waiting:
            request = self._waiting[0]
            if request.reply.cancelled():
                self._waiting.popleft()  # its caller has gone, and was told that it is not known
                continue
            if request.key in taken:
                break  # its twin is in this commit: it gets the same answer once that is known
            try:
                answered = self._check(request, forming.session)
                if answered is not None:
                    answer = Answer(answered.seq, self.window.record(answered.seq))
                elif isinstance(request.change, DeleteSession):
                    if answers:
                        break  # what came before is written first
                    self._waiting.popleft()
                    return forming.deletion(request, self._time(forming.session))
                else:
                    record = self._decide(request, forming)
                    if record is not None and not forming.add(record, self._limits):
                        break  # the next commit begins with it
                    taken.add(request.key)
                    answer = Answer(forming.session.seq, record)
                told: Answer | SessiondError = answer
            except SessiondError as error:
                told = error
            self._waiting.popleft()
            answers.append((request, told))
        if forming.records:
            return forming.commit(answers)
        for request, told in answers:
            request.give(told)
        return None

    def _check(self, request: Request, session: Session) -> Answered | None:
        """Check access, operation id and expected revision, in this order."""
        check_access(
            request.identity,
            request.operation,
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

    def _decide(self, request: Request, forming: Forming) -> Record | None:
        """Return the record that the change makes; None, and remember that, when it makes none."""
        session = forming.session
        time_ms = self._time(session)
        events = decide(
            session,
            request.change,
            identity=request.identity,
            now_ms=time_ms,
            new_id=self._new_id,
            limits=self._limits,
        )
        if not events:
            unchanged = Answered(session.seq, request.hash)
            self._operations.remember_unchanging(*request.key, unchanged)
            return None
        (event,) = events
        return Record(
            seq=session.seq + 1,
            time_ms=time_ms,
            actor=request.identity.actor,
            event=event,
            op_id=request.op_id,
            hash=request.hash,
            epoch=self._meta.epoch,
            instance=self._meta.owner,
            commit_id=forming.commit_id,
        )

    def _time(self, session: Session) -> int:
        """Return the time of a change: the wall clock may step back, a session's times never do."""
        return max(self._now_ms(), session.last_active_ms)

    def _committed(self, formed: Formed) -> None:
        self._in_flight = None
        if isinstance(formed.write, DeleteRequest):
            formed.give()
            self._close(RoomClosed())
            return
        self.session, self._meta, self._head = formed.session, formed.meta, formed.head
        for record in formed.records:
            self._operations.remember(record)
        self.window.extend(formed.records)
        formed.give()

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
            request.fail(in_flight or reason)
        for request in waiting:
            request.fail(reason)
