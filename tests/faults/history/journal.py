"""A history in a file: one JSON object a line, written as things happen, read back exactly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Any, Self, get_args

from tests.faults.history.entries import Entry, EventKind, Kind, Outcome

_TYPES = {each.__name__: each for each in get_args(Entry)}
_NAMES = {each: tuple(field.name for field in fields(each)) for each in _TYPES.values()}
_ENUMS: dict[str, type[Enum]] = {"kind": Kind, "outcome": Outcome, "event": EventKind}


class Journal:
    """Keeps entries in order, in memory and in its file.

    Each line is given to the operating system before `add` returns, so what was added is there
    even if this process dies.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8", buffering=1)
        self.entries: list[Entry] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def add(self, entry: Entry) -> None:
        """Keep one entry."""
        self.entries.append(entry)
        self._file.write(line_of(entry) + "\n")

    def close(self) -> None:
        """Take no more."""
        self._file.close()


def read_history(path: Path) -> list[Entry]:
    """Return the entries of a file, in order; a last line that was cut short is left out.

    Raises:
        ValueError: any other line is not an entry.
    """
    return list(_entries(path.read_text(encoding="utf-8").split("\n")))


def _entries(lines: list[str]) -> Iterator[Entry]:
    # What follows the last line's end is empty, or was being written when the writer died.
    for line in lines[:-1]:
        yield entry_of(line)


def line_of(entry: Entry) -> str:
    """Return an entry as one line of JSON."""
    shape = type(entry)
    values = {name: _plain(getattr(entry, name)) for name in _NAMES[shape]}
    return json.dumps({"is": shape.__name__, **values}, separators=(",", ":"))


def entry_of(line: str) -> Entry:
    """Return the entry that `line_of` gave this line for.

    Raises:
        ValueError: it is not such a line.
    """
    try:
        values = json.loads(line)
        shape = _TYPES[values.pop("is")]
        entry: Entry = shape(**{name: _exact(name, value) for name, value in values.items()})
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"not an entry of a history: {line[:80]}") from error
    return entry


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


def _exact(name: str, value: Any) -> Any:
    return _ENUMS[name](value) if name in _ENUMS else _frozen(value)


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
