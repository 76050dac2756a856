from __future__ import annotations

from dataclasses import replace

import pytest
import structlog
from prometheus_client import CollectorRegistry

from services.store.commit import Committer
from services.store.memory import MemoryRepository
from services.store.metrics import CommitMetrics
from services.store.outcomes import commit_from_wire, outcome_to_wire
from services.store.sessions import Sessions
from services.store.space import Space
from services.store.writes import Commit, Committed, DraftWrite, PutOff
from sessiond.errors import CARRIED, IdempotencyMismatch, Unavailable
from sessiond.session.access import Identity
from sessiond.session.changes import AppendMessage, CreateSession
from sessiond.v1 import ownership_pb2 as pb
from tests.store.author import Author
from tests.store.conftest import Begin

ALICE = Identity("alice")


@pytest.fixture
def space() -> Space:
    """Space of which 85 % is used."""
    space = Space()
    space.seen(85, 100)
    return space


@pytest.fixture
async def append(author: Author, begin: Begin) -> Commit:
    """A deferrable commit of one message."""
    await begin("s-1")
    return replace((await author.commit_of("s-1", AppendMessage("hello")))[0], deferrable=True)


def committer_of(repository: MemoryRepository, space: Space) -> Committer:
    return Committer(repository, CommitMetrics(CollectorRegistry()), space=space)


async def test_an_append_is_put_off_and_was_not_applied(
    repository: MemoryRepository, space: Space, append: Commit
) -> None:
    """At 85 % the outcome says that nothing was tried, and the head is what it was."""
    async with committer_of(repository, space) as committer:
        assert await committer.commit(append) == PutOff()
        snapshot = await repository.snapshot("s-1")
        assert snapshot is not None and snapshot.head == append.expected_head
        space.seen(84, 100)
        assert await committer.commit(append) == Committed()


async def test_what_may_have_been_tried_is_not_put_off(
    repository: MemoryRepository, space: Space, append: Commit
) -> None:
    """A repetition that settles an unknown try goes through, whatever the fill."""
    async with committer_of(repository, space) as committer:
        assert await committer.commit(replace(append, deferrable=False)) == Committed()


async def test_what_does_not_make_a_session_grow_goes_on(space: Space, append: Commit) -> None:
    """Heads alone, drafts of a running turn and the commit that ends it are never put off."""
    assert space.puts_off(append)
    assert not space.puts_off(replace(append, records=()))
    assert not space.puts_off(replace(append, ended_turn="t"))
    drafts = (DraftWrite("t", 1, b"text"),)
    assert not space.puts_off(
        Commit(append.instance, "s-1", append.expected_head, b"", drafts=drafts, deferrable=True)
    )


async def test_nothing_is_put_off_before_the_limit(append: Commit) -> None:
    """Up to 85 % everything is taken, and so it is before the first look."""
    space = Space()
    assert not space.puts_off(append)
    space.seen(8499, 10000)
    assert not space.puts_off(append)


async def test_a_new_session_is_refused(
    sessions: Sessions, repository: MemoryRepository, space: Space
) -> None:
    """The maker is told to come back, with the one failure that says "nothing was changed"."""
    sessions._space = space
    with pytest.raises(Unavailable) as refused:
        await sessions.create(ALICE, CreateSession(id="mine"), None)
    assert CARRIED[type(refused.value)].retryable and refused.value.retry_after
    assert "nothing was changed" in refused.value.detail
    assert await repository.snapshot("mine") is None


async def test_a_creation_that_was_stored_is_answered_as_before(
    sessions: Sessions, space: Space
) -> None:
    """The same operation finds its session also when nothing new is taken."""
    made = await sessions.create(ALICE, CreateSession(id="mine"), "op-1")
    sessions._space = space
    assert await sessions.create(ALICE, CreateSession(id="mine"), "op-1") == made
    with pytest.raises(IdempotencyMismatch):
        await sessions.create(ALICE, CreateSession(id="mine", title="other"), "op-1")
    with pytest.raises(Unavailable):
        await sessions.create(ALICE, CreateSession(id="other"), "op-2")


def test_each_limit_is_logged_once() -> None:
    """A warning at 75 %, an error at 85 %, and a word when there is space again."""
    space = Space()
    with structlog.testing.capture_logs() as logs:
        for used in (74, 75, 76, 84, 85, 86, 84, 74, 73, 90, 10):
            space.seen(used, 100)
    assert [log["log_level"] for log in logs] == [
        *("warning", "error", "warning", "info"),
        *("error", "info"),
    ]


def test_the_outcome_travels() -> None:
    """Live says which commits may be put off, and hears which were."""
    assert outcome_to_wire(7, PutOff()) == pb.CommitOutcome(
        tag=7, put_off=pb.CommitOutcome.PutOff()
    )
    wire = pb.Commit(session_id="s-1", expected_head=b"h", head=b"g", deferrable=True)
    commit = commit_from_wire(b"i" * 16, wire)
    assert commit is not None and commit.deferrable
