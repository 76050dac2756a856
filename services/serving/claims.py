"""From verified claims to an identity, and the name that a service acts for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from sessiond.errors import InvalidArgument, PermissionDenied, Violations
from sessiond.session.access import Identity, Role
from sessiond.session.checks import check_user_id

ACTING_FOR_KEY = "sessiond-user"
"""gRPC metadata key and HTTP header that names the user a service acts for.

Both carry ASCII only, so the user id stands there as percent-encoded UTF-8 (RFC 3986): every byte
but letters, digits and `-._~` is written `%XX`. `encode_user` and `decode_user` do that.
"""

# A bare `%` is refused; other ASCII is let through unencoded, as `alice@example.com` mostly comes.
_ENCODED = re.compile(r"(?:[!-$&-~]|%[0-9A-Fa-f]{2})+")


class ClaimRefused(Exception):
    """A token says something that we do not accept, or lacks what we need.

    Callers hear a plain `Unauthenticated`; the claim's name is for our log.
    """

    def __init__(self, claim: str) -> None:
        self.claim = claim
        super().__init__(claim)


def is_user_id(text: str) -> bool:
    """Return whether the text may be a user's id, by the rule of the sessions themselves."""
    found = Violations()
    check_user_id(text, ACTING_FOR_KEY, found)
    return not found.found


def identity_of(claims: Mapping[str, Any]) -> Identity:
    """Return who the claims of a verified token speak of.

    `agents` and `sessions` count for agents alone, and are read from their tokens alone.

    Raises:
        ClaimRefused: `sub` is no user id, `role` is not one of ours, or a list is no list of text.
    """
    subject = claims.get("sub")
    if not isinstance(subject, str) or not is_user_id(subject):
        raise ClaimRefused("sub")
    named = claims.get("role", Role.USER.value)
    try:
        role = Role(named)
    except ValueError:
        raise ClaimRefused("role") from None
    if role is not Role.AGENT:
        return Identity(subject, role)
    return Identity(
        subject, role, agents=_texts(claims, "agents"), sessions=_texts(claims, "sessions")
    )


def acting_for(identity: Identity, encoded_user: str) -> Identity:
    """Return the identity of a service that acts for the user named in `sessiond-user`.

    Raises:
        PermissionDenied: the caller is not a service.
        InvalidArgument: the name is not percent-encoded UTF-8 of a user id.
    """
    if identity.role is not Role.SERVICE:
        raise PermissionDenied("Only a service may act for a user.")
    user = decode_user(encoded_user)
    return Identity(identity.subject, identity.role, acting_for=user)


def encode_user(user_id: str) -> str:
    """Return a user id as it stands in `sessiond-user`."""
    return quote(user_id, safe="")


def decode_user(encoded: str) -> str:
    """Return the user id that `sessiond-user` holds.

    Raises:
        InvalidArgument: it is not percent-encoded UTF-8, or what it spells is no user id.
    """
    try:
        user = unquote_to_bytes(encoded).decode()
    except UnicodeError:
        user = ""
    if not _ENCODED.fullmatch(encoded) or not is_user_id(user):
        raise InvalidArgument.of(
            ACTING_FOR_KEY,
            "must be a user id in percent-encoded UTF-8, without control characters",
        )
    return user


def _texts(claims: Mapping[str, Any], claim: str) -> frozenset[str]:
    values = claims.get(claim, [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ClaimRefused(claim)
    return frozenset(values)
