"""Opaque marks that callers bring back: page tokens, and the cursors of watches.

A token is base64url of a JSON list and a checksum over it and over the query that it belongs to
(whose list, which filters, which order). So a token that was damaged, or that comes with another
query, is noticed. It is no secret and gives no right: what it may be used for is decided by the
access checks of the request that brings it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence

from sessiond.errors import InvalidArgument

_CHECKSUM_BYTES = 12
# Far above any that we make: 64 revisions of a watch are about 1 KiB.
_MOST_CHARACTERS = 4096

Fact = str | int | None
Query = Sequence[Fact | Sequence[Fact]]


def seal(query: Query, facts: Sequence[Fact]) -> str:
    """Return the token that carries these facts for this query."""
    payload = json.dumps(facts, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_checksum(query, payload) + payload).rstrip(b"=").decode()


def unseal(token: str, query: Query, kinds: Sequence[type[Fact]], *, field: str) -> list[Fact]:
    """Return the facts of a token that `seal` made for this query.

    `kinds` are the types of the facts; the last one may repeat.

    Raises:
        InvalidArgument: it was not made so; `field` is where the caller gave it.
    """
    facts = _facts(token, query)
    if facts is None or len(facts) < len(kinds):
        raise InvalidArgument.of(field, "must be one that this query was given")
    expected = [*kinds, *[kinds[-1]] * (len(facts) - len(kinds))]
    if any(type(fact) is not kind for fact, kind in zip(facts, expected, strict=True)):
        raise InvalidArgument.of(field, "must be one that this query was given")
    return facts


def _facts(token: str, query: Query) -> list[Fact] | None:
    if len(token) > _MOST_CHARACTERS:
        return None
    try:
        data = base64.b64decode(
            token.encode("ascii") + b"=" * (-len(token) % 4), altchars=b"-_", validate=True
        )
        checksum, payload = data[:_CHECKSUM_BYTES], data[_CHECKSUM_BYTES:]
        if checksum != _checksum(query, payload):
            return None
        facts = json.loads(payload)
    except (UnicodeError, binascii.Error, ValueError, RecursionError):
        return None
    return facts if isinstance(facts, list) else None


def _checksum(query: Query, payload: bytes) -> bytes:
    asked = json.dumps(query, separators=(",", ":")).encode()
    whole = len(asked).to_bytes(4, "big") + asked + payload
    return hashlib.blake2b(whole, digest_size=_CHECKSUM_BYTES, person=b"sessiond-token").digest()
