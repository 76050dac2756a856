"""A held session, as a plain synchronous object: no I/O, no tasks, no clock of its own.

Changes wait in `submit`. `form` decides as many of them as one commit takes, in order, on top of
the durable state, and says what is to be written; `settle` takes the verdict. One commit is in
flight at a time, and what arrives meanwhile forms the next: group commit without a timer.

    idle --submit--> waiting --form--> in flight --settle(committed)--> idle or waiting
                                           |
                                           +--settle(put off)--> idle or waiting, as before it
                                           +--settle(anything else), close--> closed, for ever

The output gate: every answer that rests on events of a commit, refusals included, is given when
that commit is known to be stored, and not before; so is every event shown to the audience. Where
nothing is to be written, an answer waits until the head is seen to stand as it is held here: the
session may have another owner already, whatever the clock says.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from services.live.attachment import Attachment
from services.live.audience import Audience, Later
from services.live.forming import Formed, Forming
from services.live.operations import Answered, Operations
from services.live.outcome import Verdict
from services.live.request import Answer, Asked, RoomClosed, Unsettled
from services.live.running import RunningTurn
from services.live.turns import TurnText
from services.live.window import Window
from sessiond.cursor import Cursor
from sessiond.errors import (
    Internal,
    PermissionDenied,
    SessiondError,
    SessionFull,
    SessionMoved,
    SessionNotFound,
    StaleRevision,
    TurnNotFound,
    Unavailable,
)
from sessiond.session.access import Identity, Operation, Role, check_access
from sessiond.session.changes import AbandonTurn, BeginTurn, DeleteSession, JoinSession
from sessiond.session.decide import decide
from sessiond.session.events import Event, Record, TurnBegun
from sessiond.session.holding import check_deletion
from sessiond.session.limits import Limits
from sessiond.session.sharing import Gain, gain, join
from sessiond.session.state import Member, Session, Turn, TurnOutcome
from sessiond.store.codec import HeadMeta, StoredRecord
from sessiond.v1.live_pb2 import TurnProgress
from sessiond.v1.ownership_pb2 import DeleteRequest

WAITING = 1000
"""Changes that may wait in one room; beyond it a caller is told to come back."""

NO_SPACE = "There is little space left; nothing was changed. Reading and deleting go on."
NO_SPACE_SECONDS = 10.0
"""When a caller whose change was put off may come back."""

OURSELVES = Identity("sessiond", Role.LIVE)
"""Who ends the turns of workers that do not come back."""


_GIVES_AWAY: Mapping[Operation | None, type[SessiondError]] = {
    Operation.LEAVE: SessionNotFound,
    Operation.TRANSFER: PermissionDenied,
}
"""What takes its own right from who does it, and how they are refused from then on."""


class Room:
    """Orders the changes of one session, in one epoch."""

    def __init__(
        self,
        session: Session,
        meta: HeadMeta,
        head: bytes,
        recent: Iterable[Record | StoredRecord],
        *,
        drafts: Sequence[tuple[int, str]] = (),
        later: Later,
        limits: Limits,
        now_ms: Callable[[], int],
        new_id: Callable[[], str],
        new_commit_id: Callable[[], bytes],
    ) -> None:
        """Hold a session just loaded.

        `head` are the very bytes that stand in etcd; `recent` the newest records without a hole;
        `drafts` what is stored of the running turn. `wake` is called when something is to be
        written that nobody outside asked for.
        """
        self.session = session
        self.closed: SessiondError | RoomClosed | None = None
        self._meta = meta
        self._head = head
        self._limits = limits
        self._now_ms = now_ms
        self._new_id = new_id
        self._new_commit_id = new_commit_id
        self._waiting: deque[Asked] = deque()
        self._in_flight: Formed | None = None
        recent = tuple(recent)
        self._operations = Operations(recent)
        self.window = Window(recent)
        self.wake: Callable[[], None] = lambda: None
        self.audience = Audience(session.id, later)
        self._later = later
        self._running = self._run(session.turn, drafts)
        self.past = asyncio.Lock()
        """Held by who reads the session's past: it may be large, and anybody may ask for it."""

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
    def wants_write(self) -> bool:
        """Whether something waits that `form` may make a write of."""
        return bool(self._waiting) or (self._running is not None and self._running.due)

    def cursor(self, seq: int) -> str:
        """Return the cursor of a reader that has applied everything up to this seq."""
        return str(Cursor(self.log_id, seq))

    @property
    def log_id(self) -> str:
        """The first part of the session's cursors."""
        return f"{self._meta.log_id:016x}"

    # --- changes -----------------------------------------------------------------------------

    def submit(self, request: Asked) -> None:
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

    def remembers_since(self, seq: int) -> bool:
        """Return whether every change after this seq is remembered by its operation id."""
        return seq + 1 >= self._operations.start

    @property
    def forgotten(self) -> range:
        """The seqs of those of the last 1000 changes whose operation ids are not here yet."""
        return self._operations.forgotten(self.session.seq)

    def recall(self, records: Sequence[StoredRecord]) -> None:
        """Remember the operation ids of changes that were forgotten."""
        self._operations.remember_older(records)

    def check(self, request: Asked) -> bool:
        """Return whether the caller may ask for this, and has not been answered before.

        It is looked at again when the change is decided: this spares what only a new one needs.

        Raises:
            SessionNotFound: the caller has nothing to do with the session.
            PermissionDenied: the caller may not do this.
            IdempotencyMismatch: its operation id was used for another change.
        """
        if request.operation is not None:
            self._check_access(request.identity, request.operation, self.session)
        return self._answered(request) is None

    def gain(self, request: Asked) -> Gain:
        """Return whose lists would grow, if this were decided now.

        Raises:
            SessiondError: the rules refuse it.
        """
        return gain(self.session, self._events(request, self.session, self._time(self.session)))

    def check_asker(self, request: Asked) -> None:
        """Return if the caller may do this, or may not any more since they did.

        Raises:
            SessionNotFound: the caller has nothing to do with the session.
            PermissionDenied: the caller may not do this.
        """
        refusal = self._refusal(request, self.session)
        if refusal is not None and not _gave_away(request, refusal):
            raise refusal

    def check_welcome(self, request: Asked) -> None:
        """Return if the caller may hear that the session is there, and has too much to do.

        Raises:
            SessiondError: what it hears instead, as it would if nothing else waited.
        """
        answered = self._check(request, self.session)
        change = request.change
        if answered is None and isinstance(change, JoinSession):  # its secret decides
            now_ms = self._time(self.session)
            join(
                self.session, change, identity=request.identity, now_ms=now_ms, limits=self._limits
            )

    def form(self) -> Formed | None:
        """Decide what waits, and return what is to be written or confirmed; None when nothing is.

        Changes that were made before get their answers here.
        """
        if self._in_flight is not None or self.closed is not None:
            return None
        while self._waiting and self._in_flight is None:
            self._in_flight = self._form_next()
        if self._in_flight is None and self._running is not None and self._running.due:
            self._in_flight = self._form_draft(self._running)
        return self._in_flight

    def settle(self, verdict: Verdict) -> None:
        """Take the verdict on what is in flight; all but COMMITTED and PUT_OFF close the room.

        A closed room takes none: what was in flight was left unsettled when it closed.
        """
        formed = self._in_flight
        if formed is None:
            if self.closed is not None:
                return
            raise RuntimeError("nothing is in flight")
        match verdict:
            case Verdict.COMMITTED:
                self._committed(formed)
            case Verdict.PUT_OFF:
                self._put_off(formed)
            case Verdict.UNSTORABLE:
                self._close(RoomClosed(), in_flight=SessionFull())
            case Verdict.FENCED | Verdict.LOST:
                self._close(RoomClosed())
            case Verdict.GONE:
                self._close(RoomClosed(), told=SessionNotFound())
            case Verdict.LOST_UNKNOWN:
                self._close(RoomClosed(), in_flight=Unsettled())
            case Verdict.GONE_UNKNOWN:
                self._close(RoomClosed(), in_flight=Unsettled(), told=SessionNotFound())
            case Verdict.BROKEN | Verdict.AGAIN:
                self.break_down()

    def close(self, told: SessiondError | None = None) -> None:
        """Hold the session no longer; what is in flight is left unsettled.

        The audience is told that the session is held elsewhere, or what is given here.
        """
        self._close(RoomClosed(), in_flight=Unsettled(), told=told)

    def break_down(self) -> None:
        """Stop loudly: every caller hears that something is wrong on our side."""
        self._close(Internal(), told=Internal())

    # --- subscribers -------------------------------------------------------------------------

    def check_reader(self, identity: Identity) -> None:
        """Return if this caller may follow the session.

        Raises:
            SessionNotFound: it has nothing to do with the session.
        """
        self._check_access(identity, Operation.READ, self.session)

    def left(self, attachment: Attachment) -> None:
        """Let a subscriber go; if it writes the running turn, its worker is away now."""
        self.audience.leave(attachment)
        if self._running is not None:
            self._running.left(attachment)

    # --- turns -------------------------------------------------------------------------------

    @property
    def turn(self) -> TurnText | None:
        """The running turn's text."""
        return self._running.text if self._running is not None else None

    def token(self, offset: int) -> bytes:
        """Return the frame of the running turn's text after so many characters."""
        if self._running is None:
            raise RuntimeError("no turn runs")
        return self._running.frame(self.session.id, offset)

    def take_up(self, answer: Answer, attachment: Attachment) -> TurnProgress:
        """Make a subscriber the worker of the turn whose begin got this answer."""
        running = self._running
        if running is not None and running.text.turn.seq == answer.seq and not attachment.ended:
            return running.take_up(attachment)
        event = answer.record.event if answer.record is not None else None
        turn_id = event.turn_id if isinstance(event, TurnBegun) else ""
        return TurnProgress(turn_id=turn_id, ended=True)

    def begin_of(self, turn_id: str, attachment: Attachment) -> str:
        """Return the operation id of the begin of a turn that this subscriber writes; "" if not."""
        running = self._written(turn_id, attachment)
        return running.text.turn.op_id if running is not None else ""

    def write(self, attachment: Attachment, turn_id: str, offset: int, text: str) -> None:
        """Take a piece of the running turn's text from its worker.

        Raises:
            TurnNotFound: that turn does not run, or ends, or the subscriber is not its worker.
            InvalidArgument: the piece would leave a hole, or is no text that a message may hold.
        """
        running = self._written(turn_id, attachment)
        if running is None:
            raise TurnNotFound
        running.write(offset, text, limits=self._limits)
        self.audience.tokens()

    # --- inside ------------------------------------------------------------------------------

    def _form_next(self) -> Formed | None:
        """Take waiting changes until a commit is full, a deletion comes, or none is left."""
        forming = Forming(self.session, self._meta, self._head, self._new_commit_id())
        answers: list[tuple[Asked, Answer | SessiondError]] = []
        taken: set[object] = set()
        while self._waiting:
            request = self._waiting[0]
            if request.gone:
                self._waiting.popleft()  # its caller has gone, and was told that it is not known
                continue
            if request.key in taken:
                break  # its twin is in this commit: it gets the same answer once that is known
            try:
                answered = self._check(request, forming.session)
                if answered is not None:
                    self._waiting.popleft()
                    request.give(Answer(answered.seq, self.window.record(answered.seq)))
                    continue
                if isinstance(request.change, DeleteSession):
                    check_deletion(forming.session)
                    if answers:
                        break  # what came before is written first
                    self._waiting.popleft()
                    return forming.deletion(request, self._time(forming.session))
                record = self._decide(request, forming)
                if record is not None and not forming.add(record, self._limits, request.past):
                    break  # the next commit begins with it
                taken.add(request.key)
                told: Answer | SessiondError = Answer(forming.session.seq, record)
            except SessiondError as error:
                told = error
            self._waiting.popleft()
            answers.append((request, told))
        if forming.records:
            running = self._running
            if running is None:
                return forming.commit(answers)
            running.ending = running.ending or forming.ended_turn == running.id
            return forming.commit(answers, running.draft())
        return forming.confirmation(answers) if answers else None

    def _check(self, request: Asked, session: Session) -> Answered | None:
        """Check access, operation id and expected revision, in this order."""
        refusal = self._refusal(request, session)
        if refusal is not None and not _gave_away(request, refusal):
            raise refusal
        if answered := self._answered(request):
            if request.operation is None:
                # The answer to a join shows the session, which its caller may have lost since.
                self._check_access(request.identity, Operation.READ, session)
            return answered
        if refusal is not None:
            raise refusal
        turn = session.turn if isinstance(request.change, BeginTurn) else None
        if turn is not None and turn.belongs_to(*request.key):
            return Answered(turn.seq, request.hash)  # begun more than 1000 changes ago
        if request.expected_revision is not None and request.expected_revision != session.seq:
            raise StaleRevision(session.seq)
        return None

    def _answered(self, request: Asked) -> Answered | None:
        return self._operations.find(request.actor, request.op_id, request.hash)

    def _decide(self, request: Asked, forming: Forming) -> Record | None:
        """Return the record that the change makes; None, and remember that, when it makes none."""
        session = forming.session
        time_ms = self._time(session)
        events = self._events(request, session, time_ms)
        if not events:
            unchanged = Answered(session.seq, request.hash)
            self._operations.remember_unchanging(*request.key, unchanged)
            return None
        (event,) = events
        return Record(
            seq=session.seq + 1,
            time_ms=time_ms,
            actor=request.actor,
            event=event,
            op_id=request.op_id,
            hash=request.hash,
            epoch=self._meta.epoch,
            instance=self._meta.owner,
            commit_id=forming.commit_id,
        )

    def _events(self, request: Asked, session: Session, time_ms: int) -> tuple[Event, ...]:
        return decide(
            session,
            request.change,
            identity=request.identity,
            now_ms=time_ms,
            new_id=self._new_id,
            limits=self._limits,
            text=self._text_of(session),
            past=request.past,
            secret_hash=hashlib.sha256(request.secret.encode()).digest() if request.secret else b"",
        )

    def _time(self, session: Session) -> int:
        """Return the time of a change: the wall clock may step back, a session's times never do."""
        return max(self._now_ms(), session.last_active_ms)

    def _refusal(self, request: Asked, session: Session) -> SessiondError | None:
        """Return why the caller may not do this; None where they may."""
        try:
            if request.operation is not None:
                self._check_access(request.identity, request.operation, session)
        except (SessionNotFound, PermissionDenied) as refusal:
            return refusal
        return None

    def _check_access(self, identity: Identity, operation: Operation, session: Session) -> None:
        check_access(
            identity,
            operation,
            session_id=session.id,
            owner=session.user_id,
            current_agent=session.current_agent,
            members=session.roles,
        )

    def _committed(self, formed: Formed) -> None:
        self._in_flight = None
        if isinstance(formed.write, DeleteRequest):
            formed.give()
            self._close(RoomClosed(), told=SessionNotFound())
            return
        before = self.session
        self.session, self._meta, self._head = formed.session, formed.meta, formed.head
        if formed.draft is not None and self._running is not None:
            self._running.stored(formed.draft)
        for record in formed.records:
            self._operations.remember(record)
        self.window.extend(formed.records)
        if self.session.turn != before.turn:
            self._turn_changed()
        self._show(formed, before)
        formed.give()

    def _show(self, formed: Formed, before: Session) -> None:
        """Show what was written; whoever may read no longer sees nothing after the event of it."""
        for record in formed.records:
            self.audience.show(record)
            if record.seq in formed.turning:
                after = formed.turning[record.seq]
                if _let_in(after) != _let_in(before):
                    self._check_readers(after)
                before = after

    def _put_off(self, formed: Formed) -> None:
        """Go on as if it had not been formed; who rests on it hears that nothing was changed."""
        self._in_flight = None
        if formed.draft is not None and self._running is not None:
            self._running.put_off()
        for request, _ in formed.answers:
            self._operations.forget_unchanging(*request.key)
            request.fail(Unavailable(NO_SPACE, retry_after=NO_SPACE_SECONDS))

    def _check_readers(self, session: Session) -> None:
        """Send those away who may not read in this state; a worker who may not write is away."""
        for attachment in self.audience:
            try:
                self._check_access(attachment.identity, Operation.READ, session)
            except SessionNotFound as gone:
                attachment.end(gone)
                continue
            if self._running is not None and self._running.is_written_by(attachment):
                try:
                    self._check_access(attachment.identity, Operation.TURN, session)
                except PermissionDenied:
                    self._running.left(attachment)

    # --- the running turn, inside -------------------------------------------------------------

    def _run(self, turn: Turn | None, drafts: Sequence[tuple[int, str]] = ()) -> RunningTurn | None:
        if turn is None:
            return None
        return RunningTurn(
            TurnText(turn, drafts),
            later=self._later,
            on_due=self._store_now,
            on_over=self._abandon,
        )

    def _store_now(self) -> None:
        self.wake()  # who writes for this room comes after it, so `wake` is looked up only now

    def _turn_changed(self) -> None:
        if self._running is not None:
            self.audience.last_tokens()
            self._running.close()
        self._running = self._run(self.session.turn)

    def _written(self, turn_id: str, attachment: Attachment) -> RunningTurn | None:
        """Return the turn of this id, if it runs and the subscriber writes it."""
        running = self._running
        if running is None or running.id != turn_id or not running.is_written_by(attachment):
            return None
        return running

    def _text_of(self, session: Session) -> str:
        """Return the text of the turn that runs in this state; a turn just begun has none."""
        turn = self.turn
        return turn.text if turn is not None and turn.turn == session.turn else ""

    def _form_draft(self, running: RunningTurn) -> Formed | None:
        draft = running.draft()
        if draft is None:
            return None
        forming = Forming(self.session, self._meta, self._head, self._new_commit_id())
        return forming.draft_alone(draft)

    def _abandon(self, outcome: TurnOutcome) -> None:
        """End the running turn by ourselves."""
        running = self._running
        if running is None or running.ending:
            return
        running.ending = True
        change = AbandonTurn(running.id, outcome)
        # Not by `submit`: a room in which too much waits must end its turn all the same.
        self._waiting.append(Asked(change, OURSELVES, f"{outcome.value}:{running.id}"))
        self.wake()

    def _close(
        self,
        reason: SessiondError | RoomClosed,
        *,
        in_flight: Exception | None = None,
        told: SessiondError | None = None,
    ) -> None:
        """Close: `reason` is for what waits, and the others where they are not the same."""
        first = self.closed is None
        self.closed = self.closed or reason
        if self._running is not None:
            self._running.close()
            self._running = None
        formed, self._in_flight = self._in_flight, None
        waiting, self._waiting = self._waiting, deque()
        for request, _ in formed.answers if formed is not None else ():
            request.fail(in_flight or reason)
        for request in waiting:
            request.fail(reason)
        if first:
            self.audience.close(told or SessionMoved(retry_after=None))


def _gave_away(request: Asked, refusal: SessiondError) -> bool:
    """Return whether who made this very change before would be refused like this."""
    return isinstance(refusal, _GIVES_AWAY.get(request.operation, ()))


def _let_in(session: Session) -> tuple[str, str, Mapping[str, Member]]:
    """Return what decides who may enter."""
    return session.current_agent, session.user_id, session.members
