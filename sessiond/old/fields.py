"""The fields of a JSON object, asked for by name: strictly, and with every bad one noted."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, TypeVar

from sessiond.errors import Violations
from sessiond.mapping.spelling import time_of
from sessiond.session.jsontext import check_object
from sessiond.session.limits import DEFAULT_LIMITS
from sessiond.wire import timestamp_from_wire

LAST_MS: Final = 10**13 - 1
"""The latest time that a session may have: in the year 2286."""

Word = TypeVar("Word", bound=StrEnum)


class Fields:
    """The fields of one object. What is wrong with one is noted, and something plausible given.

    null is as good as nothing.

    Attributes:
        path: what stands before the names of the fields where they are told.
        found: what is wrong.
        name: of the object itself, in that which holds it.
    """

    def __init__(
        self, value: Mapping[str, Any], path: str, found: Violations, name: str = ""
    ) -> None:
        self.path = path
        self.found = found
        self.name = name
        self._value = value

    def has(self, name: str) -> bool:
        """Return whether anything is said."""
        return self._value.get(name) is not None

    def text(self, name: str, *, default: str | None = None) -> str:
        """Return a text, which must be there unless there is a default."""
        value = self._value.get(name)
        if isinstance(value, str):
            return value
        if value is not None or default is None:
            self._bad(name, "must be text")
        return "x" if default is None else default  # "x" spares the caller other complaints

    def maybe(self, name: str) -> str | None:
        """Return a text, or None for nothing."""
        return self.text(name) if self.has(name) else None

    def word(self, name: str, words: type[Word], default: Word) -> Word:
        """Return one of some words; the default for another one."""
        value = self._value.get(name)
        if isinstance(value, str) and value in set(words):
            return words(value)
        self._bad(name, "must be one of: " + ", ".join(words))
        return default

    def time(self, name: str) -> int:
        """Return a time in milliseconds since 1970."""
        value = self._value.get(name)
        time = time_of(value) if isinstance(value, str) else None
        time_ms = -1 if time is None else timestamp_from_wire(time)
        if 0 <= time_ms <= LAST_MS:
            return time_ms
        self._bad(name, "must be a time as RFC 3339 spells it, from 1970 to 2286")
        return 0

    def count(self, name: str) -> int:
        """Return a whole number from 0 on."""
        value = self._value.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        self._bad(name, "must be a whole number from 0 on")
        return 0

    def number(self, name: str) -> float | None:
        """Return a number, or None for nothing."""
        value = self._value.get(name)
        if value is None:
            return None
        if isinstance(value, int | float) and not isinstance(value, bool):
            try:
                number = float(value)
            except OverflowError:
                number = math.inf
            if math.isfinite(number):
                return number
        self._bad(name, "must be a finite number")
        return None

    def object(self, name: str, *, limit: int) -> str | None:
        """Return the text of an object, of at most so many bytes; None for nothing."""
        if not self.has(name):
            return None
        text = json.dumps(self._value[name], ensure_ascii=False, separators=(",", ":"))
        where, depth = self.path + name, DEFAULT_LIMITS.json_depth
        check_object(text, where, self.found, limit=limit, depth=depth)
        return text

    def listed(self, name: str) -> list[Fields]:
        """Return the objects of a list."""
        value = self._value.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            self._bad(name, "must be a list")
            return []
        return self._inner(name, {str(place): each for place, each in enumerate(value)})

    def named(self, name: str) -> list[Fields]:
        """Return the objects of an object, by their names."""
        value = self._value.get(name)
        if value is None:
            return []
        if not isinstance(value, dict):
            self._bad(name, "must be an object")
            return []
        return self._inner(name, value)

    def _inner(self, name: str, values: Mapping[str, Any]) -> list[Fields]:
        inner = []
        for key, value in values.items():
            where = f"{name}.{key}"
            if isinstance(value, dict):
                inner.append(Fields(value, f"{self.path}{where}.", self.found, key))
            else:
                self._bad(where, "must be an object")
        return inner

    def _bad(self, name: str, why: str) -> None:
        self.found.add(self.path + name, why)
