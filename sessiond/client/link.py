"""One attached session as a client sees it, without I/O: what to say, hand on and drop.

              attach()              attached               goaway that is final
      AWAY ------------> ATTACHING ----------> ATTACHED ----------------------------> ENDED
       ^                     |                     |
       +---------------------+-- goaway, lost(), --+
                                 a gap

A link outlives the streams that carry it. Whoever reads what it hands on sees one conversation:

- The first `attached` is handed on, and each later one whose cursor was not served; a reader that
  held something then hears `reset` before the snapshot. A later `attached` whose cursor was served
  is hidden, with its `caught_up`: the reader only sees that events go on.
- Each event once, in order of seq, without a gap. A snapshot that was cut begins anew, after
  another `attached`.
- Tokens by offset, each character once. Text that was written while nobody was attached comes as
  one token; it can come before the event that begins its turn.
- One reply to each change. A begin is kept until its turn has ended and is said again on each new
  attachment, since that is how a worker takes its turn up again; each time its reply is handed on,
  with the offset to go on from.
- A `goaway` only when it is final. Presence as it comes.

Frames belong to the link once given to it: it writes session id and `since` into them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import NamedTuple

from sessiond.client.doubt import told
from sessiond.client.unanswered import Unanswered
from sessiond.cursor import Cursor
from sessiond.errors import InvalidArgument, NotAttached, SessionNotFound
from sessiond.v1.live_pb2 import (
    Attach,
    Attached,
    ClientFrame,
    Detach,
    Error,
    Reply,
    Reset,
    ServerFrame,
    Token,
)

FAULT_SECONDS = 1.0
"""The pause after a server's fault, so that one that does not pass costs little."""

CHANGES = frozenset(
    {
        "append",
        "update",
        "submit_output",
        "edit_output",
        "approve",
        "pause",
        "resume",
        "begin_turn",
        "end_turn",
        "cancel",
        "rewind",
        "set_hold",
        "share",
        "unshare",
        "make_link",
        "revoke_link",
        "transfer",
    }
)
"""The frames that get a reply, by their names in the oneof."""


class State(Enum):
    """How a link stands on the stream that there is."""

    AWAY = "away"
    ATTACHING = "attaching"
    ATTACHED = "attached"
    ENDED = "ended"


class Heard(NamedTuple):
    """What follows from a frame.

    Attributes:
        frames: what to hand on to the reader, in order.
        writes: what to say to the server, in order.
        again: seconds after which to say `attach()` again; None unless the attachment has ended.
    """

    frames: Sequence[ServerFrame] = ()
    writes: Sequence[ClientFrame] = ()
    again: float | None = None


NOTHING = Heard()


def frames_in(frame: ServerFrame) -> Sequence[ServerFrame]:
    """Return the single frames that a server's message holds, in order."""
    return frame.batch or (frame,)


class Link:
    """One session, followed and changed over one stream after another.

    `cursor` is where the reader stands already; `tail` is how many messages a snapshot shall hold.
    """

    def __init__(self, session_id: str, *, cursor: str | None = None, tail: int | None = None):
        self.session_id = session_id
        self.state = State.AWAY
        self._tail = tail
        self._given = cursor or None
        self._log_id, self._seq = (Cursor.parse(cursor) if cursor else None) or ("", 0)
        self._changes_log_id = self._log_id
        # Whether the reader holds no whole session: a snapshot must come before events do.
        self._void = not cursor
        self._reset_owed = ""
        self._snapshot_at: tuple[str, int] | None = None
        self._introduced = False
        self._caught_up = False
        self._head_seq = 0
        self._lengths: dict[str, int] = {}
        self._said = Unanswered()

    @property
    def cursor(self) -> str | None:
        """`<logId>.<seq>` of the last thing that was handed on; None while that is nothing."""
        return str(Cursor(self._log_id, self._seq)) if self._log_id else self._given

    @property
    def seq(self) -> int:
        """The seq of the last event or snapshot that was handed on; 0 while that is nothing."""
        return self._seq

    @property
    def unanswered(self) -> list[ClientFrame]:
        """The changes that have no reply yet, in order; of begins those whose turn may run."""
        return self._said.frames

    def attach(self) -> ClientFrame:
        """Return what to say first on a new stream, and after each `Heard.again`.

        Raises:
            ValueError: the link has ended.
        """
        if self.state is State.ENDED:
            raise ValueError("the link has ended")
        self.lost()
        self.state = State.ATTACHING
        return ClientFrame(
            attach=Attach(session_id=self.session_id, cursor=self.cursor, tail=self._tail)
        )

    def detach(self) -> Sequence[ClientFrame]:
        """End the link, and return what to say to the server."""
        frames = self.withdraw()
        self.state = State.ENDED
        return frames

    def withdraw(self) -> Sequence[ClientFrame]:
        """Leave a stream for another one, and return what to say to the server that is left."""
        said = self.state in (State.ATTACHING, State.ATTACHED)
        self.lost()
        return [ClientFrame(detach=Detach(session_id=self.session_id))] if said else ()

    def rewind(self, seq: int) -> Sequence[ClientFrame]:
        """Go back, so that events after `seq` come once more, and return what to say to the server.

        Nothing happens where the reader holds no whole session, or is not that far.
        """
        if self._void or not self._log_id or seq >= self._seq:
            return ()
        self._seq = seq
        if self.state is State.AWAY:
            return ()
        detach = ClientFrame(detach=Detach(session_id=self.session_id))
        return (detach, self.attach())

    def lost(self) -> None:
        """Note that the stream is gone, in whatever way."""
        if self.state is not State.ENDED:
            self.state = State.AWAY
        self._said.lost()

    def in_doubt(self, op_id: str) -> bool:
        """Return whether a change may have been made without a reply."""
        return self._said.in_doubt(op_id)

    def send(self, frame: ClientFrame) -> Sequence[ClientFrame]:
        """Take a change, token or presence, and return what to write now.

        A change waits until it has a reply, over any number of streams; one under an operation id
        that waits already is the same change. Presence is dropped while the session is not
        attached. So is a token, and one that would leave a hole after the turn was taken up again:
        the begin's next reply says where to go on.

        Raises:
            InvalidArgument: a change without an operation id, or another session's frame.
            IdempotencyMismatch: another change waits under this operation id.
            RateLimited: too many changes wait.
            ValueError: it is none of these frames.
        """
        kind = frame.WhichOneof("frame")
        if kind is None or (kind not in CHANGES and kind not in ("token", "presence")):
            raise ValueError(f"not for a session: {kind}")
        message = getattr(frame, kind)
        if not message.session_id:
            message.session_id = self.session_id
        elif message.session_id != self.session_id:
            raise InvalidArgument.of("session_id", "must be the session that is attached")
        if kind == "token":
            return self._said.write_token(frame)
        if kind == "presence":
            return (frame,) if self.state is State.ATTACHED else ()
        return tuple(self._said.add(frame, kind, self._seen))

    def receive(self, frame: ServerFrame) -> Heard:
        """Take one frame, no batch, of this session or about its stream, and say what follows."""
        kind = frame.WhichOneof("frame")
        if kind == "event":
            return self._event(frame)
        if kind == "reply":
            return self._reply(frame)
        if kind == "goaway":
            return self._goaway(frame)
        if self.state is State.ATTACHING:
            return self._attached(frame) if kind == "attached" else self._reset(frame, kind)
        if self.state is not State.ATTACHED:
            return NOTHING
        match kind:
            case "token":
                return self._token(frame.token)
            case "snapshot":
                return self._snapshot(frame)
            case "caught_up":
                if self._void or self._caught_up:
                    return NOTHING
                self._caught_up = True
                return Heard((frame,))
            case "presence":
                return Heard((frame,))
        return self._reset(frame, kind)

    def _attached(self, frame: ServerFrame) -> Heard:
        attached = frame.attached
        frames: list[ServerFrame] = []
        if attached.recovered and (self._void or attached.log_id != self._log_id):
            return self._fault()
        self.state = State.ATTACHED
        self._head_seq = attached.head_seq
        if not attached.recovered and not self._void:
            self._reset_owed = self._why_not_served(attached)
            self._forget()
        if self._changes_log_id and self._changes_log_id != attached.log_id:
            frames.extend(self._refused())
        self._changes_log_id = attached.log_id
        if attached.recovered and self._introduced:
            frames.extend(self._grown(attached))
        else:
            frames.append(frame)
            self._introduced = True
            self._caught_up = False
            self._snapshot_at = None
            self._lengths = {turn.turn_id: len(turn.text) for turn in attached.turns}
        return Heard(frames, self._said.attached(self._seen))

    @property
    def _seen(self) -> int:
        # Before a snapshot is whole, what the server said of its head does as well: what is said
        # only now can only come after that.
        return self._seq or self._head_seq

    def _why_not_served(self, attached: Attached) -> str:
        if not self._log_id:
            return "CURSOR_INVALID"
        return "CURSOR_TOO_OLD" if attached.log_id == self._log_id else "LOG_CHANGED"

    def _grown(self, attached: Attached) -> Iterator[ServerFrame]:
        """Yield what running turns have gained since the reader last saw them."""
        for turn in attached.turns:
            have = self._lengths.get(turn.turn_id, 0)
            self._lengths[turn.turn_id] = max(have, len(turn.text))
            if len(turn.text) > have:
                yield self._piece(turn.turn_id, have, turn.text[have:])

    def _refused(self) -> Iterator[ServerFrame]:
        """Yield replies to what was meant for a session that is gone: another has its id now."""
        for op_id, in_doubt in self._said.clear().items():
            failure = told(SessionNotFound(), in_doubt=in_doubt)
            error = Error(code=failure.reason, detail=failure.detail)
            yield ServerFrame(reply=Reply(session_id=self.session_id, op_id=op_id, error=error))

    def _event(self, frame: ServerFrame) -> Heard:
        event = frame.event
        seq = event.seq
        if self.state is not State.ATTACHED:
            return NOTHING
        if seq != self._seq + 1 or self._void:
            return self._fault() if seq > self._seq else NOTHING
        self._seq = seq
        kind = event.WhichOneof("event")
        if kind == "turn_begun":
            self._lengths.setdefault(event.turn_begun.turn_id, 0)
        elif kind == "turn_ended":
            turn_id = event.turn_ended.turn_id
            self._lengths.pop(turn_id, None)
            return Heard((frame,), self._said.turn_ended(turn_id))
        return Heard((frame,))

    def _snapshot(self, frame: ServerFrame) -> Heard:
        part = frame.snapshot
        if not self._void:
            return NOTHING
        at = (part.log_id, part.seq)
        if part.WhichOneof("part") == "state":
            self._snapshot_at = at
            running = part.state.turn.turn_id if part.state.HasField("turn") else ""
            self._lengths = {running: self._lengths.get(running, 0)} if running else {}
        elif self._snapshot_at != at:
            return self._fault()
        if part.last:
            self._log_id, self._seq = at
            self._void = False
            self._snapshot_at = None
        return Heard((*self._owed(), frame))

    def _token(self, token: Token) -> Heard:
        have = self._lengths.get(token.turn_id)
        if have is None:
            return NOTHING  # of a turn that has ended
        if token.offset > have:
            return self._fault()
        end = token.offset + len(token.text)
        if end <= have:
            return NOTHING
        self._lengths[token.turn_id] = end
        return Heard((self._piece(token.turn_id, have, token.text[have - token.offset :]),))

    def _reset(self, frame: ServerFrame, kind: str | None) -> Heard:
        if kind != "reset" or (self._void and not self._reset_owed):
            return NOTHING
        self._reset_owed = frame.reset.reason
        self._forget()
        return Heard(self._owed())

    def _reply(self, frame: ServerFrame) -> Heard:
        reply = frame.reply
        if reply.error.code == NotAttached.reason:
            # It crossed with the end of the attachment, and is said again on the next one.
            return self._away(0.0) if self.state is State.ATTACHED else NOTHING
        writes = self._said.answered(reply)
        if writes is None and reply.op_id:
            return NOTHING
        return Heard((frame,), writes or ())

    def _goaway(self, frame: ServerFrame) -> Heard:
        goaway = frame.goaway
        if self.state is State.ENDED:
            return NOTHING
        if goaway.HasField("session_id") and goaway.reason == NotAttached.reason:
            return NOTHING  # answers a detach, and perhaps after the session was attached again
        if goaway.reconnect:
            return self._away(goaway.retry_after_ms / 1000)
        self._said.ended()
        self.state = State.ENDED
        return Heard((frame,))

    def _away(self, seconds: float) -> Heard:
        self.lost()
        return Heard(again=seconds)

    def _fault(self) -> Heard:
        """Leave, to come back by the cursor: the server left something out."""
        self.lost()
        detach = ClientFrame(detach=Detach(session_id=self.session_id))
        return Heard((), (detach,), FAULT_SECONDS)

    def _forget(self) -> None:
        self._void = True
        self._log_id, self._seq, self._given = "", 0, None
        self._caught_up = False

    def _owed(self) -> Sequence[ServerFrame]:
        """Return the reset that the reader must hear before the snapshot, unless it has."""
        reason, self._reset_owed = self._reset_owed, ""
        if not reason:
            return ()
        return (ServerFrame(reset=Reset(session_id=self.session_id, reason=reason)),)

    def _piece(self, turn_id: str, offset: int, text: str) -> ServerFrame:
        return ServerFrame(
            token=Token(session_id=self.session_id, turn_id=turn_id, offset=offset, text=text)
        )
