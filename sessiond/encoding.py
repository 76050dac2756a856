"""Encoded messages as parts of others, without being encoded again.

A field that holds a message is its tag, the length of the message, and the message as encoded. And
encodings that follow one another are one message: repeated fields add up. So what holds many parts
that are encoded already is made by joining bytes.

Source: https://protobuf.dev/programming-guides/encoding/, "Length-Delimited Records" and "Last One
Wins".
"""

from __future__ import annotations

from functools import lru_cache

_LENGTH_DELIMITED = 2
_SEVEN_BITS = 0x7F
_MORE = 0x80


def field_tag(number: int) -> bytes:
    """Return what a field of this number that holds a message, text or bytes begins with."""
    return _varint(number << 3 | _LENGTH_DELIMITED)


def as_field(tag: bytes, encoded: bytes) -> bytes:
    """Return an encoded message as the field of another that has this tag."""
    return tag + _varint(len(encoded)) + encoded


@lru_cache(maxsize=8192)  # most messages have one of few lengths
def _varint(value: int) -> bytes:
    groups = bytearray()
    while value > _SEVEN_BITS:
        groups.append(value & _SEVEN_BITS | _MORE)
        value >>= 7
    groups.append(value)
    return bytes(groups)
