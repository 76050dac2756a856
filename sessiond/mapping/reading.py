"""From JSON to messages: strict, and every bad field is named at once.

Whether a value makes sense is for the rules to say; here it only has to be of its field's type.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Container, Mapping
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from sessiond.errors import Violations
from sessiond.mapping.spelling import is_json_object, is_time, map_value, time_of, words
from sessiond.v1.live_pb2 import NullableString
from sessiond.v1.options_pb2 import null_of

Fill = Callable[[Message, Any, str, Violations], None]
Read = Callable[[Any, str, Violations], Any]

_INTEGERS = {
    FieldDescriptor.TYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_UINT64: (0, 2**64 - 1),
}

UNKNOWN = "is not a field of this request"
REQUIRED = "is required"
NOT_NULL = "must not be null"
NOT_TEXT = "must be text of valid Unicode"


class ObjectReader:
    """Reads JSON objects into messages of one kind.

    Fields in `elsewhere` (proto names) stand in the path or in headers, so in the object they are
    unknown. Fields without presence are required, unless they are lists, maps or `null_of` another;
    those in `required` are as well, and those in `optional` are not.
    """

    def __init__(
        self,
        message: Descriptor,
        *,
        elsewhere: Container[str] = (),
        required: Container[str] = (),
        optional: Container[str] = (),
    ) -> None:
        self._fills: dict[str, Fill] = {}
        self._when_null: dict[str, str] = {}
        self._required: list[str] = []
        for field in message.fields:
            if field.name in elsewhere:
                continue
            nulled = field.GetOptions().Extensions[null_of]
            if nulled:
                self._when_null[message.fields_by_name[nulled].json_name] = field.name
                continue
            self._fills[field.json_name] = filler(field)
            if field.name not in optional and (field.name in required or is_required(field)):
                self._required.append(field.json_name)

    def fill(
        self, message: Message, found: Mapping[str, Any], violations: Violations, path: str = ""
    ) -> None:
        """Set what the object says; `path` stands before the names of bad fields."""
        for key, value in found.items():
            fill = self._fills.get(key)
            if fill is None:
                violations.add(path + key, UNKNOWN)
            elif value is None:
                flag = self._when_null.get(key)
                if flag is None:
                    violations.add(path + key, NOT_NULL)
                else:
                    setattr(message, flag, True)
            else:
                fill(message, value, path + key, violations)
        for key in self._required:
            if key not in found:
                violations.add(path + key, REQUIRED)


def is_required(field: FieldDescriptor) -> bool:
    """Return whether a request must say something about the field."""
    return not field.has_presence and not field.is_repeated


def filler(field: FieldDescriptor) -> Fill:
    """Return the function that sets one field of a message from a JSON value other than null."""
    name = field.name
    value_field = map_value(field)
    if value_field is not None:
        return _map_filler(name, value_field)
    if field.is_repeated and field.message_type is not None:
        return _messages_filler(name, ObjectReader(field.message_type))
    if field.is_repeated:
        return _list_filler(name, _scalar(field))
    if is_time(field):
        return _fill_time(name)
    if is_json_object(field):
        return _fill_free_object(name)
    if field.message_type is not None:
        return _message_filler(name, ObjectReader(field.message_type))
    read = _scalar(field)

    def fill(message: Message, value: Any, path: str, violations: Violations) -> None:
        read_value = read(value, path, violations)
        if read_value is not None:
            setattr(message, name, read_value)

    return fill


def _fill_free_object(name: str) -> Fill:
    def fill(message: Message, value: Any, path: str, violations: Violations) -> None:
        if not isinstance(value, dict):
            violations.add(path, "must be an object")
            return
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        if is_unicode(text):
            getattr(message, name).text = text
        else:
            violations.add(path, "must hold valid Unicode only")

    return fill


def _fill_time(name: str) -> Fill:
    def fill(message: Message, value: Any, path: str, violations: Violations) -> None:
        time = time_of(value) if isinstance(value, str) else None
        if time is None:
            violations.add(path, "must be a time as RFC 3339 spells it: 2026-11-22T15:39:48.123Z")
        else:
            getattr(message, name).CopyFrom(time)

    return fill


def _messages_filler(name: str, reader: ObjectReader) -> Fill:
    def fill(message: Message, value: Any, path: str, violations: Violations) -> None:
        if not isinstance(value, list):
            violations.add(path, "must be a list")
            return
        for index, item in enumerate(value):
            where = f"{path}.{index}"
            if isinstance(item, dict):
                reader.fill(getattr(message, name).add(), item, violations, where + ".")
            else:
                violations.add(where, "must be an object")

    return fill


def _message_filler(name: str, reader: ObjectReader) -> Fill:
    def fill(message: Message, value: Any, path: str, violations: Violations) -> None:
        if not isinstance(value, dict):
            violations.add(path, "must be an object")
            return
        inner = getattr(message, name)
        inner.SetInParent()
        reader.fill(inner, value, violations, path + ".")

    return fill


def _map_filler(name: str, value_field: FieldDescriptor) -> Fill:
    kind = value_field.message_type
    nullable = kind is not None
    if kind is not None and kind.full_name != NullableString.DESCRIPTOR.full_name:
        raise TypeError(f"{value_field.full_name}: maps of requests hold texts")
    read = _text if nullable else _scalar(value_field)

    def fill(message: Message, value: Any, path: str, violations: Violations) -> None:
        if not isinstance(value, dict):
            violations.add(path, "must be an object")
            return
        entries = getattr(message, name)
        for key, item in value.items():
            where = f"{path}.{key}"
            if not is_unicode(key):
                violations.add(where, "must have a name of valid Unicode")
            elif item is None and nullable:
                entries[key].SetInParent()
            elif item is None:
                violations.add(where, NOT_NULL)
            elif (entry := read(item, where, violations)) is not None:
                if nullable:
                    entries[key].value = entry
                else:
                    entries[key] = entry

    return fill


def _list_filler(name: str, read: Read) -> Fill:
    def fill(message: Message, value: Any, path: str, violations: Violations) -> None:
        if not isinstance(value, list):
            violations.add(path, "must be a list")
            return
        items = [read(item, f"{path}.{index}", violations) for index, item in enumerate(value)]
        getattr(message, name).extend(item for item in items if item is not None)

    return fill


def is_unicode(text: str) -> bool:
    """Return whether the text has a UTF-8 form: JSON can spell a lone surrogate, UTF-8 cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _text(value: Any, path: str, violations: Violations) -> str | None:
    if isinstance(value, str) and is_unicode(value):
        return value
    violations.add(path, NOT_TEXT)
    return None


def _truth(value: Any, path: str, violations: Violations) -> bool | None:
    if isinstance(value, bool):
        return value
    violations.add(path, "must be true or false")
    return None


def _number(value: Any, path: str, violations: Violations) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number
    violations.add(path, "must be a finite number")
    return None


def _scalar(field: FieldDescriptor) -> Read:
    if field.enum_type is not None:
        return _word(words(field.enum_type).by_word)
    if field.type == FieldDescriptor.TYPE_STRING:
        return _text
    if field.type == FieldDescriptor.TYPE_BOOL:
        return _truth
    if field.type == FieldDescriptor.TYPE_DOUBLE:
        return _number
    if field.type in _INTEGERS:
        return _integer(*_INTEGERS[field.type])
    raise TypeError(f"{field.full_name}: requests have no fields of this type")


def _integer(least: int, most: int) -> Read:
    expected = f"must be an integer from {least} to {most}"

    def read(value: Any, path: str, violations: Violations) -> int | None:
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        violations.add(path, expected)
        return None

    return read


def _word(by_word: Mapping[str, int]) -> Read:
    expected = "must be one of: " + ", ".join(by_word)

    def read(value: Any, path: str, violations: Violations) -> int | None:
        if isinstance(value, str) and value in by_word:
            return by_word[value]
        violations.add(path, expected)
        return None

    return read
