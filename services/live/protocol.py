"""The conversation of one stream, without I/O: frames in, actions out.

    expecting hello --hello--> open --close, or a frame that cannot be--> over

The conversation knows which sessions the client has asked for and which are granted, checks what
frames look like, and says what is to be done about each. Doing it is the stream's affair.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError

from services.live.frames import encoded, goaway, refusal
from sessiond import event_wire, standing_wire, wire
from sessiond.errors import (
    InvalidArgument,
    NotAttached,
    SessiondError,
    TooManyAttached,
    Violations,
)
from sessiond.session.changes import Change, PauseSession, ResumeSession
from sessiond.session.checks import check_op_id, check_session_id
from sessiond.session.limits import KIB, MIB, Limits
from sessiond.v1.live_pb2 import ClientFrame, Pong, ServerFrame, StreamLimits, Welcome

FRAME_BYTES = MIB
"""One message of the client, a batch included."""

DEFAULT_TAIL = 50
MOST_TAIL = 1000

_PAYLOAD = 64

_EXPECTING = frozenset(
    field.name
    for field in ClientFrame.DESCRIPTOR.fields
    if field.message_type is not None and "expected_revision" in field.message_type.fields_by_name
)
"""The frames whose changes may be bound to a revision."""


class Greet(NamedTuple):
    """Welcome the client, with a fresh token where it gives one."""

    token: str | None


class Follow(NamedTuple):
    """Attach a session."""

    session_id: str
    cursor: str | None
    tail: int
    frame: ClientFrame


class Leave(NamedTuple):
    """Detach a session."""

    session_id: str
    frame: ClientFrame


class Make(NamedTuple):
    """Make a change. `since` is the seq that the client had seen when it first asked."""

    session_id: str
    change: Change
    op_id: str
    expected_revision: int | None
    since: int
    frame: ClientFrame


class Write(NamedTuple):
    """Take a piece of a turn's text."""

    session_id: str
    turn_id: str
    offset: int
    text: str
    frame: ClientFrame


class Present(NamedTuple):
    """Show the others what this client does."""

    session_id: str
    typing: bool
    frame: ClientFrame


class Say(NamedTuple):
    """Send this frame."""

    frame: bytes


class Finish(NamedTuple):
    """End the stream: the client said goodbye, or what it said cannot be answered otherwise."""

    reason: SessiondError | None


Action = Greet | Follow | Leave | Make | Write | Present | Say | Finish

_CHANGES: dict[str, Any] = {
    "append": wire.append_message_from_wire,
    "update": wire.update_session_from_wire,
    "submit_output": wire.submit_output_from_wire,
    "edit_output": wire.edit_output_from_wire,
    "approve": wire.approve_output_from_wire,
    "pause": lambda _: PauseSession(),
    "resume": lambda _: ResumeSession(),
    "begin_turn": event_wire.begin_turn_from_wire,
    "end_turn": event_wire.end_turn_from_wire,
    "cancel": event_wire.cancel_turn_from_wire,
    "rewind": standing_wire.rewind_from_wire,
    "set_hold": standing_wire.set_hold_from_wire,
    "share": standing_wire.share_from_wire,
    "unshare": standing_wire.unshare_from_wire,
    "make_link": standing_wire.make_link_from_wire,
    "revoke_link": standing_wire.revoke_link_from_wire,
    "transfer": standing_wire.transfer_from_wire,
}


class Conversation:
    """What one client has said so far, and what follows from it."""

    def __init__(self, limits: Limits, *, attached_sessions: int) -> None:
        self._limits = limits
        self._most_attached = attached_sessions
        self._attached: dict[str, bool] = {}
        self._greeted = False
        self._over = False

    def __contains__(self, session_id: str) -> bool:
        """Return whether the session is attached, or about to be."""
        return session_id in self._attached

    def receive(self, data: bytes) -> Iterator[Action]:
        """Return what is to be done about one message of the client, in order."""
        if len(data) > FRAME_BYTES:
            yield self._finish(InvalidArgument(detail="A frame may have at most 1 MiB."))
            return
        try:
            message = ClientFrame.FromString(data)
        except DecodeError:
            yield self._finish(InvalidArgument(detail="This is not a frame."))
            return
        if message.batch and message.WhichOneof("frame") is not None:
            yield self._finish(InvalidArgument(detail="A batch stands alone."))
            return
        for frame in message.batch or (message,):
            if self._over:
                return
            yield self._one(frame)

    def welcome(self) -> bytes:
        """Return the answer to a hello whose caller is known."""
        limits = StreamLimits(
            attached_sessions=self._most_attached,
            frame_bytes=FRAME_BYTES,
            content_bytes=self._limits.content,
        )
        return encoded(ServerFrame(welcome=Welcome(limits=limits)))

    def granted(self, session_id: str) -> None:
        """Note that an attachment stands: the client may speak about the session."""
        if session_id in self._attached:
            self._attached[session_id] = True

    def ended(self, session_id: str) -> None:
        """Note that an attachment has ended, or was refused."""
        self._attached.pop(session_id, None)

    # --- inside ------------------------------------------------------------------------------

    def _finish(self, reason: SessiondError | None) -> Finish:
        self._over = True
        return Finish(reason)

    def _one(self, frame: ClientFrame) -> Action:
        kind = frame.WhichOneof("frame")
        if kind is None or frame.batch:
            return self._finish(InvalidArgument(detail="This is not a frame that we know."))
        if not self._greeted and kind != "hello":
            return self._finish(InvalidArgument(detail="The first frame must be hello."))
        match kind:
            case "hello":
                return self._hello(frame)
            case "ping":
                payload = frame.ping.payload[:_PAYLOAD]
                return Say(encoded(ServerFrame(pong=Pong(payload=payload))))
            case "close":
                return self._finish(None)
            case "attach":
                return self._attach(frame)
            case "detach":
                return Leave(frame.detach.session_id, frame)
        asked = getattr(frame, kind)
        if not self._attached.get(asked.session_id, False):
            return self._refuse(asked, NotAttached())
        if kind == "token":
            return Write(asked.session_id, asked.turn_id, asked.offset, asked.text, frame)
        if kind == "presence":
            return Present(asked.session_id, asked.typing, frame)
        return self._change(kind, asked, frame)

    def _hello(self, frame: ClientFrame) -> Action:
        hello = frame.hello
        if hello.HasField("cursor") or hello.HasField("tail"):
            detail = "Over gRPC, cursor and tail belong to attach."
            return self._finish(InvalidArgument(detail=detail))
        self._greeted = True
        return Greet(hello.token if hello.HasField("token") else None)

    def _attach(self, frame: ClientFrame) -> Action:
        attach = frame.attach
        found = Violations()
        check_session_id(attach.session_id, "session_id", found)
        tail = attach.tail if attach.HasField("tail") else DEFAULT_TAIL
        if not 0 <= tail <= MOST_TAIL:
            found.add("tail", f"must be 0 to {MOST_TAIL}")
        if attach.session_id in self._attached:
            # No goaway: that would end the attachment that stands.
            twice = InvalidArgument.of("session_id", "is attached on this stream already")
            return self._refuse(attach, twice)
        try:
            found.check()
            if len(self._attached) >= self._most_attached:
                raise TooManyAttached
        except SessiondError as error:
            return Say(goaway(error, session_id=attach.session_id))
        self._attached[attach.session_id] = False
        cursor = attach.cursor[: 2 * KIB] if attach.HasField("cursor") else None
        return Follow(attach.session_id, cursor, tail, frame)

    def _change(self, kind: str, asked: Any, frame: ClientFrame) -> Action:
        found = Violations()
        check_op_id(asked.op_id or "", "op_id", found, limits=self._limits)
        revision = None
        if kind in _EXPECTING and asked.HasField("expected_revision"):
            revision = asked.expected_revision
        if frame.since < 0:
            found.add("since", "must not be negative")
        try:
            found.check()
            change = _CHANGES[kind](asked)
        except SessiondError as error:
            return self._refuse(asked, error)
        return Make(asked.session_id, change, asked.op_id, revision, frame.since, frame)

    def _refuse(self, asked: Any, error: SessiondError) -> Say:
        op_id = getattr(asked, "op_id", "")
        return Say(refusal(asked.session_id, op_id, error))
