from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from services.store.memory import MemoryRepository
from services.store.sessions import Sessions
from sessiond.errors import (
    IdempotencyMismatch,
    IdTaken,
    InvalidArgument,
    PermissionDenied,
    TooManySessions,
)
from sessiond.session.access import Identity, Role
from sessiond.session.changes import CreateSession
from sessiond.session.limits import Limits
from sessiond.store.codec import decode_entry, decode_head
from tests.store.author import Author
from tests.store.conftest import Begin, Clock, sessions_of

ALICE = Identity("alice")
BOB = Identity("bob")


async def test_a_new_session_stands_everywhere_at_once(
    sessions: Sessions, repository: MemoryRepository
) -> None:
    """Head, first record, index entry and awaited place are there at one revision."""
    created = await sessions.create(ALICE, CreateSession(title="Plan", metadata={"k": "v"}), None)
    snapshot = await repository.snapshot(created.id)
    assert snapshot is not None
    head = decode_head(snapshot.head)
    (record,) = await repository.records(created.id, 1, 9, revision=snapshot.revision)
    (entry,) = (await repository.entries("alice", after=None, limit=9, revision=None)).entries
    assert (head.seq, head.meta.epoch, head.meta.owner) == (1, 0, b"")
    assert head.meta.size == len(record)
    assert head.meta.index_ms == entry.position_ms == head.last_active_ms
    assert decode_entry(entry.value).title == "Plan"
    awaited = await repository.awaited("gtm-consultant")
    assert [session_id for session_id, _ in awaited.entries] == [created.id]


async def test_what_is_created_is_what_is_loaded(sessions: Sessions) -> None:
    """The answer to a creation equals a load right after it."""
    change = CreateSession(user_inputs='{"n": 1}', title="Plan", metadata={"a": "b"})
    created = await sessions.create(ALICE, change, None)
    assert await sessions.load(ALICE, created.id) == created


async def test_the_server_gives_sortable_ids(sessions: Sessions, clock: Clock) -> None:
    """Without an id and an operation id, a UUIDv7 of the clock."""
    first = await sessions.create(ALICE, CreateSession(), None)
    clock.ms += 1
    second = await sessions.create(ALICE, CreateSession(), None)
    assert UUID(first.id).version == 7
    assert first.id < second.id


async def test_a_repeated_operation_gives_the_first_session(
    sessions: Sessions, author: Author
) -> None:
    """The same caller, operation id and request find the session as it now is."""
    first = await sessions.create(ALICE, CreateSession(workflow_id="chat"), "op-1")
    assert UUID(first.id).version == 8
    await author.say(first.id, "hello")
    again = await sessions.create(ALICE, CreateSession(workflow_id="chat"), "op-1")
    assert again.id == first.id
    assert [message.content for message in again.conversation_history] == ["hello"]


async def test_a_repeated_operation_with_an_id_gives_the_first_session(sessions: Sessions) -> None:
    """An id given by the client changes nothing about repeating."""
    change = CreateSession(id="mine")
    assert await sessions.create(ALICE, change, "op-1") == await sessions.create(
        ALICE, change, "op-1"
    )


@pytest.mark.parametrize(
    ("identity", "change", "op_id", "failure"),
    [
        (ALICE, CreateSession(id="mine", title="other"), "op-1", IdempotencyMismatch),
        (ALICE, CreateSession(id="mine"), "op-2", IdTaken),
        (ALICE, CreateSession(id="mine"), None, IdTaken),
        (BOB, CreateSession(id="mine"), "op-1", IdTaken),
        (Identity("alice", Role.ADMIN), CreateSession(id="mine"), "op-1", IdTaken),
        (Identity("svc", Role.SERVICE, "alice"), CreateSession(id="mine"), "op-1", IdTaken),
    ],
)
async def test_an_id_in_use_is_refused(
    sessions: Sessions,
    identity: Identity,
    change: CreateSession,
    op_id: str | None,
    failure: type[Exception],
) -> None:
    """Only the same actor's same operation meets its session; all others hear that it is taken."""
    await sessions.create(ALICE, CreateSession(id="mine"), "op-1")
    with pytest.raises(failure):
        await sessions.create(identity, change, op_id)


async def test_an_operation_id_with_another_request_is_a_mismatch(sessions: Sessions) -> None:
    """Also when the server derives the session's id from it."""
    await sessions.create(ALICE, CreateSession(title="one"), "op-1")
    with pytest.raises(IdempotencyMismatch):
        await sessions.create(ALICE, CreateSession(title="two"), "op-1")


async def test_two_actors_equal_operation_ids_never_meet(sessions: Sessions) -> None:
    """An operation id is scoped by its actor, also for two services of one user."""
    identities = [
        ALICE,
        BOB,
        Identity("svc-1", Role.SERVICE, "alice"),
        Identity("svc-2", Role.SERVICE, "alice"),
    ]
    created = [await sessions.create(who, CreateSession(), "op-1") for who in identities]
    assert len({session.id for session in created}) == 4
    assert [session.user_id for session in created] == ["alice", "bob", "alice", "alice"]


async def test_a_deleted_id_is_taken(sessions: Sessions, author: Author, begin: Begin) -> None:
    """A tombstone keeps its id from everyone, its former owner included."""
    await begin("gone")
    await author.delete("gone")
    with pytest.raises(IdTaken):
        await sessions.create(ALICE, CreateSession(id="gone"), "op-1")


async def test_a_user_may_have_only_so_many_sessions(
    repository: MemoryRepository, clock: Clock
) -> None:
    """The limit is per user, says nothing about ids, and lets repeated operations through."""
    sessions = sessions_of(repository, clock, Limits(sessions_per_user=2))
    await sessions.create(ALICE, CreateSession(id="a"), "op-1")
    await sessions.create(ALICE, CreateSession(id="b"), None)
    with pytest.raises(TooManySessions):
        await sessions.create(ALICE, CreateSession(id="b"), None)
    with pytest.raises(TooManySessions):
        await sessions.create(ALICE, CreateSession(), "op-2")
    assert (await sessions.create(ALICE, CreateSession(id="a"), "op-1")).id == "a"
    assert (await sessions.create(BOB, CreateSession(id="c"), None)).id == "c"


@pytest.mark.parametrize(
    "identity",
    [
        Identity("w", Role.AGENT, agents=frozenset({"assistant"})),
        Identity("svc", Role.SERVICE),
        Identity("live-1", Role.LIVE),
    ],
)
async def test_who_owns_no_sessions_creates_none(sessions: Sessions, identity: Identity) -> None:
    """Agents, parts, and services that act for nobody are refused."""
    with pytest.raises(PermissionDenied):
        await sessions.create(identity, CreateSession(), None)


async def test_every_bad_field_is_named(sessions: Sessions) -> None:
    """The operation id's fault stands beside those of the request."""
    change = CreateSession(
        workflow_id="none", user_inputs="[]", title="x" * 300, metadata={"": "v"}, id="a b"
    )
    with pytest.raises(InvalidArgument) as refused:
        await sessions.create(ALICE, change, "\n")
    fields: set[Any] = {violation.field for violation in refused.value.violations}
    assert fields == {"op_id", "workflow_id", "user_inputs", "title", "metadata", "id"}
