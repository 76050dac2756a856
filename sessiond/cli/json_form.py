"""What the command prints and reads as JSON: the one mapping, on one line."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message

from sessiond.errors import Violations
from sessiond.mapping.parsing import parse
from sessiond.mapping.reading import ObjectReader
from sessiond.mapping.showing import one_line, to_json
from sessiond.session.limits import DEFAULT_LIMITS

_DEPTH = DEFAULT_LIMITS.json_depth + 1
"""Levels of a request: it may hold free objects."""


def line(message: Message) -> str:
    """Return the JSON of a message on one line."""
    return one_line(to_json(message)).decode()


def object_of(text: str, what: str) -> dict[str, Any]:
    """Return the JSON object that a text holds; `what` names it.

    Raises:
        InvalidArgument: it holds none.
    """
    return parse(text.encode(errors="surrogateescape"), depth=_DEPTH, what=what)


def fill(message: Message, text: str) -> None:
    """Set what a request's JSON says; what it leaves out is for the service to miss.

    Raises:
        InvalidArgument: with every bad field.
    """
    kind: Any = message.DESCRIPTOR
    violations = Violations()
    reader = ObjectReader(kind, optional=kind.fields_by_name)
    reader.fill(message, object_of(text, "request"), violations)
    violations.check()
