"""What keys are made of: ids that are escaped, and numbers of a fixed width.

Each is read as strictly as it is written: what is read gives the same bytes when it is written.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_UNSAFE: Final = bytes((*range(0x20), 0x7F)) + b"%:"
_ESCAPED: Final = re.compile(rb"%([0-9A-F]{2})")


@lru_cache(maxsize=4096)  # one write asks for the same ids several times
def escaped(text: str) -> bytes:
    """Return an id so that it holds no separator; ValueError where it is empty or not Unicode."""
    if not text:
        raise ValueError("an id in a key is not empty")
    plain = text.encode()
    if _is_plain(plain):
        return plain
    return b"".join(b"%%%02X" % byte if byte in _UNSAFE else bytes((byte,)) for byte in plain)


def unescaped(part: bytes) -> str:
    """Return the text of an escaped part; ValueError where we would escape it otherwise."""
    if _is_plain(part):
        return part.decode()
    text = _ESCAPED.sub(lambda found: bytes.fromhex(found[1].decode()), part).decode()
    if escaped(text) != part:
        raise ValueError(f"{part!r} is not an id as it stands in a key")
    return text


def _is_plain(part: bytes) -> bool:
    """Return whether an id looks the same when it is escaped, as nearly all do."""
    return part != b"" and len(part.translate(None, _UNSAFE)) == len(part)


def digits(number: int, width: int) -> bytes:
    """Return a number in so many digits; ValueError where it does not fit."""
    if not 0 <= number < 10**width:
        raise ValueError(f"{number} does not fit into a key")
    return b"%0*d" % (width, number)


def number_of(part: bytes, width: int) -> int:
    """Return the number of so many digits; ValueError where they are others."""
    if len(part) != width or not part.isdigit():
        raise ValueError(f"{part!r} is not a number as it stands in a key")
    return int(part)


def instance_of(part: bytes) -> bytes:
    """Return the instance whose hexadecimal digits these are; ValueError where they are others."""
    instance = bytes.fromhex(part.decode())
    if not instance or instance.hex().encode() != part:
        raise ValueError(f"{part!r} is not an instance as it stands in a key")
    return instance
