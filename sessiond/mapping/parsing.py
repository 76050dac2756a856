"""JSON text, parsed without surprises.

Depth is checked before parsing. Refused are: bytes that are not UTF-8, a byte order mark, anything
but an object at the top, names given twice, NaN, Infinity and numbers that no double can hold.
"""

from __future__ import annotations

import json
import math
import re
from array import array
from collections.abc import Iterator
from itertools import accumulate
from typing import Any, NoReturn

from sessiond.errors import InvalidArgument, Violations

# Possessive, and an open string reaches to the end: no text makes this take more than one pass.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
# As signed bytes: one level down, one level up.
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")


def parse(data: bytes, *, depth: int, what: str = "body") -> dict[str, Any]:
    """Return the object that the data hold; no data hold the empty one.

    Integers stay integers of any size. `what` names the data to who sent them.

    Raises:
        InvalidArgument: it holds none, or not by our rules.
    """
    if not data:
        return {}
    if _deeper_than(depth, data):
        raise InvalidArgument(detail=f"The {what} must not be nested deeper than {depth} levels.")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidArgument(detail=f"The {what} must be in UTF-8.") from None
    parser = _Parser(what)
    found = parser.parse(text)
    if not isinstance(found, dict):
        raise InvalidArgument(detail=f"The {what} must be a JSON object.")
    if parser.repeats:
        violations = Violations()
        for path in _repeated(found, ""):
            violations.add(path, "must be given once")
        violations.check()
    return found


class _Repeated(dict[str, Any]):
    """An object in which names stand more than once."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        seen: set[str] = set()
        self.names = [name for name, _ in pairs if name in seen or seen.add(name)]  # type: ignore[func-returns-value]


class _Parser:
    """Parses one text, and remembers whether any object in it had a name twice."""

    def __init__(self, what: str) -> None:
        self.repeats = False
        self._what = what

    def parse(self, text: str) -> Any:
        try:
            return json.loads(
                text,
                parse_float=self._finite,
                parse_constant=self._no_constant,
                object_pairs_hook=self._object,
            )
        except json.JSONDecodeError as error:
            raise InvalidArgument(
                detail=f"The {self._what} is not JSON: line {error.lineno}, column {error.colno}."
            ) from None
        except ValueError:  # Python reads integers of up to 4300 digits
            raise InvalidArgument(
                detail=f"The {self._what} holds a number that is too long."
            ) from None

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) == len(pairs):
            return found
        self.repeats = True
        return _Repeated(pairs)

    def _finite(self, text: str) -> float:
        number = float(text)
        if math.isinf(number):
            raise InvalidArgument(detail=f"The {self._what} holds a number that is too large.")
        return number

    def _no_constant(self, text: str) -> NoReturn:
        raise InvalidArgument(detail=f"The {self._what} is not JSON: it holds {text}.")


def _repeated(found: Any, path: str) -> Iterator[str]:
    if isinstance(found, dict):
        if isinstance(found, _Repeated):
            yield from dict.fromkeys(path + name for name in found.names)
        for name, value in found.items():
            yield from _repeated(value, f"{path}{name}.")
    elif isinstance(found, list):
        for index, value in enumerate(found):
            yield from _repeated(value, f"{path}{index}.")


def _deeper_than(depth: int, data: bytes) -> bool:
    if data.count(b"[") + data.count(b"{") <= depth:
        return False
    steps = array("b", _STRING.sub(b"", data).translate(_STEPS, _NOT_BRACKETS))
    # A bracket that closes nothing makes later levels look lower; the parser stops at it anyway.
    return max(accumulate(steps), default=0) > depth
