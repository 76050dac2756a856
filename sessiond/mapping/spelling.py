"""How names, enum values and times are spelled in JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.timestamp_pb2 import Timestamp

from sessiond.v1.event_pb2 import LastWord
from sessiond.v1.options_pb2 import header
from sessiond.v1.session_pb2 import JsonObject

# Enums whose zero says something; that of all others is never sent.
_WITH_ZERO = (LastWord.DESCRIPTOR.full_name,)
_WORD_START = re.compile(r"(?<!^)(?=[A-Z])")


class Words(NamedTuple):
    """The words of an enum: by number, and the other way without the one that says nothing."""

    by_number: Mapping[int, str]
    by_word: Mapping[str, int]


@lru_cache
def words(enum: EnumDescriptor) -> Words:
    """Return the words of an enum: `MESSAGE_TYPE_APPROVAL_REQUEST` is `approval_request`."""
    prefix = _WORD_START.sub("_", enum.name).upper() + "_"
    by_number = {
        value.number: value.name.removeprefix(prefix).lower()
        for value in enum.values_by_number.values()
    }
    is_said = bool if enum.full_name not in _WITH_ZERO else lambda _: True
    return Words(by_number, {word: n for n, word in by_number.items() if is_said(n)})


@lru_cache(maxsize=4096)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def time_text(time: Timestamp) -> str:
    """Return RFC 3339 in UTC with milliseconds: `2026-11-22T15:39:48.123Z`."""
    return f"{_second(time.seconds)}.{time.nanos // 1_000_000:03d}Z"


def time_of(text: str) -> Timestamp | None:
    """Return the time that RFC 3339 spells so, with its zone; None where it spells none."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        return None
    if read.tzinfo is None or "T" not in text:
        return None
    time = Timestamp()
    try:
        time.FromDatetime(read)
    except (ValueError, OverflowError):
        return None
    return time


def map_value(field: FieldDescriptor) -> FieldDescriptor | None:
    """Return the field that describes a map's values; None for what is no map."""
    entry = field.message_type
    if entry is None or not entry.GetOptions().map_entry:
        return None
    return entry.fields_by_name["value"]


def is_json_object(field: FieldDescriptor) -> bool:
    """Return whether the field holds any JSON object, as text."""
    return field.message_type is not None and (
        field.message_type.full_name == JsonObject.DESCRIPTOR.full_name
    )


def is_time(field: FieldDescriptor) -> bool:
    """Return whether the field holds a time."""
    return field.message_type is not None and (
        field.message_type.full_name == Timestamp.DESCRIPTOR.full_name
    )


def is_marked_optional(field: FieldDescriptor) -> bool:
    """Return whether the proto says `optional`."""
    return field.containing_oneof is not None and field.containing_oneof.name == f"_{field.name}"


def header_of(field: FieldDescriptor) -> str:
    """Return the HTTP header that the field travels in; "" for all others."""
    return str(field.GetOptions().Extensions[header])


def json_path(message: Descriptor, path: str) -> str:
    """Return the path of a request's field as the HTTP caller wrote it.

    `user_inputs` becomes `userInputs`, `op_id` the name of its header; keys of maps and free
    objects stay: `metadata.my_key`. What is no field of the message stays as it is.
    """
    name, dot, rest = path.partition(".")
    field = message.fields_by_name.get(name)
    if field is None:
        return path
    spelled = header_of(field) or field.json_name
    inner = field.message_type
    if rest and inner is not None and not map_value(field) and not is_json_object(field):
        rest = json_path(inner, rest)
    return spelled + dot + rest
