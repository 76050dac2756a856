"""Reading what was written out of the old system: a folder of files, or lines of NDJSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from sessiond.errors import InvalidArgument
from sessiond.mapping.parsing import parse
from sessiond.session.limits import DEFAULT_LIMITS

_SESSION: Final = "session:"
_USER, _SESSIONS = "user:", ":sessions"
# A free object of a message, in the list of messages, in a session, in a line.
_DEPTH: Final = DEFAULT_LIMITS.json_depth + 4
# Bad fields that are told of one record.
_MOST: Final = 3

Wanted = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Value:
    """What stood under a key: any JSON."""

    key: str
    value: Any


@dataclass(frozen=True, slots=True)
class Refused:
    """What cannot be taken over: its key, or the line in which it stands, and why."""

    key: str
    why: str


@dataclass(slots=True)
class Lists:
    """Which users' lists hold a session's id, and which keys make up the whole.

    `refused` are the lists that cannot be read, and whatever is no record of a session's at all.
    """

    users: dict[str, set[str]] = field(default_factory=dict)
    sessions: int = 0
    refused: list[Refused] = field(default_factory=list)


def read(path: Path, wanted: Wanted = lambda key: True) -> Iterator[Value | Refused]:
    """Yield each value under a wanted key, in the order of the file, or of the files' names.

    A folder holds a file for each key, named after it, with `.json` or without, in which `%3A` may
    stand for a colon. Each line of a file is `{"key": ..., "value": ...}`, in which the value may
    be a text that holds JSON.

    Raises:
        OSError: it cannot be read.
    """
    yield from _of_folder(path, wanted) if path.is_dir() else _of_lines(path, wanted)


def read_lists(path: Path) -> Lists:
    """Read all users' lists, and count the sessions.

    Raises:
        OSError: it cannot be read.
    """
    lists = Lists()

    def wanted(key: str) -> bool:
        if session_of(key) is not None:
            lists.sessions += 1
            return False
        return True

    for found in read(path, wanted):
        if isinstance(found, Refused):
            lists.refused.append(found)
            continue
        user_id = user_of(found.key)
        if user_id is None:
            lists.refused.append(Refused(found.key, "is neither a session nor a user's list"))
        elif why := _add(lists.users, user_id, found.value):
            lists.refused.append(Refused(found.key, why))
    return lists


def session_of(key: str) -> str | None:
    """Return the id of the session that stands under a key; None for another key."""
    return key.removeprefix(_SESSION) if key.startswith(_SESSION) else None


def user_of(key: str) -> str | None:
    """Return the user whose list stands under a key; None for another key."""
    if not (key.startswith(_USER) and key.endswith(_SESSIONS)):
        return None
    return key[len(_USER) : -len(_SESSIONS)]


def _add(users: dict[str, set[str]], user_id: str, listed: Any) -> str:
    """Add a user's list; return what is wrong with it, or ""."""
    if not isinstance(listed, list):
        return "is not a list"
    ids = [each for each in listed if isinstance(each, str)]
    for session_id in ids:
        users.setdefault(session_id, set()).add(user_id)
    return "" if len(ids) == len(listed) else "holds something beside the ids of sessions"


def _of_folder(folder: Path, wanted: Wanted) -> Iterator[Value | Refused]:
    for path in sorted(folder.rglob("*")):
        if path.name.startswith(".") or not path.is_file():
            continue
        key = unquote(path.name.removesuffix(".json"))
        if not wanted(key):
            continue
        try:
            data = path.read_bytes()
        except OSError as error:
            yield Refused(key, f"cannot be read: {error.strerror}")
        else:
            yield _value(key, data)


def _of_lines(path: Path, wanted: Wanted) -> Iterator[Value | Refused]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            found = _line(f"line {number}", line, wanted)
            if found is not None:
                yield found


def _line(where: str, line: bytes, wanted: Wanted) -> Value | Refused | None:
    found = _object(where, line)
    if isinstance(found, Refused):
        return found
    key, value = found.value.get("key"), found.value.get("value")
    if not isinstance(key, str) or found.value.keys() != {"key", "value"}:
        return Refused(where, 'must be {"key": ..., "value": ...}')
    if not wanted(key):
        return None
    if isinstance(value, str):
        return _value(key, value.encode(errors="surrogatepass"))
    return Value(key, value)


def _value(key: str, data: bytes) -> Value | Refused:
    if data.lstrip()[:1] == b"{":
        return _object(key, data)
    # The parser reads objects; whatever else it is stands in one.
    found = _object(key, b'{"value":%b}' % data)
    if isinstance(found, Refused) or found.value.keys() == {"value"}:
        return found if isinstance(found, Refused) else Value(key, found.value["value"])
    return Refused(key, "is not JSON")


def _object(key: str, data: bytes) -> Value | Refused:
    try:
        return Value(key, parse(data.strip(), depth=_DEPTH, what="value"))
    except InvalidArgument as error:
        return Refused(key, said(error))


def said(error: InvalidArgument) -> str:
    """Return what is wrong, with the first few bad fields, in one line."""
    if not error.violations:
        return error.detail.rstrip(".")
    told = [f"{field} {message}" for field, message in error.violations[:_MOST]]
    more = len(error.violations) - len(told)
    return "; ".join(told) + (f"; and {more} more" if more else "")
