"""The role table, row by row."""

from __future__ import annotations

import pytest

from sessiond.errors import PermissionDenied, SessionNotFound
from sessiond.session.access import (
    Actor,
    Identity,
    Operation,
    Relation,
    Role,
    check_access,
    relation,
)
from tests.unit.stories import ADMIN, ALICE, CONSULTANT, GUEST_AGENT, SERVICE

OF_ALICE = {"session_id": "s-1", "owner": "alice", "current_agent": "gtm-consultant"}

TABLE = {
    Operation.READ: (True, True),
    Operation.APPEND_MESSAGE: (True, True),
    Operation.SUBMIT_OUTPUT: (True, True),
    Operation.UPDATE: (True, False),
    Operation.EDIT_OUTPUT: (True, False),
    Operation.PAUSE: (True, False),
    Operation.DECIDE_OUTPUT: (True, False),
    Operation.DELETE: (True, False),
    Operation.TURN: (True, True),
    Operation.CANCEL_TURN: (True, False),
    Operation.ABANDON_TURN: (False, False),
    Operation.HOLD: (False, False),
}


@pytest.mark.parametrize("operation", Operation)
def test_owner_and_agent_do_what_the_table_says(operation: Operation) -> None:
    """The owner, whoever acts for them, and administrators do everything; agents what is theirs."""
    owner, agent = TABLE[operation]
    for identity, may in (
        (ALICE, owner),
        (ADMIN, owner or operation is Operation.HOLD),
        (SERVICE, owner),
        (CONSULTANT, agent),
        (GUEST_AGENT, agent),
    ):
        if may:
            check_access(identity, operation, **OF_ALICE)
            continue
        with pytest.raises(PermissionDenied):
            check_access(identity, operation, **OF_ALICE)


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
    completed = {**OF_ALICE, "current_agent": ""}
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
