"""Values that stand in a path or a query: text, typed by their field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from sessiond.errors import Violations
from sessiond.mapping.reading import UNKNOWN, Fill, filler

_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,19})")
_INTEGERS = (
    *(FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_INT64),
    *(FieldDescriptor.TYPE_UINT32, FieldDescriptor.TYPE_UINT64),
)


def unescape(raw: bytes) -> str | None:
    """Return what a percent-encoded part of a URL spells; None when that is not UTF-8."""
    if _BAD_ESCAPE.search(raw):
        return None
    try:
        return unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        return None


class TextReader:
    """Reads one text into one field of a message."""

    def __init__(self, field: FieldDescriptor) -> None:
        self._fill: Fill = filler(field)
        self._is_integer = field.type in _INTEGERS
        self._is_truth = field.type == FieldDescriptor.TYPE_BOOL

    def fill(self, message: Message, text: str, path: str, violations: Violations) -> None:
        """Set the field, or name it as bad."""
        value: object = text
        if self._is_integer and _INTEGER.fullmatch(text):
            value = int(text)
        elif self._is_truth:
            value = {"true": True, "false": False}.get(text, text)
        self._fill(message, value, path, violations)


class QueryReader:
    """Reads a query string into some fields of a message; each may stand there once.

    `lists` are the fields of several texts, by the name that stands there once for each.
    """

    def __init__(
        self, message: Descriptor, fields: list[str], *, lists: Mapping[str, str] | None = None
    ) -> None:
        self._readers = {
            message.fields_by_name[name].json_name: TextReader(message.fields_by_name[name])
            for name in fields
        }
        self._lists = lists or {}

    def fill(self, message: Message, query: bytes, violations: Violations) -> None:
        """Set what the query says, and name unknown, repeated and malformed parameters."""
        seen: set[str] = set()
        for part in query.split(b"&") if query else ():
            raw_name, _, raw_value = part.replace(b"+", b" ").partition(b"=")
            name, value = unescape(raw_name), unescape(raw_value)
            if name is None:
                violations.add("query", "must be percent-encoded UTF-8")
            elif name not in self._readers and name not in self._lists:
                violations.add(name, UNKNOWN)
            elif name in seen and name not in self._lists:
                violations.add(name, "must be given once")
            elif value is None:
                violations.add(name, "must be percent-encoded UTF-8")
            elif name in self._lists:
                getattr(message, self._lists[name]).append(value)
            else:
                self._readers[name].fill(message, value, name, violations)
            if name is not None:
                seen.add(name)
