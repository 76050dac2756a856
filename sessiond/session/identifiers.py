"""Ids that the server gives. The clock and the chance are the caller's."""

from __future__ import annotations


def uuid7(now_ms: int, random_bytes: bytes) -> str:
    """Return a UUIDv7: sorts by `now_ms` (milliseconds since 1970), told apart by 10 random bytes.

    Raises:
        ValueError: the time does not fit 48 bits, or there are not exactly 10 bytes.
    """
    if len(random_bytes) != 10 or not 0 <= now_ms < 1 << 48:
        raise ValueError("a UUIDv7 is made of 48 bits of time and 10 random bytes")
    return _uuid(now_ms.to_bytes(6, "big") + random_bytes, version=7)


def uuid8(digest: bytes) -> str:
    """Return the UUIDv8 of a hash: equal for equal hashes. 122 of its first 128 bits are kept.

    Raises:
        ValueError: the hash is shorter than 16 bytes.
    """
    if len(digest) < 16:
        raise ValueError("a UUIDv8 is made of at least 16 bytes")
    return _uuid(digest[:16], version=8)


def _uuid(data: bytes, *, version: int) -> str:
    # RFC 9562: the version in the high half of byte 6, binary 10 at the top of byte 8.
    text = data.hex()
    variant = "89ab"[data[8] >> 4 & 0b11]
    return f"{text[:8]}-{text[8:12]}-{version}{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"
