"""The role table, row by row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

import pytest

from sessiond.errors import PermissionDenied, SessionNotFound
from sessiond.session.access import (
    Actor,
    Identity,
    MemberRole,
    Operation,
    Relation,
    Role,
    check_access,
    relation,
)
from tests.unit.stories import ADMIN, ALICE, CONSULTANT, GUEST_AGENT, SERVICE


class Facts(TypedDict):
    """What decides about a caller."""

    session_id: str
    owner: str
    current_agent: str
    members: Mapping[str, MemberRole]


OF_ALICE = Facts(
    session_id="s-1",
    owner="alice",
    current_agent="gtm-consultant",
    members={
        "ed": MemberRole.EDITOR,
        "app": MemberRole.APPROVER,
        "vic": MemberRole.VIEWER,
        "root": MemberRole.VIEWER,
    },
)

TABLE = {
    Operation.READ: "oepvaA",
    Operation.APPEND_MESSAGE: "oeaA",
    Operation.SUBMIT_OUTPUT: "oeaA",
    Operation.UPDATE: "oeA",
    Operation.EDIT_OUTPUT: "oeA",
    Operation.PAUSE: "oeA",
    Operation.DECIDE_OUTPUT: "opA",
    Operation.DELETE: "oA",
    Operation.TURN: "oeaA",
    Operation.CANCEL_TURN: "oeA",
    Operation.ABANDON_TURN: "",
    Operation.SHARE: "oA",
    Operation.LEAVE: "oepvA",
    Operation.TRANSFER: "oA",
    Operation.REWIND: "oA",
    Operation.HOLD: "A",
}
"""Who may: the owner, an editor, an approver (p), a viewer, an agent, an administrator (A)."""


def for_user(user_id: str) -> tuple[Identity, Identity]:
    """Return a user, and a service that acts for them."""
    return Identity(user_id), Identity("crm", Role.SERVICE, acting_for=user_id)


CALLERS = {
    "o": (ALICE, SERVICE),
    "e": for_user("ed"),
    "p": for_user("app"),
    "v": for_user("vic"),
    "a": (CONSULTANT, GUEST_AGENT),
    "A": (ADMIN,),
}


@pytest.mark.parametrize("column", CALLERS)
@pytest.mark.parametrize("operation", Operation)
def test_everybody_does_what_the_table_says(operation: Operation, column: str) -> None:
    """Users and the services that act for them, agents by name or by session, administrators."""
    for identity in CALLERS[column]:
        if column in TABLE[operation]:
            check_access(identity, operation, **OF_ALICE)
            continue
        with pytest.raises(PermissionDenied):
            check_access(identity, operation, **OF_ALICE)


def test_the_table_has_every_operation() -> None:
    """A new one is decided about, not forgotten."""
    assert TABLE.keys() == set(Operation)


def test_members_are_users() -> None:
    """An agent or a service of a member's name is nobody; an administrator stays one."""
    for role in (Role.AGENT, Role.SERVICE, Role.GATEWAY):
        assert relation(Identity("ed", role), **OF_ALICE) is None
    assert relation(Identity("root", Role.ADMIN), **OF_ALICE) is Relation.ADMIN
    unshared: Facts = {**OF_ALICE, "members": {}}
    assert relation(Identity("ed"), **unshared) is None


STRANGERS = [
    Identity("bob"),
    Identity("crm", Role.SERVICE),
    Identity("alice", Role.SERVICE),
    Identity("crm", Role.SERVICE, acting_for="bob"),
    Identity("w", Role.AGENT),
    Identity("alice", Role.AGENT),
    Identity("w", Role.AGENT, agents=frozenset({"growth-hacker"})),
    Identity("w", Role.AGENT, sessions=frozenset({"s-2"})),
    Identity("alice", Role.GATEWAY),
]


@pytest.mark.parametrize("operation", Operation)
def test_a_live_abandons_turns_and_does_nothing_else(operation: Operation) -> None:
    """Every session looks absent to it otherwise, whatever its own name."""
    for live in (Identity("sessiond", Role.LIVE), Identity("alice", Role.LIVE)):
        if operation is Operation.ABANDON_TURN:
            check_access(live, operation, **OF_ALICE)
            continue
        with pytest.raises(SessionNotFound):
            check_access(live, operation, **OF_ALICE)


@pytest.mark.parametrize("identity", STRANGERS, ids=repr)
@pytest.mark.parametrize("operation", Operation)
def test_a_strangers_session_looks_absent(identity: Identity, operation: Operation) -> None:
    """Never a word that it exists; a service's own name is no user's."""
    assert relation(identity, **OF_ALICE) is None
    with pytest.raises(SessionNotFound):
        check_access(identity, operation, **OF_ALICE)


def test_agents_enter_by_name_or_by_session() -> None:
    """By the session's current agent, and once it is completed by its id alone."""
    completed: Facts = {**OF_ALICE, "current_agent": ""}
    assert relation(CONSULTANT, **OF_ALICE) is Relation.AGENT
    assert relation(CONSULTANT, **completed) is None
    assert relation(GUEST_AGENT, **completed) is Relation.AGENT
    nameless = Identity("w", Role.AGENT, agents=frozenset({""}))
    assert relation(nameless, **completed) is None


def test_an_actor_is_who_asked_and_for_whom() -> None:
    """So two services acting for one user are two actors."""
    assert SERVICE.actor == Actor("crm", Role.SERVICE, "alice")
    assert ALICE.actor == Actor("alice", Role.USER)
    assert (SERVICE.user_id, ALICE.user_id, CONSULTANT.user_id) == ("alice", "alice", "")
