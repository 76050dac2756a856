"""Messages of the contract as JSON, in the one mapping that REST shows, and back.

camelCase names, words in lower case, RFC 3339 times, 64-bit integers as numbers; fields without
presence always stand there; free objects stand as they are.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from sessiond.cli.failures import CommandFailure
from sessiond.v1.live_pb2 import NullableString
from sessiond.v1.options_pb2 import null_of
from sessiond.v1.session_pb2 import JsonObject

_INTEGERS = (FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_INT64)


def shown(message: Message) -> Any:
    """Return what `json.dumps` turns into the JSON of a message."""
    if isinstance(message, Timestamp):
        second = datetime.fromtimestamp(message.seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{second}.{message.nanos // 1_000_000:03d}Z"
    if isinstance(message, JsonObject):
        return json.loads(message.text or "{}")
    if isinstance(message, NullableString):
        return message.value if message.HasField("value") else None
    found: dict[str, Any] = {}
    kind: Any = message.DESCRIPTOR
    for field in kind.fields:
        absent = field.has_presence and not message.HasField(field.name)
        if absent and (not _is_free_object(field) or field.containing_oneof is not None):
            continue
        value = getattr(message, field.name)
        entry = _map_value(field)
        if entry is not None:
            found[field.json_name] = {key: _single(entry, value[key]) for key in sorted(value)}
        elif field.is_repeated:
            found[field.json_name] = [_single(field, item) for item in value]
        else:
            found[field.json_name] = _single(field, value)
    return found


def line(message: Message) -> str:
    """Return the JSON of a message on one line."""
    return json.dumps(shown(message), ensure_ascii=False, separators=(",", ":"))


def object_of(text: str, what: str) -> dict[str, Any]:
    """Return the JSON object that a text holds; `what` names it.

    Raises:
        CommandFailure: it holds none.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as failure:
        raise CommandFailure(f"{what} is no JSON: {failure}") from None
    if not isinstance(found, dict):
        raise CommandFailure(f"{what} must be a JSON object")
    return found


def fill(message: Message, found: Mapping[str, Any], path: str = "") -> None:
    """Set what a JSON object says; names may be those of JSON or of the proto.

    Whether values make sense is for the server to say.

    Raises:
        CommandFailure: a field is unknown, or its value is of another type.
    """
    fields: dict[str, FieldDescriptor] = {}
    nulled: dict[str, str] = {}
    kind: Any = message.DESCRIPTOR
    for field in kind.fields:
        fields[field.name] = fields[field.json_name] = field
        if flagged := field.GetOptions().Extensions[null_of]:
            nulled[flagged] = field.name
    for key, value in found.items():
        where = path + key
        known = fields.get(key)
        if known is None:
            names = ", ".join(each.json_name for each in kind.fields)
            raise CommandFailure(f"{where} is no field of {kind.name}: {names}")
        if value is not None:
            _set(message, known, value, where)
        elif known.name in nulled:
            setattr(message, nulled[known.name], True)
        else:
            raise CommandFailure(f"{where} must not be null")


def _set(message: Message, field: FieldDescriptor, value: Any, where: str) -> None:
    try:
        entry = _map_value(field)
        if entry is not None:
            for key, item in _object(value, where).items():
                _set_entry(getattr(message, field.name), entry, key, item, f"{where}.{key}")
        elif field.is_repeated:
            if not isinstance(value, list):
                raise CommandFailure(f"{where} must be a list")
            getattr(message, field.name).extend(_scalar(field, item, where) for item in value)
        elif _is_free_object(field):
            text = json.dumps(_object(value, where), ensure_ascii=False, allow_nan=False)
            getattr(message, field.name).text = text
        elif field.message_type is not None:
            inner = getattr(message, field.name)
            inner.SetInParent()
            fill(inner, _object(value, where), where + ".")
        else:
            setattr(message, field.name, _scalar(field, value, where))
    except (ValueError, TypeError):  # a number out of range, half a surrogate pair, NaN
        raise CommandFailure(f"{where} has a value that its field does not take") from None


def _set_entry(entries: Any, entry: FieldDescriptor, key: str, item: Any, where: str) -> None:
    if entry.message_type is None:
        entries[key] = _scalar(entry, item, where)
    elif item is None:
        entries[key].SetInParent()
    else:
        entries[key].value = _scalar(entry.message_type.fields_by_name["value"], item, where)


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise CommandFailure(f"{where} must be an object")
    return value


def _scalar(field: FieldDescriptor, value: Any, where: str) -> Any:
    if field.enum_type is not None:
        words = {word: number for number, word in _words(field.enum_type).items() if number}
        if value not in words:
            raise CommandFailure(f"{where} must be one of {', '.join(words)}")
        return words[value]
    kind, expected = (
        (bool, "true or false")
        if field.type == FieldDescriptor.TYPE_BOOL
        else (str, "text")
        if field.type == FieldDescriptor.TYPE_STRING
        else (int, "an integer")
        if field.type in _INTEGERS
        else (int | float, "a number")
    )
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise CommandFailure(f"{where} must be {expected}")
    if isinstance(value, float) and not math.isfinite(value):
        raise CommandFailure(f"{where} must be a finite number")
    return value


def _single(field: FieldDescriptor, value: Any) -> Any:
    if field.enum_type is not None:
        return _words(field.enum_type)[value]
    return shown(value) if field.message_type is not None else value


def _words(enum: EnumDescriptor) -> dict[int, str]:
    prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", enum.name).upper() + "_"
    return {each.number: each.name.removeprefix(prefix).lower() for each in enum.values}


def _map_value(field: FieldDescriptor) -> FieldDescriptor | None:
    entry = field.message_type
    if entry is None or not entry.GetOptions().map_entry:
        return None
    return entry.fields_by_name["value"]


def _is_free_object(field: FieldDescriptor) -> bool:
    return field.message_type is not None and (
        field.message_type.full_name == JsonObject.DESCRIPTOR.full_name
    )
