"""Frames of the live stream as JSON: what a browser says and hears over a WebSocket.

A frame is an object with one member, named after the thing that it is: `{"append": {...}}`, beside
which a change may have `since`. Several in a row travel as `{"batch": [...]}`. The path of a
WebSocket names its session: frames may leave it out, and may not name another one. The requests
inside are those of REST, but what REST has in headers stands in them: `opId` is required, and
`expectedRevision` is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from sessiond.errors import InvalidArgument, SessiondError, Violations
from sessiond.frame_failures import to_error
from sessiond.mapping.parsing import parse
from sessiond.mapping.reading import NOT_NULL, ObjectReader, filler
from sessiond.mapping.showing import Show, shower
from sessiond.v1.live_pb2 import ClientFrame, Reply, ServerFrame

# A free object may have 64 levels, and stands in a change, in a frame, in a list, in a batch.
JSON_DEPTH = 68

BATCH = "batch"
SINCE = "since"

_CLIENT: Descriptor = ClientFrame.DESCRIPTOR
_SERVER: Descriptor = ServerFrame.DESCRIPTOR
_MAY_BE_LEFT_OUT = ("session_id", "failed", "payload", "typing")
_fill_since = filler(_CLIENT.fields_by_name[SINCE])


class _Kind(NamedTuple):
    name: str
    reader: ObjectReader
    has_session: bool


def _kinds() -> Iterator[tuple[str, _Kind]]:
    for field in _CLIENT.oneofs_by_name["frame"].fields:
        message = field.message_type
        assert message is not None
        reader = ObjectReader(message, required=("op_id",), optional=_MAY_BE_LEFT_OUT)
        yield field.json_name, _Kind(field.name, reader, "session_id" in message.fields_by_name)


_KINDS: Mapping[str, _Kind] = dict(_kinds())
_OF_THE_PATH = ("attach", "detach")


class Said(NamedTuple):
    """One frame of a browser.

    Attributes:
        kind: which thing it is, by its name in the proto.
        frame: the frame, for the session of the path.
        op_id: its operation id; "" where it has none.
        refused: why it cannot be taken; None for a good one.
    """

    kind: str
    frame: ClientFrame
    op_id: str
    refused: InvalidArgument | None


def read_frames(text: str, session_id: str) -> Iterator[Said]:
    """Yield the frames of one message, in order.

    Raises:
        InvalidArgument: here the message, or one of its frames, is nothing that we know. The frames
            before it count.
    """
    found = parse(text.encode("utf-8", "surrogatepass"), depth=JSON_DEPTH, what="frame")
    if BATCH not in found:
        yield _read(found, session_id, "")
        return
    violations = Violations()
    for key in found.keys() - {BATCH}:
        violations.add(key, "must not stand beside a batch")
    frames = found[BATCH]
    if not isinstance(frames, list):
        violations.add(BATCH, "must be a list")
    violations.check()
    for index, frame in enumerate(frames):
        if not isinstance(frame, dict):
            raise InvalidArgument.of(f"{BATCH}.{index}", "must be an object")
        yield _read(frame, session_id, f"{BATCH}.{index}.")


def _read(found: Mapping[str, Any], session_id: str, path: str) -> Said:
    unknown = Violations()
    names = [key for key in found if key in _KINDS]
    for key in found:
        if key not in _KINDS and key != SINCE:
            unknown.add(path + key, "is not a frame, or not one that we know")
        elif key in names[1:]:
            unknown.add(path + key, f"must not stand beside {names[0]}")
    unknown.check()
    if not names:
        raise InvalidArgument(detail="A frame must say something.")
    return _read_one(found, names[0], session_id)


def _read_one(found: Mapping[str, Any], name: str, session_id: str) -> Said:
    kind, value = _KINDS[name], found[name]
    frame, violations = ClientFrame(), Violations()
    message = getattr(frame, kind.name)
    message.SetInParent()
    if name in _OF_THE_PATH:
        violations.add(name, "is not for a WebSocket: its path names the session")
    elif value is None:
        violations.add(name, NOT_NULL)
    elif not isinstance(value, dict):
        violations.add(name, "must be an object")
    else:
        kind.reader.fill(message, value, violations)
        if kind.has_session:
            if message.session_id not in ("", session_id):
                violations.add("sessionId", "must be the session that the path names")
            message.session_id = session_id
    if SINCE in found:
        if found[SINCE] is None:
            violations.add(SINCE, NOT_NULL)
        else:
            _fill_since(frame, found[SINCE], SINCE, violations)
    refused = InvalidArgument(violations.found) if violations.found else None
    return Said(kind.name, frame, getattr(message, "op_id", ""), refused)


# --- what a browser hears --------------------------------------------------------------------


class _Shown(NamedTuple):
    name: str
    show: Show


_SHOWN: Mapping[str, _Shown] = {
    field.name: _Shown(field.json_name, shower(field.message_type))
    for field in _SERVER.oneofs_by_name["frame"].fields
    if field.message_type is not None
}
_FIELDS: Mapping[str, FieldDescriptor] = {
    field.name: field
    for kind in _CLIENT.oneofs_by_name["frame"].fields
    if kind.message_type is not None
    for field in kind.message_type.fields
}


def show_frame(frame: ServerFrame) -> tuple[str, dict[str, Any]]:
    """Return a frame's kind as JSON names it, and what orjson can dump."""
    kind = frame.WhichOneof("frame")
    if kind is None:
        raise ValueError("an empty frame, or a batch")
    shown = _SHOWN[kind]
    return shown.name, {shown.name: shown.show(getattr(frame, kind))}


def show_frames(frames: Sequence[ServerFrame]) -> str:
    """Return the JSON of some frames, as one message: a frame alone, or a batch."""
    shown = [show_frame(frame)[1] for frame in frames]
    return orjson.dumps(shown[0] if len(shown) == 1 else {BATCH: shown}).decode()


def for_browsers(frame: ServerFrame) -> ServerFrame:
    """Return the frame, changed to what is for those outside.

    Where owners of sessions are is for our own network. Bad fields are named as their sender wrote
    them: `user_inputs` becomes `userInputs`.
    """
    kind = frame.WhichOneof("frame")
    if kind in ("attached", "goaway"):
        getattr(frame, kind).ClearField("owner")
    elif kind == "reply":
        for each in frame.reply.error.errors:
            each.field = _json_path(each.field)
    return frame


def refusal(session_id: str, op_id: str, error: SessiondError) -> ServerFrame:
    """Return the reply to a frame that was not taken; bad fields are named as the error does."""
    return ServerFrame(reply=Reply(session_id=session_id, op_id=op_id, error=to_error(error)))


def _json_path(path: str) -> str:
    name, dot, rest = path.partition(".")
    field = _FIELDS.get(name)
    return path if field is None else field.json_name + dot + rest
