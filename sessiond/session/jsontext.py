"""Free-form JSON objects, kept as text: checked once, merged by RFC 7396.

The text stays as the caller wrote it, so an integer stays an integer however long it is; only a
merge that changes something writes it anew.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from sessiond.errors import Violations
from sessiond.session.checks import utf8_length
from sessiond.session.limits import Limits

# Strings and all else that is no bracket. The possessive quantifiers and the optional closing
# quote keep the scan linear, also over a text that is no JSON.
_NO_BRACKETS = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[^\[\]{}"]++', re.DOTALL)
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


class _Refused(ValueError):
    """What is wrong with a text, as the caller shall read it."""


def check_object(text: str, field: str, found: Violations, *, limit: int, depth: int) -> None:
    """Check that the text is one JSON object of at most `limit` bytes and `depth` levels.

    Refused too: duplicate keys, NaN and infinities, numbers beyond a double, integers of more than
    4,300 digits, lone surrogates. The object itself is the first level.
    """
    length = utf8_length(text, field, found)
    if length > limit:
        found.add(field, f"must be at most {limit} bytes of UTF-8, not {length}")
        return
    if deeper_than(text, depth):
        found.add(field, f"must be at most {depth} levels deep")
        return
    try:
        value = _parse(text)
        if not isinstance(value, dict):
            raise _Refused("must be a JSON object")
        if _SURROGATE_ESCAPE.search(text):
            _refuse_surrogates(value)
    except _Refused as refused:
        found.add(field, str(refused))


def check_message_metadata(text: str | None, found: Violations, limits: Limits) -> None:
    """Check the metadata of a message or an output. None, for no metadata, is good."""
    if text is not None:
        limit, depth = limits.message_metadata, limits.json_depth
        check_object(text, "metadata", found, limit=limit, depth=depth)


def deeper_than(text: str, depth: int) -> bool:
    """Whether arrays and objects nest deeper than this: a linear scan that needs no parser."""
    level = 0
    for bracket in _NO_BRACKETS.sub("", text):
        if bracket in "[{":
            level += 1
            if level > depth:
                return True
        else:
            level -= 1
    return False


def merge_patch(target: str, patch: str) -> str:
    """Return the target after the JSON Merge Patch; the very same text when nothing changes.

    Both are texts of objects that `check_object` found good.
    """
    old = json.loads(target)
    new = _merged(old, json.loads(patch))
    return target if _same(old, new) else json.dumps(new, ensure_ascii=False, separators=(",", ":"))


def same_object(one: str, other: str) -> bool:
    """Whether two good texts say the same; 1, 1.0 and true are three different things."""
    return one == other or _same(json.loads(one), json.loads(other))


def _merged(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(merged.get(key), value)
    return merged


def _same(one: Any, other: Any) -> bool:
    # Python's own == takes 1, 1.0 and true for the same.
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def _parse(text: str) -> Any:
    try:
        return json.loads(
            text,
            object_pairs_hook=_unique,
            parse_float=_finite,
            parse_constant=_refuse_constant,
        )
    except _Refused:
        raise
    except json.JSONDecodeError as error:
        raise _Refused(f"must be JSON: {error.msg} at character {error.pos}") from None
    except ValueError:
        # Python itself refuses longer integers: to read them takes quadratic time.
        raise _Refused("must not hold an integer of more than 4300 digits") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Refused("must not hold the same key twice in one object")
    return members


def _finite(literal: str) -> float:
    number = float(literal)
    if math.isinf(number):
        raise _Refused("must not hold a number beyond the range of a double")
    return number


def _refuse_constant(_: str) -> NoReturn:
    raise _Refused("must not hold NaN or Infinity, which are not JSON")


def _refuse_surrogates(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise _Refused("must not hold half of a surrogate pair") from None
