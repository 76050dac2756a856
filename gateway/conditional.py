"""ETags, and the request headers that make a call conditional or repeatable.

An ETag is the revision in quotes, `"7"`. A tag that is well-formed but not of ours can match
nothing; it is sent on as a revision that no session ever reaches, so that the session's owner says
where the session is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from sessiond.errors import Violations

_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_ONE = re.compile(_TAG)
_LIST = re.compile(rf"{_TAG}(?:[ \t]*,[ \t]*{_TAG})*")
_OURS = re.compile(r'"([1-9][0-9]{0,17})"')
_KEY = re.compile(r"[\x20-\x7e]{1,128}")

NO_REVISION = 2**63 - 1

Header = Callable[[str, str, Violations], object]
"""Reads a header's value, given its name; None leaves the field unset."""


def etag(revision: int) -> str:
    """Return the strong ETag of a revision."""
    return f'"{revision}"'


def expected_revision(value: str, name: str, violations: Violations) -> int | None:
    """Return the revision that `If-Match` demands; None for `*`, which any revision meets."""
    if value == "*":
        return None
    if not _ONE.fullmatch(value):
        violations.add(name, 'must be one ETag, as "7", or *')
        return None
    ours = _OURS.fullmatch(value)
    return int(ours[1]) if ours else NO_REVISION


def operation_id(value: str, name: str, violations: Violations) -> str | None:
    """Return the key that makes a change repeatable."""
    if _KEY.fullmatch(value):
        return value
    violations.add(name, "must be 1 to 128 printable ASCII characters")
    return None


class Known(frozenset[str]):
    """The ETags that a reader has; `*` stands for every one."""

    def __contains__(self, tag: object) -> bool:
        return super().__contains__("*") or super().__contains__(tag)


def known_tags(value: str, name: str, violations: Violations) -> Known:
    """Return what `If-None-Match` says the reader has; comparison is weak (RFC 9110)."""
    if value == "*":
        return Known("*")
    if not _LIST.fullmatch(value):
        violations.add(name, "must be a list of ETags, or *")
        return Known()
    return Known(tag.removeprefix("W/") for tag in _ONE.findall(value))


HEADERS: Mapping[str, Header] = {
    "If-Match": expected_revision,
    "Idempotency-Key": operation_id,
}
"""How the headers are read that stand for a request's field, by name."""
