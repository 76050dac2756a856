from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.store.commit import Committer
from services.store.memory import MemoryRepository
from services.store.metrics import CommitMetrics
from services.store.writes import (
    BatchRefused,
    Commit,
    Committed,
    Outcome,
    Refused,
    Unknown,
    Unstorable,
)
from sessiond.errors import Unavailable
from sessiond.session.changes import AppendMessage, CancelTurn
from tests.store.author import Author
from tests.store.conftest import Begin


class Gated(MemoryRepository):
    """Holds batches at a gate, and remembers them."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[str]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.arrived = asyncio.Event()
        self.failure: Exception | None = None

    async def commit(self, batch: Sequence[Commit]) -> list[Outcome]:
        self.batches.append([each.session_id for each in batch])
        self.arrived.set()
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return await super().commit(batch)


@pytest.fixture
def repository() -> Gated:
    """A repository whose batches a test can hold."""
    return Gated()


def committer_of(repository: Gated, **settings: Any) -> Committer:
    return Committer(repository, CommitMetrics(CollectorRegistry()), **settings)


async def commits_for(author: Author, begin: Begin, *names: str) -> list[Commit]:
    for name in names:
        await begin(name)
    return [(await author.commit_of(name, AppendMessage("hello")))[0] for name in names]


async def test_what_waits_together_travels_together(
    repository: Gated, author: Author, begin: Begin
) -> None:
    """Commits that are submitted in one pass of the loop form one batch."""
    commits = await commits_for(author, begin, *(f"s-{n}" for n in range(70)))
    async with committer_of(repository) as committer:
        outcomes = await asyncio.gather(*map(committer.commit, commits))
    assert outcomes == [Committed()] * 70
    assert [len(batch) for batch in repository.batches] == [63, 7]


async def test_at_most_two_batches_are_in_flight(
    repository: Gated, author: Author, begin: Begin
) -> None:
    """What arrives while two batches are in flight forms the next one."""
    commits = await commits_for(author, begin, *(f"s-{n}" for n in range(5)))
    repository.gate.clear()
    async with committer_of(repository) as committer:
        waiting = []
        for commit in commits:
            waiting.append(asyncio.ensure_future(committer.commit(commit)))
            for _ in range(5):
                await asyncio.sleep(0)
        assert repository.batches == [["s-0"], ["s-1"]]
        repository.gate.set()
        assert await asyncio.gather(*waiting) == [Committed()] * 5
    assert repository.batches == [["s-0"], ["s-1"], ["s-2", "s-3", "s-4"]]


async def test_one_stale_one_doubled_and_one_too_large_lose_none_of_the_others(
    repository: Gated, author: Author, begin: Begin
) -> None:
    """Each commit has its own fate, however its neighbours fare."""
    good = await commits_for(author, begin, *(f"s-{n}" for n in range(10)))
    (stale,) = await commits_for(author, begin, "stale")
    await author.say("stale", "somebody was faster")
    (large,) = await commits_for(author, begin, "large")
    large = replace(large, records=(b"x" * 2_000_000,))
    everything = [*good[:5], stale, large, good[0], *good[5:]]
    async with committer_of(repository) as committer:
        outcomes = await asyncio.gather(*map(committer.commit, everything))
    assert outcomes[:5] + outcomes[8:] == [Committed()] * 10
    snapshot = await repository.snapshot("stale")
    assert snapshot is not None
    assert outcomes[5] == Refused(snapshot.head, registered=True)
    assert outcomes[6] == Unstorable()
    # The doubled one finds the head that its twin wrote, and so its own commit id.
    assert outcomes[7] == Refused(good[0].head, registered=True)


async def test_a_refused_batch_is_sent_in_parts(
    repository: Gated, author: Author, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a batch is refused as a whole, only a part that is refused alone is unstorable."""
    commits = await commits_for(author, begin, "a", "b", "c")
    genuine = MemoryRepository.commit

    async def fussy(self: Any, batch: Sequence[Commit]) -> list[Outcome]:
        if any(each.session_id == "b" for each in batch):
            raise BatchRefused
        return await genuine(self, batch)

    monkeypatch.setattr(MemoryRepository, "commit", fussy)
    async with committer_of(repository) as committer:
        outcomes = await asyncio.gather(*map(committer.commit, commits))
    assert outcomes == [Committed(), Unstorable(), Committed()]
    assert repository.batches == [["a", "b", "c"], ["a"], ["b"], ["c"]]


async def test_a_broken_repository_leaves_outcomes_unknown(
    repository: Gated, author: Author, begin: Begin
) -> None:
    """A failure that the contract does not know says nothing about what was stored."""
    commits = await commits_for(author, begin, "a", "b")
    repository.failure = RuntimeError("broken")
    async with committer_of(repository) as committer:
        assert await asyncio.gather(*map(committer.commit, commits)) == [Unknown()] * 2
        repository.failure = None
        assert await committer.commit(commits[0]) == Committed()


async def test_commits_of_one_session_keep_their_order(
    repository: Gated, author: Author, begin: Begin
) -> None:
    """A second commit of a session is not sent before the first one is settled."""
    (first,) = await commits_for(author, begin, "a")
    second = replace(first, expected_head=first.head, records=())
    async with committer_of(repository) as committer:
        outcomes = await asyncio.gather(*map(committer.commit, (first, second)))
    assert outcomes == [Committed(), Committed()]
    assert repository.batches == [["a"], ["a"]]


async def test_a_draft_and_the_end_of_its_turn_never_share_a_batch(
    repository: Gated, author: Author, begin: Begin
) -> None:
    """In one transaction of etcd, a put beside the removal of its range would refuse all of it."""
    await begin("s-1")
    turn_id = await author.begin_turn("s-1")
    draft = await author.draft_of("s-1", "Once", " upon")
    end, _ = await author.commit_of("s-1", CancelTurn(turn_id), text="Once upon")
    draft = replace(draft, expected_head=end.expected_head)
    repository.batches.clear()
    async with committer_of(repository) as committer:
        outcomes = await asyncio.gather(*map(committer.commit, (draft, end)))
    assert outcomes == [Committed(), Committed()]
    assert repository.batches == [["s-1"], ["s-1"]]
    snapshot = await repository.snapshot("s-1")
    assert snapshot is not None
    assert await repository.drafts("s-1", turn_id, revision=snapshot.revision - 1) != []
    assert await repository.drafts("s-1", turn_id, revision=snapshot.revision) == []


async def test_a_turn_waits_behind_the_commits(
    repository: Gated, author: Author, begin: Begin
) -> None:
    """A heartbeat's read runs only when what waited before it was sent and a place is free."""
    commits = await commits_for(author, begin, "a", "b", "c")
    ran = asyncio.Event()

    async def read() -> str:
        ran.set()
        return "alive"

    repository.gate.clear()
    async with committer_of(repository, in_flight=1) as committer:
        sent = [asyncio.ensure_future(committer.commit(commits[0]))]
        await repository.arrived.wait()
        sent += [asyncio.ensure_future(committer.commit(each)) for each in commits[1:]]
        turn = asyncio.ensure_future(committer.in_turn(read))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not ran.is_set()
        repository.gate.set()
        assert await turn == "alive"
        assert await asyncio.gather(*sent) == [Committed()] * 3


async def test_a_turn_tells_its_failure(repository: Gated) -> None:
    """A call that raises in its turn raises for whoever asked."""

    async def failing() -> bool:
        raise Unavailable

    async with committer_of(repository) as committer:
        with pytest.raises(Unavailable):
            await committer.in_turn(failing)


async def test_a_full_queue_holds_its_senders_back(
    repository: Gated, author: Author, begin: Begin
) -> None:
    """Room is given again only when batches have left the queue."""
    commits = await commits_for(author, begin, *(f"s-{n}" for n in range(6)))
    repository.gate.clear()
    async with committer_of(repository, in_flight=1, capacity=3) as committer:
        settled: list[int] = []
        settle: Callable[[int, Outcome], None] = lambda tag, _: settled.append(tag)  # noqa: E731
        committer.submit(commits[0], settle, 0)
        await repository.arrived.wait()
        for tag, commit in enumerate(commits[1:5], 1):
            committer.submit(commit, settle, tag)
        waiting = asyncio.ensure_future(committer.room())
        for _ in range(5):
            await asyncio.sleep(0)
        assert not waiting.done()
        repository.gate.set()
        await waiting
    assert sorted(settled) == [0, 1, 2, 3, 4]


async def test_leaving_settles_what_waits_and_leaves_nothing_behind(
    repository: Gated, author: Author, begin: Begin
) -> None:
    """On leaving, waiting commits are sent; what is not settled within the grace is unknown."""
    commits = await commits_for(author, begin, "a", "b", "c")
    outcomes: dict[int, Outcome] = {}

    async def never() -> None:
        raise AssertionError("given up unrun")

    repository.gate.clear()
    async with committer_of(repository, in_flight=1, grace=0.05) as committer:
        for tag, commit in enumerate(commits):
            committer.submit(commit, outcomes.__setitem__, tag)
        turn = asyncio.ensure_future(committer.in_turn(never))
        await repository.arrived.wait()
    assert outcomes == dict.fromkeys(range(3), Unknown())
    with pytest.raises(Unavailable):
        await turn
    committer.submit(commits[0], outcomes.__setitem__, 9)
    assert outcomes[9] == Unknown()
    assert [task for task in asyncio.all_tasks() if "Committer" in repr(task.get_coro())] == []
