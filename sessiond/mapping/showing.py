"""From messages to JSON.

Fields without presence always stand there: "", 0, [], {}. Fields marked `optional`, and messages
that are not set, are left out. A free object that is not marked `optional`, and is not one of
several things of which only one is there, is {} when not set.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import orjson
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from sessiond.mapping.spelling import is_json_object, map_value, time_text, words
from sessiond.v1.live_pb2 import NullableString
from sessiond.v1.session_pb2 import JsonObject

Show = Callable[[Any], Any]


class _Step(NamedTuple):
    key: str
    name: str
    show: Show | None
    when_set: bool


def to_json(message: Message) -> bytes:
    """Return the JSON of a message."""
    return orjson.dumps(shower(message.DESCRIPTOR)(message))


def one_line(data: bytes) -> bytes:
    """Return the JSON without line breaks: free objects, kept as text, may hold some of their own.

    They stand between the parts of the JSON only; inside a text they are escaped.
    """
    return data.replace(b"\r", b" ").replace(b"\n", b" ")


def _object_text(value: JsonObject) -> orjson.Fragment:
    # Store keeps only text that the rules have checked, so that it can stand here as it is.
    return orjson.Fragment(value.text or "{}")


def _nullable(value: NullableString) -> str | None:
    return value.value if value.HasField("value") else None


_WELL_KNOWN: dict[str, Show] = {
    Timestamp.DESCRIPTOR.full_name: time_text,
    JsonObject.DESCRIPTOR.full_name: _object_text,
    NullableString.DESCRIPTOR.full_name: _nullable,
}


@cache
def shower(message: Descriptor) -> Show:
    """Return the function that turns messages of this kind into what orjson can dump."""
    known = _WELL_KNOWN.get(message.full_name)
    if known is not None:
        return known
    steps = [
        _Step(field.json_name, field.name, _field(field), _only_when_set(field))
        for field in message.fields
    ]

    def show(value: Any) -> dict[str, Any]:
        shown = {}
        for key, name, convert, when_set in steps:
            if when_set and not value.HasField(name):
                continue
            inner = getattr(value, name)
            shown[key] = inner if convert is None else convert(inner)
        return shown

    return show


def _only_when_set(field: FieldDescriptor) -> bool:
    if is_json_object(field):
        return field.containing_oneof is not None  # so is what is marked `optional`
    return field.has_presence


def _field(field: FieldDescriptor) -> Show | None:
    value = map_value(field)
    if value is not None:
        return _map(_single(value))
    single = _single(field)
    return _list(single) if field.is_repeated else single


def _single(field: FieldDescriptor) -> Show | None:
    if field.enum_type is not None:
        return words(field.enum_type).by_number.__getitem__
    if field.message_type is not None:
        return shower(field.message_type)
    if field.type == FieldDescriptor.TYPE_BYTES:
        raise TypeError(f"{field.full_name}: bytes have no place in this mapping")
    return None


def _map(show: Show | None) -> Show:
    # A map has no order of its own: keys in order make equal sessions equal texts.
    if show is None:
        return lambda entries: dict(sorted(entries.items()))
    return lambda entries: {key: show(entries[key]) for key in sorted(entries)}


def _list(show: Show | None) -> Show:
    if show is None:
        return list
    return lambda items: [show(item) for item in items]
