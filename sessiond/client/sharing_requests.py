"""Requests to share sessions and to give them away, as the contract spells them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from google.protobuf.timestamp_pb2 import Timestamp

from sessiond.numbers import MEMBER_ROLE_NUMBER
from sessiond.session.access import MemberRole
from sessiond.v1.live_pb2 import (
    JoinSessionRequest,
    MakeLinkRequest,
    RevokeLinkRequest,
    ShareSessionRequest,
    TransferSessionRequest,
    UnshareSessionRequest,
)
from sessiond.v1.store_pb2 import ListScope

Scope = Literal["all", "own", "shared"]
"""Which sessions a listing holds: one's own, those that others share with one, or both."""

LIST_SCOPE: Mapping[Scope, ListScope.ValueType] = {
    "all": ListScope.LIST_SCOPE_ALL,
    "own": ListScope.LIST_SCOPE_OWN,
    "shared": ListScope.LIST_SCOPE_SHARED,
}


def share(
    session_id: str, user_id: str, role: MemberRole, *, op_id: str, expected_revision: int | None
) -> ShareSessionRequest:
    """Ask to make a user a member."""
    return ShareSessionRequest(
        session_id=session_id,
        user_id=user_id,
        role=MEMBER_ROLE_NUMBER[role],
        op_id=op_id,
        expected_revision=expected_revision,
    )


def unshare(
    session_id: str, user_id: str, *, op_id: str, expected_revision: int | None
) -> UnshareSessionRequest:
    """Ask that a user be a member no longer."""
    return UnshareSessionRequest(
        session_id=session_id, user_id=user_id, op_id=op_id, expected_revision=expected_revision
    )


def make_link(
    session_id: str,
    role: MemberRole,
    *,
    expires_at: datetime | None,
    op_id: str,
    expected_revision: int | None,
) -> MakeLinkRequest:
    """Ask for a link. Its secret is made here: a call that is repeated has the same one.

    Raises:
        ValueError: the time has no zone.
    """
    expires = None
    if expires_at is not None:
        if expires_at.tzinfo is None:
            raise ValueError("expires_at must have a time zone")
        expires = Timestamp()
        expires.FromDatetime(expires_at)
    return MakeLinkRequest(
        session_id=session_id,
        role=MEMBER_ROLE_NUMBER[role],
        expires_at=expires,
        secret=secrets.token_urlsafe(32),
        op_id=op_id,
        expected_revision=expected_revision,
    )


def revoke_link(
    session_id: str, link_id: str, *, op_id: str, expected_revision: int | None
) -> RevokeLinkRequest:
    """Ask that a link be good no longer."""
    return RevokeLinkRequest(
        session_id=session_id, link_id=link_id, op_id=op_id, expected_revision=expected_revision
    )


def join(session_id: str, secret: str, *, op_id: str) -> JoinSessionRequest:
    """Ask to become a member by a link."""
    return JoinSessionRequest(session_id=session_id, secret=secret, op_id=op_id)


def transfer(
    session_id: str, user_id: str, *, op_id: str, expected_revision: int | None
) -> TransferSessionRequest:
    """Ask to make a member the owner."""
    return TransferSessionRequest(
        session_id=session_id, user_id=user_id, op_id=op_id, expected_revision=expected_revision
    )
