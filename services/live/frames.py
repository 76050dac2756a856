"""Frames of the live stream as bytes: encoded once, and joined without being encoded again.

Every frame is encoded inside `batch`, a repeated field, so that frames put one after the other are
one message that holds them all.
"""

from __future__ import annotations

from sessiond.encoding import as_field, field_tag
from sessiond.errors import SessiondError
from sessiond.event_wire import event_bytes
from sessiond.frame_failures import to_error, to_goaway
from sessiond.session.events import Record
from sessiond.v1.live_pb2 import MakeLinkResponse, Reply, ServerFrame, TurnProgress

_BATCH = field_tag(ServerFrame.BATCH_FIELD_NUMBER)
_REPLY = field_tag(ServerFrame.REPLY_FIELD_NUMBER)


def encoded(frame: ServerFrame) -> bytes:
    """Return the frame as a batch of one."""
    return as_field(_BATCH, frame.SerializeToString())


def event(record: Record, session_id: str) -> bytes:
    """Return the frame that shows an event."""
    return as_field(_BATCH, event_bytes(record, session_id))


def goaway(error: SessiondError, *, session_id: str | None = None, cursor: str = "") -> bytes:
    """Return the frame that ends an attachment, or the stream, by this failure."""
    told = to_goaway(error, session_id=session_id, cursor=cursor)
    return encoded(ServerFrame(goaway=told))


def reply(
    session_id: str,
    op_id: str,
    seq: int,
    turn: TurnProgress | None = None,
    link: MakeLinkResponse | None = None,
) -> bytes:
    """Return the answer to a change that was made."""
    return _reply(Reply(session_id=session_id, op_id=op_id, seq=seq, turn=turn, link=link))


def refusal(session_id: str, op_id: str, error: SessiondError) -> bytes:
    """Return the answer to a change that was not made, or of which that is not known."""
    return _reply(Reply(session_id=session_id, op_id=op_id, error=to_error(error)))


def _reply(reply: Reply) -> bytes:
    return as_field(_BATCH, as_field(_REPLY, reply.SerializeToString()))
