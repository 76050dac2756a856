"""Request bodies: read within a size and a time, and parsed without surprises.

Depth is checked before parsing. Refused are: bytes that are not UTF-8, a byte order mark, anything
but an object at the top, names given twice, NaN, Infinity and numbers that no double can hold.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from array import array
from collections.abc import Iterator
from itertools import accumulate
from typing import Any, NoReturn

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from sessiond.errors import InvalidArgument, PayloadTooLarge, UnsupportedMediaType, Violations

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"

# Possessive, and an open string reaches to the end: no text makes this take more than one pass.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
# As signed bytes: one level down, one level up.
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")


async def read_body(receive: Receive, headers: Headers, *, limit: int, seconds: float) -> bytes:
    """Return the body.

    Raises:
        PayloadTooLarge: it is longer than `limit` bytes; one that says so is not read at all.
        InvalidArgument: it did not arrive within `seconds`.
        ClientDisconnect: the client went away; there is nobody to answer.
    """
    if not has_body(headers):
        return b""
    if int(headers.get("content-length", "0")) > limit:
        raise PayloadTooLarge
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                body += message.get("body", b"")
                if len(body) > limit:
                    raise PayloadTooLarge
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        raise InvalidArgument(detail=f"The body did not arrive within {seconds:g} s.") from None


def has_body(headers: Headers) -> bool:
    """Return whether the request has a body to read. The server refuses malformed lengths."""
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def check_type(headers: Headers, accepted: tuple[str, ...]) -> None:
    """Raise `UnsupportedMediaType` unless the body is of a type in `accepted`, and UTF-8."""
    media_type, *parameters = headers.get("content-type", "").split(";")
    wanted = " or ".join(accepted)
    if media_type.strip().lower() not in accepted:
        raise UnsupportedMediaType(f"The body must be {wanted}.")
    for parameter in parameters:
        name, _, value = parameter.strip().partition("=")
        if name.lower() == "charset" and value.strip('"').lower() not in ("utf-8", "utf8"):
            raise UnsupportedMediaType("The body must be in UTF-8.")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("The body must not be compressed.")


def parse(body: bytes, *, depth: int) -> dict[str, Any]:
    """Return the object that the body holds; an empty body holds the empty one.

    Integers stay integers of any size.

    Raises:
        InvalidArgument: it holds none, or not by our rules.
    """
    if not body:
        return {}
    if _deeper_than(depth, body):
        raise InvalidArgument(detail=f"The body must not be nested deeper than {depth} levels.")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidArgument(detail="The body must be in UTF-8.") from None
    parser = _Parser()
    found = parser.parse(text)
    if not isinstance(found, dict):
        raise InvalidArgument(detail="The body must be a JSON object.")
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

    def __init__(self) -> None:
        self.repeats = False

    def parse(self, text: str) -> Any:
        try:
            return json.loads(
                text,
                parse_float=_finite,
                parse_constant=_no_constant,
                object_pairs_hook=self._object,
            )
        except json.JSONDecodeError as error:
            raise InvalidArgument(
                detail=f"The body is not JSON: line {error.lineno}, column {error.colno}."
            ) from None
        except ValueError:  # Python reads integers of up to 4300 digits
            raise InvalidArgument(detail="The body holds a number that is too long.") from None

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) == len(pairs):
            return found
        self.repeats = True
        return _Repeated(pairs)


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise InvalidArgument(detail="The body holds a number that is too large.")
    return number


def _no_constant(text: str) -> NoReturn:
    raise InvalidArgument(detail=f"The body is not JSON: it holds {text}.")


def _repeated(found: Any, path: str) -> Iterator[str]:
    if isinstance(found, dict):
        if isinstance(found, _Repeated):
            yield from dict.fromkeys(path + name for name in found.names)
        for name, value in found.items():
            yield from _repeated(value, f"{path}{name}.")
    elif isinstance(found, list):
        for index, value in enumerate(found):
            yield from _repeated(value, f"{path}{index}.")


def _deeper_than(depth: int, body: bytes) -> bool:
    if body.count(b"[") + body.count(b"{") <= depth:
        return False
    steps = array("b", _STRING.sub(b"", body).translate(_STEPS, _NOT_BRACKETS))
    # A bracket that closes nothing makes later levels look lower; the parser stops at it anyway.
    return max(accumulate(steps), default=0) > depth
