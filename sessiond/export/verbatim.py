"""Free objects of an export, kept to the letter.

Their text is the caller's: `1.10` and `{"a": 1}` are to come back as they went. What parses JSON
makes values of it, so the text is taken from where it stands.
"""

from __future__ import annotations

import json
import re
from typing import Any

from google.protobuf.message import Message

from sessiond.mapping.spelling import is_json_object, is_time, map_value

_SPACE = re.compile(r"[ \t\r\n]*")
_decode = json.JSONDecoder().raw_decode


def keep_texts(message: Message, text: str) -> None:
    """Set each free object of a message to its text.

    `text` is the JSON that the message was read from, so that it is known to be good.
    """
    _walk(message, text, text.index("{"))


def _walk(message: Message, text: str, at: int) -> int:
    """Go through the object that begins here; return where it ends."""
    kind: Any = message.DESCRIPTOR
    fields = {field.json_name: field for field in kind.fields}
    at = _after_space(text, at + 1)
    while text[at] != "}":
        key, at = _decode(text, at)
        at = _after_space(text, _after_space(text, at) + 1)
        field = fields.get(key)
        if field is not None and is_json_object(field):
            _, end = _decode(text, at)
            getattr(message, field.name).text = text[at:end]
        elif (
            field is not None
            and field.message_type is not None
            and not (field.is_repeated or is_time(field) or map_value(field))
        ):
            end = _walk(getattr(message, field.name), text, at)
        else:
            _, end = _decode(text, at)
        at = _after_space(text, end)
        if text[at] == ",":
            at = _after_space(text, at + 1)
    return at + 1


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at
