"""Sharing: who becomes a member and how, who is one no longer, and who becomes the owner."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sessiond.errors import (
    InvalidArgument,
    PermissionDenied,
    SessionFull,
    SessionNotFound,
    Violations,
)
from sessiond.session.access import RELATION_OF, ROLE_TABLE, Identity, MemberRole
from sessiond.session.changes import (
    JoinSession,
    MakeLink,
    RevokeLink,
    ShareSession,
    TransferSession,
    UnshareSession,
)
from sessiond.session.checks import check_session_id, check_user_id
from sessiond.session.events import Event
from sessiond.session.limits import Limits
from sessiond.session.standing import (
    LinkMade,
    LinkRevoked,
    MemberGranted,
    MemberRevoked,
    OwnerTransferred,
)
from sessiond.session.state import Link, Session


@dataclass(frozen=True, slots=True)
class Gain:
    """Who has one session more after a change: the user who owns it, and the one it is shared with.

    "" is nobody.
    """

    owner: str = ""
    member: str = ""


def gain(session: Session, events: Sequence[Event]) -> Gain:
    """Return whose lists grow by what `decide` says about this session.

    How long they are, only Store knows: it is for the caller to compare that with
    `Limits.sessions_per_user` and `Limits.shared_per_user`.
    """
    match events:
        case (MemberGranted(user_id),) if user_id not in session.members:
            return Gain(member=user_id)
        case (OwnerTransferred(user_id, former),):
            return Gain(owner=user_id, member=former)
    return Gain()


def share(session: Session, change: ShareSession, *, limits: Limits) -> tuple[MemberGranted, ...]:
    """Return the grant; () where the member has that role already.

    Raises:
        InvalidArgument: the user is the owner, or can be nobody.
        SessionFull: there is no room for another member.
    """
    _check_user(change.user_id, limits)
    if change.user_id == session.user_id:
        raise InvalidArgument.of("user_id", "must be somebody else than the owner")
    member = session.members.get(change.user_id)
    if member is not None and member.role is change.role:
        return ()
    if member is None:
        _check_members(session, limits)
    return (MemberGranted(change.user_id, change.role),)


def unshare(
    session: Session, change: UnshareSession, *, limits: Limits
) -> tuple[MemberRevoked, ...]:
    """Return the end of a membership; () where there is none."""
    _check_user(change.user_id, limits)
    return (MemberRevoked(change.user_id),) if change.user_id in session.members else ()


def make_link(
    session: Session,
    change: MakeLink,
    *,
    secret_hash: bytes,
    now_ms: int,
    new_id: Callable[[], str],
    limits: Limits,
) -> tuple[LinkMade]:
    """Return the link, which holds the hash of its secret.

    Raises:
        InvalidArgument: it would have expired.
        SessionFull: there is no room for another link.
    """
    expires_ms = change.expires_ms
    if expires_ms is not None and expires_ms <= now_ms:
        raise InvalidArgument.of("expires_at", "must be in the future")
    if links_at(session, now_ms) >= limits.links:
        raise SessionFull(f"The session may have {limits.links} links.")
    return (LinkMade(new_id(), change.role, expires_ms or 0, secret_hash),)


def revoke_link(session: Session, change: RevokeLink) -> tuple[LinkRevoked, ...]:
    """Return the end of a link; () where there is none of that id."""
    found = Violations()
    check_session_id(change.link_id, "link_id", found)
    found.check()
    return (LinkRevoked(change.link_id),) if change.link_id in session.links else ()


def join(
    session: Session, change: JoinSession, *, identity: Identity, now_ms: int, limits: Limits
) -> tuple[MemberGranted, ...]:
    """Return the grant that a link's secret gives; () where it would add no right.

    A link takes no right away, so who is the owner, or may all that it gives, stays what they are.

    Raises:
        SessionNotFound: no link that is good has this secret.
        PermissionDenied: the caller is no user, nor a service that acts for one.
        SessionFull: there is no room for another member.
    """
    link_id, link = _link_of(session, change.secret_hash, now_ms)
    user_id = identity.user_id
    if not user_id:
        raise PermissionDenied("Only users, and services acting for one, join sessions.")
    _check_user(user_id, limits)
    member = session.members.get(user_id)
    if user_id == session.user_id or (member is not None and not _adds(link.role, member.role)):
        return ()
    if member is None:
        _check_members(session, limits)
    return (MemberGranted(user_id, link.role, link_id),)


def transfer(
    session: Session, change: TransferSession, *, limits: Limits
) -> tuple[OwnerTransferred, ...]:
    """Return the change of owner; () where that user is the owner already.

    Raises:
        InvalidArgument: the user is no member.
    """
    _check_user(change.user_id, limits)
    if change.user_id == session.user_id:
        return ()
    if change.user_id not in session.members:
        raise InvalidArgument.of("user_id", "must be a member")
    return (OwnerTransferred(change.user_id, session.user_id),)


def links_at(session: Session, time_ms: int) -> int:
    """Return how many links are good at a time; milliseconds since 1970."""
    return sum(link.is_good_at(time_ms) for link in session.links.values())


def _link_of(session: Session, secret_hash: str, now_ms: int) -> tuple[str, Link]:
    asked = bytes.fromhex(secret_hash)
    found: tuple[str, Link] | None = None
    for link_id, link in session.links.items():  # all of them: time tells nothing of which it is
        same = hmac.compare_digest(link.secret_hash, asked)
        if same and link.is_good_at(now_ms):
            found = link_id, link
    if found is None:
        raise SessionNotFound
    return found


def _adds(role: MemberRole, to: MemberRole) -> bool:
    return ROLE_TABLE[RELATION_OF[role]] > ROLE_TABLE[RELATION_OF[to]]


def _check_user(user_id: str, limits: Limits) -> None:
    found = Violations()
    check_user_id(user_id, "user_id", found, limits=limits)
    found.check()


def _check_members(session: Session, limits: Limits) -> None:
    if len(session.members) >= limits.members:
        raise SessionFull(f"The session may have {limits.members} members.")
