from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from services.serving.health import Health
from services.store.memory import MemoryRepository
from services.store.watching import Watching, WatchQuery, check_watch
from sessiond.errors import InvalidArgument, PermissionDenied, Unauthenticated, Unavailable
from sessiond.session.access import Identity, Role
from sessiond.session.changes import (
    ApproveOutput,
    PauseSession,
    ResumeSession,
    SubmitOutput,
    UpdateSession,
)
from sessiond.session.state import Status
from sessiond.v1.store_pb2 import WatchSessionsResponse
from tests.store.author import ADMIN, Author
from tests.store.conftest import Begin

ALICE = Identity("alice")
OF_ALICE = WatchQuery.of_user("alice", None)
GTM = Identity("worker", Role.AGENT, agents=frozenset({"gtm-consultant"}))
Responses = AsyncGenerator[WatchSessionsResponse, None]


class Follower:
    """Reads a watch, one message at a time, each within 5 s."""

    def __init__(self, responses: Responses) -> None:
        self._responses = responses
        self.cursor = ""

    async def next(self) -> WatchSessionsResponse:
        async with asyncio.timeout(5):
            response = await anext(self._responses)
        self.cursor = response.cursor or self.cursor
        return response

    async def told(self) -> tuple[str, str]:
        """Return what the next message tells: its kind, and the id where it has one."""
        response = await self.next()
        match kind := response.WhichOneof("change"):
            case "session":
                return kind, response.session.id
            case "removed_id":
                return kind, response.removed_id
        return str(kind), ""

    async def listing(self) -> list[str]:
        """Return the ids of a listing."""
        found = []
        while (told := await self.told())[0] == "session":
            assert not self.cursor
            found.append(told[1])
        assert told == ("listed", "")
        assert self.cursor
        return found


@pytest.fixture
def health() -> Health:
    """The health of the part."""
    return Health()


@pytest.fixture
def watching(repository: MemoryRepository, health: Health) -> Watching:
    """What serves watches."""
    return Watching(repository, health, clock=time.monotonic)


class Clock:
    """A clock of seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock_of_watches() -> Clock:
    """The clock of `watching_by_hand`."""
    return Clock()


@pytest.fixture
def watching_by_hand(
    repository: MemoryRepository, health: Health, clock_of_watches: Clock
) -> Watching:
    """What serves watches, by a clock that stands still until the test moves it."""
    return Watching(repository, health, clock=clock_of_watches)


def own_tasks() -> set[asyncio.Task[Any]]:
    """The tasks that Store's own code made: what fixtures of other tests keep running is theirs."""
    return {task for task in asyncio.all_tasks() if "services/store" in repr(task)}


@asynccontextmanager
async def following(
    watching: Watching, query: WatchQuery = OF_ALICE, **changes: Any
) -> AsyncIterator[Follower]:
    """Follow a watch, and see that it leaves no task behind."""
    before = own_tasks()
    asked = {"cursor": None, "seconds": 60.0} | changes
    responses = watching.watch(query, **asked)
    try:
        yield Follower(responses)
    finally:
        await responses.aclose()
        assert own_tasks() <= before


async def test_a_watch_lists_and_then_tells_changes(
    watching: Watching, author: Author, begin: Begin
) -> None:
    """All sessions at one revision, that this was all, and what happens from then on."""
    await begin("a")
    await begin("b")
    await begin("bobs", user="bob")
    async with following(watching) as follower:
        assert sorted(await follower.listing()) == ["a", "b"]
        await begin("c")
        assert await follower.told() == ("session", "c")
        await author.say("bobs", "not for alice")
        await author.delete("a")
        assert await follower.told() == ("removed_id", "a")


async def test_changes_of_one_session_are_merged(
    watching_by_hand: Watching, clock_of_watches: Clock, author: Author, begin: Begin
) -> None:
    """Many changes within a quarter second are told as one more, as the session then is."""
    await begin("a")
    async with following(watching_by_hand) as follower:
        await follower.listing()
        await author.say("a", "0")
        assert (await follower.next()).session.last_message == "0"
        for number in range(1, 20):
            await author.say("a", str(number))
        clock_of_watches.now = 0.25
        assert (await follower.next()).session.last_message == "19"


async def test_a_status_means_entering_and_leaving(
    watching: Watching, author: Author, begin: Begin
) -> None:
    """A session that no longer has the status is told as removed, once."""
    await begin("a")
    await begin("b")
    await author.change("b", PauseSession())
    query = WatchQuery.of_user("alice", Status.ACTIVE)
    async with following(watching, query) as follower:
        assert await follower.listing() == ["a"]
        await author.say("b", "still paused, so nothing is told")
        await author.change("a", PauseSession())
        assert await follower.told() == ("removed_id", "a")
        await author.change("a", UpdateSession(title="still paused"))
        await author.change("b", ResumeSession())
        assert await follower.told() == ("session", "b")


async def test_a_cursor_goes_on_without_a_listing(
    watching: Watching, author: Author, begin: Begin
) -> None:
    """What happened in between is told, and what was told before is not."""
    await begin("a")
    await begin("b")
    async with following(watching) as follower:
        await follower.listing()
        await author.say("a", "told")
        await follower.next()
    await author.say("b", "missed")
    await author.delete("a")
    async with following(watching, cursor=follower.cursor) as again:
        assert await again.told() == ("session", "b")
        assert await again.told() == ("removed_id", "a")


async def test_a_session_that_left_in_between_is_told_as_removed(
    watching: Watching, author: Author, begin: Begin
) -> None:
    """Going on from a cursor, the watch does not know what was shown: it rather says too much."""
    await begin("a")
    query = WatchQuery.of_user("alice", Status.ACTIVE)
    async with following(watching, query) as follower:
        await follower.listing()
    await author.change("a", PauseSession())
    async with following(watching, query, cursor=follower.cursor) as again:
        assert await again.told() == ("removed_id", "a")


async def test_a_compacted_cursor_starts_over(
    watching: Watching, repository: MemoryRepository, author: Author, begin: Begin
) -> None:
    """First reset, so that the watcher forgets, and then a listing."""
    await begin("a")
    async with following(watching) as follower:
        await follower.listing()
    await author.say("a", "missed")
    await begin("b")
    repository.compact()
    async with following(watching, cursor=follower.cursor) as again:
        assert await again.told() == ("reset", "")
        assert sorted(await again.listing()) == ["a", "b"]


@pytest.mark.parametrize(
    "other", [WatchQuery.of_user("bob", None), WatchQuery.of_user("alice", Status.PAUSED)]
)
async def test_a_cursor_belongs_to_its_watch(
    watching: Watching, begin: Begin, other: WatchQuery
) -> None:
    """With another user or status it is refused."""
    await begin("a")
    async with following(watching) as follower:
        await follower.listing()
    async with following(watching, other, cursor=follower.cursor) as again:
        with pytest.raises(InvalidArgument):
            await again.next()


async def test_agents_find_the_sessions_that_await_them(
    watching: Watching, author: Author, begin: Begin
) -> None:
    """A session comes with its turn, moves between followed agents, and leaves with the last."""
    await begin("a", workflow="master-workflow-v2")
    await begin("chat")
    query = WatchQuery.of_agents(["persona-strategist", "gtm-consultant"], None)
    async with following(watching, query) as follower:
        assert await follower.listing() == ["a"]
        await author.change("a", SubmitOutput("plan", output_id="o-1"), identity=GTM)
        assert await follower.told() == ("removed_id", "a")
        await author.change("a", ApproveOutput())
        response = await follower.next()
        assert response.session.current_agent == "persona-strategist"
        await author.change("a", PauseSession())
        assert await follower.told() == ("removed_id", "a")


async def test_a_drain_ends_a_watch(watching: Watching, health: Health, begin: Begin) -> None:
    """The watcher is told to come back, and its cursor is good elsewhere."""
    await begin("a")
    async with following(watching) as follower:
        await follower.listing()
        health.begin_drain(5)
        with pytest.raises(Unavailable):
            await follower.next()


async def test_an_expired_token_ends_a_watch(
    watching_by_hand: Watching, clock_of_watches: Clock, begin: Begin
) -> None:
    """A watch lives no longer than the token that opened it."""
    await begin("a")
    async with following(watching_by_hand, seconds=0.1) as follower:
        await follower.listing()
        clock_of_watches.now = 0.1
        with pytest.raises(Unauthenticated):
            await follower.next()


@pytest.mark.parametrize(
    ("identity", "query", "allowed"),
    [
        (ALICE, OF_ALICE, True),
        (Identity("bob"), OF_ALICE, False),
        (ADMIN, OF_ALICE, True),
        (Identity("svc", Role.SERVICE, "alice"), OF_ALICE, True),
        (GTM, WatchQuery.of_agents(["gtm-consultant"], None), True),
        (GTM, WatchQuery.of_agents(["gtm-consultant", "growth-hacker"], None), False),
        (ALICE, WatchQuery.of_agents(["gtm-consultant"], None), False),
        (ADMIN, WatchQuery.of_agents(["gtm-consultant"], None), True),
    ],
)
def test_who_may_follow_what(identity: Identity, query: WatchQuery, allowed: bool) -> None:
    """One's own sessions, and agents that one's token names, every one of them."""
    if allowed:
        check_watch(identity, query)
    else:
        with pytest.raises(PermissionDenied):
            check_watch(identity, query)
