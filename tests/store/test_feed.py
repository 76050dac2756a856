"""The feed: every change at least once, those of a session in order, and what a cursor is worth."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from services.serving.health import Health
from services.store import feed_hub, feeding
from services.store.answers import AllChanges
from services.store.feed_query import Cursor, FeedQuery, Place, opened, sealed
from services.store.feeding import Feeding
from services.store.memory import MemoryRepository
from services.store.writes import Committed
from sessiond.errors import InvalidArgument, SlowReader, Unauthenticated, Unavailable
from sessiond.session.access import MemberRole
from sessiond.session.changes import PauseSession, ShareSession, TransferSession
from sessiond.store.codec import Building, decode_head, encode_head
from sessiond.v1.store_pb2 import WatchChangesResponse
from tests.store.author import ADMIN, Author
from tests.store.conftest import Begin, Clock
from tests.store.test_watch_sessions import own_tasks

Responses = AsyncGenerator[WatchChangesResponse, None]
ALL = FeedQuery()
HOUR_MS = 3_600_000


class Reader:
    """Reads a feed, one message at a time, each within 5 s."""

    def __init__(self, responses: Responses) -> None:
        self._responses = responses
        self.cursor = ""

    async def next(self) -> WatchChangesResponse:
        async with asyncio.timeout(5):
            response = await anext(self._responses)
        assert response.cursor
        self.cursor = response.cursor
        return response

    async def told(self) -> tuple[str, str, int]:
        """Return what the next message tells, its session, and its seq."""
        response = await self.next()
        match kind := response.WhichOneof("change"):
            case "changed":
                event = response.changed.event
                return event.WhichOneof("event") or "", event.session_id, event.seq
            case "deleted":
                return kind, response.deleted.session_id, 0
        return str(kind), "", 0

    async def seqs(self, session_id: str, last: int) -> list[int]:
        """Return the seqs that are told of a session, up to the last."""
        found = []
        while last not in found:
            _, told, seq = await self.told()
            if told == session_id:
                found.append(seq)
        return found


@pytest.fixture
def health() -> Health:
    """The health of the part."""
    return Health()


@pytest.fixture
def ticks() -> TickingClock:
    """The clock of the feed, which stands still until the test moves it."""
    return TickingClock()


class TickingClock:
    """A clock of seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def feed(
    repository: MemoryRepository, health: Health, ticks: TickingClock, clock: Clock
) -> AsyncIterator[Feeding]:
    """What serves the feed; when all readers have left, no task of it is there."""
    before = own_tasks()
    yield Feeding(repository, health, clock=ticks, now_ms=clock)
    assert own_tasks() <= before


@asynccontextmanager
async def reading(
    feed: Feeding, query: FeedQuery = ALL, *, cursor: str = "", seconds: float = 60.0
) -> AsyncIterator[Reader]:
    """Read a feed from where it begins."""
    async with aclosing(feed.follow(query, cursor=cursor, seconds=seconds)) as responses:
        yield Reader(responses)


@asynccontextmanager
async def begun(feed: Feeding, query: FeedQuery = ALL, **more: Any) -> AsyncIterator[Reader]:
    """Read a feed after its first word, which says where it begins."""
    async with reading(feed, query, **more) as reader:
        assert await reader.told() == ("moved", "", 0)
        yield reader


async def test_everything_that_happens_is_told(feed: Feeding, author: Author, begin: Begin) -> None:
    """Of all users, with the owner, the workflow and the actor; a deletion with its time."""
    await begin("before")
    async with begun(feed) as reader:
        await begin("a", workflow="master-workflow-v2")
        response = await reader.next()
        assert response.changed.event.session_created.user_id == "alice"
        assert response.changed.user_id == "alice"
        assert response.changed.workflow_id == "master-workflow-v2"
        assert response.changed.event.actor.subject == "alice"
        await author.say("a", "one", "two")
        assert await reader.told() == ("message_appended", "a", 2)
        assert await reader.told() == ("message_appended", "a", 3)
        await begin("b", user="bob")
        assert await reader.told() == ("session_created", "b", 1)
        await author.delete("b")
        gone = (await reader.next()).deleted
        assert (gone.session_id, gone.actor.subject) == ("b", ADMIN.subject)
        assert gone.time.ToMilliseconds() == author.now_ms


async def test_a_cursor_goes_on_where_it_was_given(
    feed: Feeding, author: Author, begin: Begin
) -> None:
    """What happened in between is told, and what was told before is not."""
    async with begun(feed) as reader:
        await begin("a")
        await reader.next()
    await author.say("a", "missed")
    await begin("b")
    await author.delete("b")
    async with begun(feed, cursor=reader.cursor) as again:
        assert await again.told() == ("message_appended", "a", 2)
        assert await again.told() == ("session_created", "b", 1)
        assert await again.told() == ("deleted", "b", 0)


async def test_a_reader_who_breaks_off_within_a_revision_hears_it_again(
    feed: Feeding, author: Author, begin: Begin
) -> None:
    """Only with its last message a revision is told."""
    await begin("a")
    async with begun(feed) as reader:
        await author.say("a", "one", "two", "three")
        assert await reader.seqs("a", 3) == [2, 3]
    async with begun(feed, cursor=reader.cursor) as again:
        assert await again.seqs("a", 4) == [2, 3, 4]
    await author.say("a", "four")
    async with begun(feed, cursor=again.cursor) as last:
        assert await last.seqs("a", 5) == [5]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (FeedQuery(user_ids=frozenset({"bob"})), ["b"]),
        (FeedQuery(workflow_ids=frozenset({"chat"})), ["b", "c"]),
        (FeedQuery(kinds=frozenset({"session_paused"})), ["c"]),
        (
            FeedQuery(frozenset({"alice"}), frozenset({"chat"}), frozenset({"session_created"})),
            ["c"],
        ),
    ],
)
@pytest.mark.parametrize("compacted", [False, True])
async def test_filters(
    *,
    repository: MemoryRepository,
    feed: Feeding,
    author: Author,
    begin: Begin,
    query: FeedQuery,
    expected: list[str],
    compacted: bool,
) -> None:
    """By owner, workflow and kind, together; a deletion is told whatever they say."""
    async with begun(feed) as reader:
        pass
    await begin("a", workflow="master-workflow-v2")
    await begin("b", user="bob")
    await begin("c")
    await author.change("c", PauseSession())
    await begin("z", user="zoe")
    await author.delete("z")
    if compacted:
        repository.compact()
    async with begun(feed, query, cursor=reader.cursor) as again:
        told: set[str] = set()
        while not told >= {*expected, "z"}:
            told.add((await again.told())[1])
    assert told - {""} == {*expected, "z"}


@pytest.mark.parametrize("compacted", [False, True])
async def test_a_transfer_is_told_to_readers_of_both_owners(
    *, repository: MemoryRepository, feed: Feeding, author: Author, begin: Begin, compacted: bool
) -> None:
    """Who keeps what is the former owner's hears that this is no more, and nothing after it."""
    await begin("a")
    await author.change("a", ShareSession("bob", MemberRole.EDITOR))
    async with begun(feed) as reader:
        pass
    await author.change("a", TransferSession("bob"))
    await author.say("a", "bob's from here on")
    await begin("z", user="zoe")
    if compacted:
        repository.compact()
    for user_id, seqs in (("alice", [3]), ("bob", [3, 4])):
        query = FeedQuery(user_ids=frozenset({user_id, "zoe"}))
        async with begun(feed, query, cursor=reader.cursor) as again:
            told = []
            while ("session_created", "z", 1) not in told:
                told.append(await again.told())
        assert [seq for _, session_id, seq in told if session_id == "a"] == seqs
        assert ("owner_transferred", "a", 3) in told


async def test_what_was_filtered_out_moves_the_cursor(
    monkeypatch: pytest.MonkeyPatch,
    repository: MemoryRepository,
    health: Health,
    author: Author,
    begin: Begin,
) -> None:
    """Who is told nothing is told how far that is."""
    monkeypatch.setattr(feeding, "MOVED_SECONDS", 0.01)
    feed = Feeding(repository, health, clock=time.monotonic, now_ms=lambda: 10**12)
    await begin("a")
    async with begun(feed, FeedQuery(kinds=frozenset({"session_paused"}))) as reader:
        await author.say("a", "nobody asked for this")
        present, _ = await repository.instances()
        while opened(reader.cursor).place.revision < present:
            assert await reader.told() == ("moved", "", 0)
        await author.change("a", PauseSession())
        while (told := await reader.told()) == ("moved", "", 0):
            pass
        assert told == ("session_paused", "a", 3)


async def test_after_compaction_the_changes_since_are_read_from_the_sessions(
    repository: MemoryRepository, feed: Feeding, author: Author, begin: Begin
) -> None:
    """Only those of sessions that were written since, from where the reader was; and deletions."""
    await begin("a")
    await begin("quiet")
    await begin("gone")
    await author.say("a", "told")
    async with begun(feed) as reader:
        pass
    for number in range(3):
        await author.say("a", *(f"{number}.{part}" for part in range(50)))
    await author.say("a", "last")
    await author.delete("gone")
    await begin("b", user="bob")
    repository.compact()
    async with begun(feed, cursor=reader.cursor) as again:
        told = []
        while ("moved", "", 0) not in told:
            told.append(await again.told())
        assert told[0] == ("deleted", "gone", 0)
        assert [seq for _, session_id, seq in told if session_id == "a"] == list(range(3, 154))
        assert ("session_created", "b", 1) in told
        assert {session_id for _, session_id, _ in told} == {"a", "b", "gone", ""}
        await author.say("b", "from here on as it happens")
        assert await again.told() == ("message_appended", "b", 2)


async def test_a_reader_who_breaks_off_while_catching_up_begins_there_again(
    repository: MemoryRepository, feed: Feeding, author: Author, begin: Begin
) -> None:
    """Its cursor is the old one until all is told."""
    await begin("a")
    async with begun(feed) as reader:
        pass
    await author.say("a", "one", "two")
    repository.compact()
    async with begun(feed, cursor=reader.cursor) as again:
        assert await again.seqs("a", 2) == [2]
        assert again.cursor == reader.cursor
    async with begun(feed, cursor=again.cursor) as last:
        assert await last.seqs("a", 3) == [2, 3]


@pytest.mark.parametrize(("hours", "first"), [(24, "message_appended"), (25, "reset")])
async def test_after_a_day_deletions_may_be_missing(
    *,
    repository: MemoryRepository,
    feed: Feeding,
    clock: Clock,
    author: Author,
    begin: Begin,
    hours: int,
    first: str,
) -> None:
    """The reader is told so once, and then what can be told."""
    await begin("a")
    async with begun(feed) as reader:
        pass
    await author.say("a", "one", "two")
    repository.compact()
    clock.ms += hours * HOUR_MS
    async with begun(feed, cursor=reader.cursor) as again:
        assert (await again.told())[0] == first
        if first == "reset":
            assert await again.told() == ("message_appended", "a", 2)
    async with begun(feed, cursor=again.cursor) as last:
        assert await last.told() == ("message_appended", "a", 2)


async def test_a_session_that_is_ahead_of_the_clock_does_not_make_a_cursor_younger(
    repository: MemoryRepository, feed: Feeding, clock: Clock, author: Author, begin: Begin
) -> None:
    """Its changes have its own times; how old a cursor is, Store's clock says."""
    await begin("a")
    async with begun(feed) as reader:
        author.now_ms = clock.ms + 72 * HOUR_MS
        await author.say("a", "ahead")
        assert await reader.told() == ("message_appended", "a", 2)
    await author.say("a", "later")
    repository.compact()
    clock.ms += 25 * HOUR_MS
    async with begun(feed, cursor=reader.cursor) as again:
        assert await again.told() == ("reset", "", 0)


async def test_while_all_is_kept_age_does_not_matter(
    feed: Feeding, clock: Clock, author: Author, begin: Begin
) -> None:
    """Nothing can be missing then."""
    await begin("a")
    async with begun(feed) as reader:
        pass
    await author.say("a", "one")
    clock.ms += 48 * HOUR_MS
    async with begun(feed, cursor=reader.cursor) as again:
        assert await again.told() == ("message_appended", "a", 2)


async def test_a_cursor_of_another_etcd_is_reset(
    feed: Feeding, author: Author, begin: Begin
) -> None:
    """It names a revision that has not been."""
    await begin("a")
    async with reading(feed, cursor=sealed(Cursor(Place(10**6, 10**12), ""))) as reader:
        assert await reader.told() == ("reset", "", 0)
        assert await reader.told() == ("moved", "", 0)
        await author.say("a", "one")
        assert await reader.told() == ("message_appended", "a", 2)


async def test_a_cursor_of_before_a_restore_is_reset(
    repository: MemoryRepository, feed: Feeding, author: Author, begin: Begin
) -> None:
    """Its revision may be there again, and is another one: the reader is told so once."""
    await begin("a")
    async with begun(feed) as reader:
        pass
    repository.renew_history("b")
    await author.say("a", "another")
    async with reading(feed, cursor=reader.cursor) as again:
        assert await again.told() == ("reset", "", 0)
    async with begun(feed, cursor=again.cursor):
        pass


@pytest.mark.parametrize(
    "cursor", ["x", sealed(Cursor(Place(0, 5), "")), sealed(Cursor(Place(-1, 5), ""))]
)
async def test_a_bad_cursor_is_refused(feed: Feeding, cursor: str) -> None:
    """One that no feed gave."""
    async with reading(feed, cursor=cursor) as reader:
        with pytest.raises(InvalidArgument):
            await reader.next()


async def visible_copy(repository: MemoryRepository, author: Author) -> Callable[[], Any]:
    """Write a copy of three records that nobody sees yet; return what makes it visible."""
    snapshot, session = await author.state("a")
    records = await repository.records("a", 1, 3, revision=snapshot.revision)
    head = decode_head(snapshot.head)
    meta = head.meta._replace(owner=b"", epoch=0, copied_seq=3)
    building = meta._replace(building=Building(ADMIN.actor, "op", b"", 0))
    kept = repository._kept
    copy = session._replace(id="copy")
    kept.write(
        {
            ("head", "copy"): encode_head(copy, building),
            **{("record", "copy", seq): each for seq, each in enumerate(records, 1)},
        }
    )

    async def finish() -> None:
        written: dict[Any, bytes | None] = {
            ("head", "copy"): encode_head(copy, meta),
            ("entry", "alice", -meta.index_ms, "copy"): b"entry",
        }
        kept.write(written)

    return finish


@pytest.mark.parametrize("compacted", [False, True])
async def test_a_copy_is_told_when_it_becomes_visible(
    repository: MemoryRepository, feed: Feeding, author: Author, begin: Begin, compacted: bool
) -> None:
    """All its records then, and none while it was being written; a takeover tells nothing."""
    await begin("a")
    await author.say("a", "one", "two")
    async with begun(feed) as reader:
        finish = await visible_copy(repository, author)
        await author.say("a", "between")
        assert await reader.told() == ("message_appended", "a", 4)
        if not compacted:
            await finish()
            assert await reader.seqs("copy", 3) == [1, 2, 3]
            await author.state("copy")
            await author.say("copy", "its own")
            assert await reader.told() == ("message_appended", "copy", 4)
    if compacted:
        await finish()
        await author.say("a", "and after it")
        repository.compact()
        async with begun(feed, cursor=reader.cursor) as again:
            assert await again.seqs("copy", 3) == [1, 2, 3]


async def test_a_copy_that_is_dropped_was_never_there(
    repository: MemoryRepository, feed: Feeding, author: Author, begin: Begin
) -> None:
    """Nobody hears of the end of what nobody saw."""
    await begin("a")
    await author.say("a", "one", "two")
    async with begun(feed) as reader:
        await visible_copy(repository, author)
        head = (await repository.snapshot("copy")).head  # type: ignore[union-attr]
        assert await repository.drop_copy("copy", head, maker_id="root") == Committed()
        await author.say("a", "between")
        assert await reader.told() == ("message_appended", "a", 4)


async def test_the_workflow_of_an_older_head_is_read_from_its_first_record(
    repository: MemoryRepository, feed: Feeding, author: Author, begin: Begin
) -> None:
    """Heads of before do not name it."""
    await begin("a")
    async with begun(feed) as reader:
        commit, session = await author.commit_of("a", PauseSession())
        old = session._replace(workflow=dataclasses.replace(session.workflow, id=""))
        commit.head = encode_head(old, decode_head(commit.head).meta)
        assert await repository.commit([commit]) == [Committed()]
        response = await reader.next()
        assert response.changed.workflow_id == "chat"
        assert response.changed.event.HasField("session_paused")


async def test_readers_share_one_watch(
    repository: MemoryRepository, feed: Feeding, author: Author, begin: Begin
) -> None:
    """One who comes from behind has a watch of its own until it has caught up."""
    watches: list[int] = []
    watch_all = repository.watch_all

    @asynccontextmanager
    async def counted(*, after_revision: int) -> AsyncIterator[AsyncIterator[AllChanges]]:
        watches.append(after_revision)
        try:
            async with watch_all(after_revision=after_revision) as changes:
                yield changes
        finally:
            watches.remove(after_revision)

    repository.watch_all = counted  # type: ignore[method-assign]
    await begin("a")
    async with begun(feed) as first, begun(feed) as second:
        await author.say("a", "one")
        assert await first.seqs("a", 2) == [2]
        for seq in (3, 4):
            await author.say("a", "more")
            assert await first.seqs("a", seq) == [seq]
        assert len(watches) == 1
        assert await second.seqs("a", 4) == [2, 3, 4]
        await author.say("a", "to both")
        assert await first.seqs("a", 5) == await second.seqs("a", 5) == [5]
        assert len(watches) == 1
    assert watches == []
    async with begun(feed) as last:
        await author.say("a", "to another")
        assert await last.seqs("a", 6) == [6]


async def test_what_a_watch_left_out_is_told_all_the_same(
    repository: MemoryRepository,
    feed: Feeding,
    ticks: TickingClock,
    author: Author,
    begin: Begin,
) -> None:
    """A watch may skip what is compacted: then the sessions themselves say what there was."""
    watch_all = repository.watch_all

    @asynccontextmanager
    async def skipping(*, after_revision: int) -> AsyncIterator[AsyncIterator[AllChanges]]:
        async def some(changes: AsyncIterator[AllChanges]) -> AsyncIterator[AllChanges]:
            async for each in changes:
                seqs = {decode_head(head).seq for head in each.heads.values()}
                yield AllChanges(each.revision) if 3 in seqs else each

        async with watch_all(after_revision=after_revision) as changes:
            yield some(changes)

    repository.watch_all = skipping  # type: ignore[method-assign]
    await begin("a")
    async with begun(feed) as reader:
        await author.say("a", "told")
        assert await reader.seqs("a", 2) == [2]
        await author.say("a", "left out")
        await author.say("a", "told as well")
        assert await reader.seqs("a", 4) == [4]
        repository.compact()
        ticks.now += feeding.LOOK_SECONDS
        await author.say("a", "and this")
        assert await reader.seqs("a", 5) == [2, 3, 4, 5]
        await author.say("a", "from here on as it happens")
        assert await reader.seqs("a", 6) == [6]


async def test_a_slow_reader_is_sent_away_and_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, feed: Feeding, author: Author, begin: Begin
) -> None:
    """Nobody else waits for it; it has what had come, and its cursor goes on."""
    monkeypatch.setattr(feed_hub, "QUEUE_BYTES", 1000)
    await begin("a")
    async with begun(feed) as slow, begun(feed) as quick:
        await author.say("a", "-" * 100)
        await slow.next()
        await quick.next()
        for seq in range(3, 30):
            await author.say("a", "-" * 100)
            assert await quick.seqs("a", seq) == [seq]
        had = []
        with pytest.raises(SlowReader):
            while True:
                had.append((await slow.told())[2])
        assert 0 < len(had) < 27
    async with begun(feed, cursor=slow.cursor) as again:
        assert had + await again.seqs("a", 29) == list(range(3, 30))


async def test_a_drain_ends_the_feed(feed: Feeding, health: Health) -> None:
    """The reader is told to come back, and its cursor is good elsewhere."""
    async with begun(feed) as reader:
        health.begin_drain(5)
        with pytest.raises(Unavailable):
            await reader.next()


async def test_an_expired_token_ends_the_feed(
    feed: Feeding, ticks: TickingClock, begin: Begin
) -> None:
    """A feed lives no longer than the token that opened it."""
    async with begun(feed, seconds=5.0) as reader:
        ticks.now = 5.0
        await begin("a")
        with pytest.raises(Unauthenticated):
            await reader.next()


async def test_a_feed_that_breaks_says_so_to_all(
    repository: MemoryRepository, feed: Feeding, begin: Begin
) -> None:
    """And works again for who comes back."""
    watch_all = repository.watch_all

    def broken(*, after_revision: int) -> Any:
        raise Unavailable

    repository.watch_all = broken  # type: ignore[method-assign]
    async with begun(feed) as one, begun(feed) as other:
        for reader in (one, other):
            with pytest.raises(Unavailable):
                await reader.next()
    repository.watch_all = watch_all  # type: ignore[method-assign]
    async with begun(feed, cursor=one.cursor) as again:
        await begin("a")
        assert await again.told() == ("session_created", "a", 1)
