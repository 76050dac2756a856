"""Drafts on their way between a Live and etcd: stored, loaded with their session, removed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from services.store.memory import MemoryRepository
from services.store.writes import Commit, Committed, DraftWrite
from sessiond.session.changes import CancelTurn
from sessiond.store.codec import decode_draft, decode_head, encode_draft
from sessiond.v1 import ownership_pb2 as pb
from sessiond.v1 import store_pb2
from tests.store.author import Author, wired
from tests.store.conftest import Begin, Serve, Served


@pytest.fixture
async def served(serve: Serve, repository: MemoryRepository) -> AsyncIterator[Served]:
    """A served Store on the repository."""
    async with serve(repository) as opened:
        yield opened


async def test_a_session_is_acquired_with_what_is_stored_of_its_running_turn(
    served: Served, author: Author, begin: Begin
) -> None:
    """Pieces in order, while the turn runs; and nothing before and after it."""
    await begin("s-1")

    async def acquired() -> list[tuple[int, str]]:
        request = pb.AcquireRequest(
            session_id="s-1", instance=author.instance, commit_id=b"c" * 16, recent=5
        )
        response = await served.ownership.Acquire(request, metadata=served.live)
        return list(map(decode_draft, response.acquired.drafts))

    assert await acquired() == []
    turn_id = await author.begin_turn("s-1")
    assert await acquired() == []
    pieces = [f"{number} " for number in range(12)]
    draft = await author.draft_of("s-1", *pieces)
    assert await author.repository.commit([draft]) == [Committed()]
    offsets = [sum(map(len, pieces[:number])) for number in range(12)]
    assert await acquired() == list(zip(offsets, pieces, strict=True))
    await author.change("s-1", CancelTurn(turn_id), text="".join(pieces))
    assert await acquired() == []


class Meddling(MemoryRepository):
    """Stores one more draft between the writing of a new head and the reading of the records."""

    draft: DraftWrite | None = None

    async def records(
        self, session_id: str, first_seq: int, last_seq: int, *, revision: int
    ) -> list[bytes]:
        if self.draft is not None:
            snapshot = await self.snapshot(session_id)
            assert snapshot is not None
            owner = decode_head(snapshot.head).meta.owner
            more = Commit(owner, session_id, snapshot.head, b"", drafts=(self.draft,))
            assert await self.commit([more]) == [Committed()]
            self.draft = None
        return await super().records(session_id, first_seq, last_seq, revision=revision)


async def test_drafts_are_of_the_revision_of_the_acquisition(
    serve: Serve,
) -> None:
    """As the head and the records are: an owner continues what it was shown, and nothing else."""
    repository = Meddling()
    async with serve(repository) as served:
        author = await Author(repository).register()
        alice = served.bearer("alice")
        request = store_pb2.CreateSessionRequest(id="s-1", workflow_id="chat")
        await served.store.CreateSession(request, metadata=alice)
        turn_id = await author.begin_turn("s-1")
        assert await repository.commit([await author.draft_of("s-1", "Once")]) == [Committed()]
        repository.draft = DraftWrite(turn_id, 2, encode_draft(4, " upon"))
        acquire = pb.AcquireRequest(
            session_id="s-1", instance=author.instance, commit_id=b"c" * 16, recent=5
        )
        response = await served.ownership.Acquire(acquire, metadata=served.live)
        assert list(map(decode_draft, response.acquired.drafts)) == [(0, "Once")]
        response = await served.ownership.Acquire(acquire, metadata=served.live)
        assert len(response.acquired.drafts) == 2


async def test_drafts_and_ends_of_turns_travel_over_the_stream(
    served: Served, author: Author, begin: Begin, repository: MemoryRepository
) -> None:
    """Drafts alone, and the commit that removes them; what no key can hold is unstorable."""
    await begin("s-1")
    turn_id = await author.begin_turn("s-1")
    draft = await author.draft_of("s-1", "Once", " upon")
    call = served.ownership.Commit(metadata=served.live)

    async def outcome(commit: pb.Commit) -> str | None:
        await call.write(pb.CommitRequest(instance=author.instance, commits=[commit]))
        response = await call.read()
        assert isinstance(response, pb.CommitResponse)
        (only,) = response.outcomes
        assert only.tag == commit.tag
        return only.WhichOneof("outcome")

    async def stored() -> int:
        snapshot = await repository.snapshot("s-1")
        assert snapshot is not None
        return len(await repository.drafts("s-1", turn_id, revision=snapshot.revision))

    for number in (0, -1, 10**10):
        malformed = wired(draft, 1)
        malformed.drafts[0].number = number
        assert await outcome(malformed) == "unstorable"
    nobodys = wired(draft, 2)
    nobodys.drafts[0].turn_id = ""
    assert await outcome(nobodys) == "unstorable"
    ending = wired(draft, 3)
    ending.ended_turn = "other"
    assert await outcome(ending) == "unstorable"
    nothing = wired(replace(draft, drafts=()), 4)
    assert await outcome(nothing) == "unstorable"
    assert await stored() == 0
    for _ in range(2):
        assert await outcome(wired(draft, 5)) == "committed"
        assert await stored() == 2
    end, _ = await author.commit_of("s-1", CancelTurn(turn_id), text="Once upon")
    assert await outcome(wired(end, 6)) == "committed"
    assert await stored() == 0
    await call.done_writing()
