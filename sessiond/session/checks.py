"""Checks of form: what a field may look like, whatever the session's state.

Each adds what it finds to a `Violations`, so that the caller hears of every bad field at once.
Fields are named as in the protos, in snake case.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from sessiond.errors import Violations
from sessiond.session.limits import DEFAULT_LIMITS, Limits

SESSION_ID = re.compile(r"[A-Za-z0-9._~-]{1,128}")
OP_ID = re.compile(r"[\x20-\x7e]+")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

DEFAULT_PAGE_SIZE = 50
MOST_PAGE_SIZE = 1000


def check_session_id(value: str, field: str, found: Violations) -> None:
    """Session and output ids share one alphabet, which needs no escaping anywhere."""
    if not SESSION_ID.fullmatch(value):
        found.add(field, "must be 1 to 128 characters of A-Z, a-z, 0-9, '.', '_', '~' and '-'")


def check_name(value: str, field: str, found: Violations, *, limit: int) -> None:
    """A user's or an agent's name: 1 to `limit` bytes of UTF-8 without control characters."""
    if not 1 <= utf8_length(value, field, found) <= limit:
        found.add(field, f"must be 1 to {limit} bytes of UTF-8")
    if CONTROL.search(value):
        found.add(field, "must not hold control characters")


def check_user_id(
    value: str, field: str, found: Violations, *, limits: Limits = DEFAULT_LIMITS
) -> None:
    """A user id may hold `:`, `/`, `%` and anything else but control characters."""
    check_name(value, field, found, limit=limits.user_id)


def check_op_id(
    value: str | None, field: str, found: Violations, *, limits: Limits = DEFAULT_LIMITS
) -> None:
    """An operation id travels in headers: printable ASCII. None, for no such id, is good."""
    if value is not None and (len(value) > limits.op_id or not OP_ID.fullmatch(value)):
        found.add(field, f"must be 1 to {limits.op_id} printable ASCII characters")


def check_revision(value: int | None, field: str, found: Violations) -> None:
    """An expected revision is a seq, so at least 1. None, for no expectation, is good."""
    if value is not None and value < 1:
        found.add(field, "must be at least 1")


def check_page_size(value: int | None, field: str, found: Violations) -> int:
    """Return how long a page shall be: 1 to 1000, and 50 for None."""
    if value is None:
        return DEFAULT_PAGE_SIZE
    if not 1 <= value <= MOST_PAGE_SIZE:
        found.add(field, f"must be 1 to {MOST_PAGE_SIZE}")
    return value


def check_tail(value: int | None, field: str, found: Violations) -> None:
    """How many of the newest messages: any number from 0. None, for all of them, is good."""
    if value is not None and value < 0:
        found.add(field, "must not be negative")


def check_text(
    value: str, field: str, found: Violations, *, limit: int, may_be_empty: bool = False
) -> None:
    """A text as people and agents write it: bounded, without NUL; line ends and tabs are good."""
    length = utf8_length(value, field, found)
    if length > limit:
        found.add(field, f"must be at most {limit} bytes of UTF-8, not {length}")
    if not value and not may_be_empty:
        found.add(field, "must not be empty")
    if "\0" in value:
        found.add(field, "must not hold NUL")


def check_title(value: str, field: str, found: Violations, *, limits: Limits) -> None:
    """A title is one line. "" is good."""
    if len(value) > limits.title_characters:
        found.add(field, f"must be at most {limits.title_characters} characters, not {len(value)}")
    if CONTROL.search(value):
        found.add(field, "must not hold control characters")
    utf8_length(value, field, found)


def check_metadata(
    values: Mapping[str, str], field: str, found: Violations, *, limits: Limits
) -> None:
    """A session's metadata: few, short and in every list entry."""
    # Too much is told first and alone: the names of the bad keys could fill an answer.
    if len(values) > limits.metadata_keys:
        found.add(field, f"must be at most {limits.metadata_keys} keys, not {len(values)}")
        return
    size = sum(utf8_length(text, field, found) for member in values.items() for text in member)
    if size > limits.metadata:
        found.add(field, f"must be at most {limits.metadata} bytes in all, not {size}")
        return
    for key, value in values.items():
        if not key or CONTROL.search(key):
            found.add(field, "a key must not be empty or hold control characters")
        elif "\0" in value:
            found.add(f"{field}.{key}", "must not hold NUL")


def utf8_length(value: str, field: str, found: Violations) -> int:
    """Return the bytes of the text; a lone surrogate, which UTF-8 cannot hold, is a violation."""
    if value.isascii():
        return len(value)
    try:
        return len(value.encode())
    except UnicodeEncodeError:
        found.add(field, "must be text that UTF-8 can hold")
        # What is wrong has been said; a plausible length keeps other checks quiet.
        return len(value)
