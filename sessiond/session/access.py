"""Who may do what: identities, and the role table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from sessiond.errors import PermissionDenied, SessionNotFound


class Role(StrEnum):
    """What the caller is, from the token's `role` claim (`user` when the claim is absent)."""

    USER = "user"
    AGENT = "agent"
    SERVICE = "service"
    ADMIN = "admin"
    LIVE = "live"
    GATEWAY = "gateway"


# Python 3.11 takes long to find a member of an enum: what every change asks for is found once.
_THEMSELVES = frozenset({Role.USER, Role.ADMIN})
_OWNERS = frozenset({Role.USER, Role.SERVICE})


@dataclass(frozen=True, slots=True)
class Identity:
    """A verified caller.

    Attributes:
        subject: the token's `sub`.
        role: the token's role.
        acting_for: the user that a service acts for; "" for everyone else.
        agents: agent names that an agent may speak as.
        sessions: ids of the sessions that an agent may enter whatever their current agent is.
    """

    subject: str
    role: Role = Role.USER
    acting_for: str = ""
    agents: frozenset[str] = frozenset()
    sessions: frozenset[str] = frozenset()

    @property
    def user_id(self) -> str:
        """The user as whom this caller owns sessions; "" for callers who own none."""
        return self.actor.user_id

    @property
    def actor(self) -> Actor:
        """Return who is written into the records of this caller's changes."""
        return Actor(self.subject, self.role, self.acting_for)


class Actor(NamedTuple):
    """Who made a change. Operation ids are scoped by it: two actors' equal keys never meet."""

    subject: str
    role: Role
    acting_for: str = ""

    @property
    def user_id(self) -> str:
        """The user as whom it owns sessions; "" for one that owns none."""
        return self.subject if self.role in _THEMSELVES else self.acting_for

    @property
    def name(self) -> str:
        """Who is named for its changes: the user that it acts for, else itself."""
        return self.acting_for or self.subject


class MemberRole(StrEnum):
    """As what a session is shared with a user."""

    EDITOR = "editor"
    APPROVER = "approver"
    VIEWER = "viewer"


class Operation(StrEnum):
    """What a caller wants to do to one session: a row of the role table."""

    READ = "read"
    APPEND_MESSAGE = "append message"
    SUBMIT_OUTPUT = "submit output"
    UPDATE = "update"
    EDIT_OUTPUT = "edit output"
    PAUSE = "pause or resume"
    DECIDE_OUTPUT = "approve or reject"
    DELETE = "delete"
    TURN = "begin or end a turn"
    CANCEL_TURN = "cancel a turn"
    ABANDON_TURN = "abandon a turn"
    SHARE = "share, or make a link"
    LEAVE = "be a member no longer"
    TRANSFER = "give the session away"
    REWIND = "rewind"
    HOLD = "begin or end a legal hold"


class Relation(StrEnum):
    """What a caller is to one session: a column of the role table."""

    OWNER = "owner"
    EDITOR = "editor"
    APPROVER = "approver"
    VIEWER = "viewer"
    AGENT = "agent"
    ADMIN = "administrator"
    LIVE = "live"


_OF_THE_OWNER = frozenset(Operation) - {Operation.ABANDON_TURN, Operation.HOLD}
_OF_AGENTS = frozenset(
    {Operation.READ, Operation.APPEND_MESSAGE, Operation.SUBMIT_OUTPUT, Operation.TURN}
)
_OF_EVERY_MEMBER = frozenset({Operation.READ, Operation.LEAVE})

ROLE_TABLE: Mapping[Relation, frozenset[Operation]] = {
    Relation.OWNER: _OF_THE_OWNER,
    Relation.EDITOR: _OF_EVERY_MEMBER
    | _OF_AGENTS
    | {Operation.UPDATE, Operation.EDIT_OUTPUT, Operation.PAUSE, Operation.CANCEL_TURN},
    Relation.APPROVER: _OF_EVERY_MEMBER | {Operation.DECIDE_OUTPUT},
    Relation.VIEWER: _OF_EVERY_MEMBER,
    Relation.AGENT: _OF_AGENTS,
    Relation.ADMIN: _OF_THE_OWNER | {Operation.HOLD},
    # A Live ends the turn of a worker that stayed away. It reads nobody's sessions.
    Relation.LIVE: frozenset({Operation.ABANDON_TURN}),
}


RELATION_OF: Mapping[MemberRole, Relation] = {
    MemberRole.EDITOR: Relation.EDITOR,
    MemberRole.APPROVER: Relation.APPROVER,
    MemberRole.VIEWER: Relation.VIEWER,
}
"""What a member is to the session, by their role."""

_NOBODY: Mapping[str, MemberRole] = MappingProxyType({})


def relation(
    identity: Identity,
    *,
    session_id: str,
    owner: str,
    current_agent: str,
    members: Mapping[str, MemberRole] = _NOBODY,
) -> Relation | None:
    """Return what the caller is to the session, or None for a stranger.

    Members are users: callers of role user, and services that act for one.
    """
    if identity.role in _OWNERS:
        user_id = identity.user_id
        if user_id == owner:
            return Relation.OWNER
        role = members.get(user_id)
        return None if role is None else RELATION_OF[role]
    if identity.role is Role.ADMIN:
        return Relation.ADMIN
    if identity.role is Role.AGENT:
        enters = session_id in identity.sessions or (
            current_agent != "" and current_agent in identity.agents
        )
        return Relation.AGENT if enters else None
    return Relation.LIVE if identity.role is Role.LIVE else None


def check_access(
    identity: Identity,
    operation: Operation,
    *,
    session_id: str,
    owner: str,
    current_agent: str,
    members: Mapping[str, MemberRole] = _NOBODY,
) -> None:
    """Return if the caller may do this.

    Raises:
        SessionNotFound: the caller has nothing to do with the session; it looks absent.
        PermissionDenied: the caller may see the session, but not do this to it.
    """
    related = relation(
        identity,
        session_id=session_id,
        owner=owner,
        current_agent=current_agent,
        members=members,
    )
    if related is None:
        raise SessionNotFound
    if operation in ROLE_TABLE[related]:
        return
    if Operation.READ not in ROLE_TABLE[related]:
        raise SessionNotFound
    raise PermissionDenied


def check_backend(identity: Identity) -> None:
    """Return if the caller may see everybody's sessions at once.

    Raises:
        PermissionDenied: it is neither an administrator nor a service that acts for nobody.
    """
    if identity.role is Role.ADMIN or (identity.role is Role.SERVICE and not identity.acting_for):
        return
    raise PermissionDenied("Only administrators, and services that act for nobody, may do this.")
