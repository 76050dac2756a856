"""A commit is stored whole or not at all, and only under its conditions."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from services.store.answers import Entry
from services.store.keys import LAST_POSITION_MS
from services.store.repository import Repository
from services.store.writes import AwaitedWrite, Commit, Committed, IndexWrite, Refused, Unstorable
from tests.contracts.chats import (
    START_MS,
    Chat,
    all_records,
    head_bytes,
    listed,
    new_chat,
    now,
    own,
    register,
    some_bytes,
)
from tests.contracts.places import Place

LARGE = 1536 * 1024


async def entries_at(repository: Repository, revision: int) -> tuple[Entry, ...]:
    page = await repository.entries("alice", after=None, limit=10, revision=revision)
    return page.entries


async def test_all_that_a_commit_writes_is_visible_at_one_revision(repository: Repository) -> None:
    """One revision shows nothing of it, the next one all of it."""
    chat = await new_chat(repository, "abc")
    commit = chat.commit(
        b"two", b"three", outputs=b"table", position_ms=START_MS + 250, agent="planner"
    )
    old = (await now(repository, "abc")).revision
    assert await repository.commit([commit]) == [Committed()]
    snapshot = await now(repository, "abc")
    assert (snapshot.head, snapshot.outputs) == (commit.head, b"table")
    assert commit.index is not None
    assert await entries_at(repository, snapshot.revision) == (
        Entry("abc", START_MS + 250, commit.index.entry),
    )
    assert (await repository.awaited("planner")).entries == (("abc", commit.index.entry),)
    read = await repository.records("abc", 2, 9, revision=snapshot.revision)
    assert read == [b"two", b"three"]
    for earlier in range(old, snapshot.revision):
        (entry,) = await entries_at(repository, earlier)
        assert entry.position_ms == START_MS
        assert await repository.records("abc", 2, 9, revision=earlier) == []


async def test_what_a_commit_does_not_name_stays(repository: Repository) -> None:
    """Without outputs, entry and awaited place, only head and records change."""
    chat = await new_chat(repository, "abc", agent="planner")
    await chat.write(repository, chat.commit(b"two", outputs=b"table"))
    before = await repository.entries("alice", after=None, limit=10, revision=None)
    waiting = (await repository.awaited("planner")).entries
    await chat.write(repository, dataclasses.replace(chat.commit(b"three"), index=None))
    after = await repository.entries("alice", after=None, limit=10, revision=None)
    assert after.entries == before.entries
    assert (await repository.awaited("planner")).entries == waiting
    assert (await now(repository, "abc")).outputs == b"table"
    assert (await all_records(repository, "abc"))[1:] == [b"two", b"three"]


async def test_an_empty_table_of_outputs_is_a_table(repository: Repository) -> None:
    """`outputs` b"" empties the table; only None leaves it."""
    chat = await new_chat(repository, "abc")
    await chat.write(repository, chat.commit(b"two", outputs=b"table"))
    await chat.write(repository, chat.commit(b"three", outputs=b""))
    assert (await now(repository, "abc")).outputs == b""


async def test_the_awaited_place_follows_the_agent(repository: Repository) -> None:
    """The session is under the agent it awaits, with the entry of that moment, and nowhere else."""
    chat = await new_chat(repository, "abc", agent="planner")
    commit = chat.commit(b"two", agent="writer")
    await chat.write(repository, commit)
    assert commit.index is not None
    assert (await repository.awaited("planner")).entries == ()
    assert (await repository.awaited("writer")).entries == (("abc", commit.index.entry),)
    await chat.write(repository, chat.commit(b"three", agent="writer"))
    assert (await repository.awaited("writer")).entries == (("abc", commit.index.entry),)
    await chat.write(repository, chat.commit(b"four", agent=""))
    assert (await repository.awaited("writer")).entries == ()


async def test_the_head_is_compared_by_its_bytes(repository: Repository) -> None:
    """Any other head refuses the commit, even one that means the same; the refusal shows it."""
    chat = await new_chat(repository, "abc")
    standing = chat.head
    # A field given twice means what its last value means, so this decodes to the same head.
    same_meaning = standing[:2] + standing
    commit = dataclasses.replace(chat.commit(b"two"), expected_head=same_meaning)
    assert await repository.commit([commit]) == [Refused(standing, registered=True)]
    assert len(await all_records(repository, "abc")) == 1


async def test_a_commit_is_stored_once(repository: Repository) -> None:
    """The identical commit again is refused, and is shown its own head."""
    chat = await new_chat(repository, "abc")
    commit = chat.commit(b"two")
    assert await repository.commit([commit]) == [Committed()]
    revision = (await now(repository, "abc")).revision
    assert await repository.commit([commit]) == [Refused(commit.head, registered=True)]
    assert (await now(repository, "abc")).revision == revision


async def test_of_writers_that_meet_one_wins(repository: Repository) -> None:
    """Of commits over the same head, one is stored whole and no trace is left of the others."""
    chat = await new_chat(repository, "abc")
    commits = [chat.commit(f"by {n}".encode(), position_ms=START_MS + n) for n in range(20)]
    outcomes = await asyncio.gather(*(repository.commit([commit]) for commit in commits))
    (winner,) = [n for n, outcome in enumerate(outcomes) if outcome == [Committed()]]
    assert outcomes.count([Refused(commits[winner].head, registered=True)]) == 19
    assert (await all_records(repository, "abc"))[1:] == [f"by {winner}".encode()]
    assert await listed(repository) == ["abc"]
    assert await repository.count("alice") == 1


async def test_a_commit_of_no_session_is_refused(repository: Repository) -> None:
    """Where no head stands, the refusal says so with an empty head, and nothing is made."""
    chat = Chat("abc", await register(repository), head_bytes())
    for expected in (chat.head, b""):
        commit = dataclasses.replace(chat.commit(b"two"), expected_head=expected)
        assert await repository.commit([commit]) == [Refused(b"", registered=True)]
    assert await repository.snapshot("abc") is None
    assert await listed(repository) == []


async def test_a_writer_without_registration_stores_nothing(place: Place) -> None:
    """Once its registration ended, an instance is refused, though the head is as it expects."""
    repository = place.repository
    chat = await new_chat(repository, "abc")
    await place.expire(chat.instance)
    commit = chat.commit(b"two")
    assert await repository.commit([commit]) == [Refused(chat.head, registered=False)]
    assert len(await all_records(repository, "abc")) == 1


async def test_the_registration_of_another_instance_is_not_enough(repository: Repository) -> None:
    """It is the writer's own registration that counts."""
    chat = await new_chat(repository, "abc")
    await register(repository, "live:2")
    commit = dataclasses.replace(chat.commit(b"two"), instance=some_bytes())
    assert await repository.commit([commit]) == [Refused(chat.head, registered=False)]


async def test_the_former_owner_is_shown_the_new_head(place: Place) -> None:
    """After a takeover the late commit is refused with the new owner's head."""
    repository = place.repository
    former = await new_chat(repository, "abc")
    late = former.commit(b"late")
    await place.expire(former.instance)
    present = await own(repository, "abc", await register(repository, "live:2"))
    assert await repository.commit([late]) == [Refused(present.head, registered=False)]
    await present.write(repository, present.commit(b"two"))
    assert await repository.commit([late]) == [Refused(present.head, registered=False)]
    assert (await all_records(repository, "abc"))[1:] == [b"two"]


async def test_a_successor_must_be_registered_and_staying(place: Place) -> None:
    """A hand-over to an instance that is gone or draining stores nothing."""
    repository = place.repository
    chat = await new_chat(repository, "abc")
    target = some_bytes()
    refused = [Refused(chat.head, registered=True)]
    assert await repository.commit([chat.commit(successor=target)]) == refused
    lease = await repository.register(target, address="live:2", ttl_seconds=3600)
    await repository.heartbeat(target, lease, draining=True)
    assert await repository.commit([chat.commit(successor=target)]) == refused
    await repository.heartbeat(target, lease, draining=False)
    commit = chat.commit(successor=target)
    assert await repository.commit([commit]) == [Committed()]
    chat.took(commit)
    await place.expire(target)
    refused = [Refused(chat.head, registered=True)]
    assert await repository.commit([chat.commit(successor=target)]) == refused


@pytest.mark.parametrize(
    "malformed",
    [
        Commit(b"i", "abc", b"old", b"new", awaited=AwaitedWrite("planner", "")),
        Commit(b"i", "abc", b"old", b"new", index=IndexWrite("alice", -1, 0, b"")),
        Commit(b"i", "abc", b"old", b"new", index=IndexWrite("a", 0, LAST_POSITION_MS + 1, b"")),
    ],
    ids=["awaiting without an entry", "before 1970", "after 2286"],
)
async def test_what_no_key_can_hold_is_unstorable(
    repository: Repository, malformed: Commit
) -> None:
    """A malformed commit is `Unstorable`, and the others of its batch are stored."""
    chat = await new_chat(repository, "xyz")
    good = chat.commit(b"two")
    assert await repository.commit([malformed]) == [Unstorable()]
    assert await repository.commit([malformed, good]) == [Unstorable(), Committed()]


async def test_a_commit_over_the_limit_is_unstorable(repository: Repository) -> None:
    """What is too large for one write can never be stored, and nothing of it is."""
    chat = await new_chat(repository, "abc")
    commit = chat.commit(b"two", bytes(LARGE))
    assert await repository.commit([commit]) == [Unstorable()]
    assert (await now(repository, "abc")).head == chat.head
    assert len(await all_records(repository, "abc")) == 1
    await chat.write(repository, chat.commit(bytes(LARGE // 2)))
