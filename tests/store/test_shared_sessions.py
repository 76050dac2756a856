"""Sessions that others share with one: in lists, in watches, and who may read them."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from services.serving.health import Health
from services.store.answers import SharedChange
from services.store.entering import entered
from services.store.lists import ListQuery, list_sessions
from services.store.memory import MemoryRepository
from services.store.watching import Watching, WatchQuery, opened_cursor, sealed_cursor
from services.store.writes import Committed
from sessiond.errors import InvalidArgument, PermissionDenied, SessionNotFound
from sessiond.numbers import MEMBER_ROLE_WORD
from sessiond.session.access import Identity, MemberRole, Operation
from sessiond.session.changes import (
    MakeLink,
    PauseSession,
    ShareSession,
    TransferSession,
    UnshareSession,
)
from sessiond.session.state import Status
from sessiond.store.v1.records_pb2 import IndexEntry
from sessiond.v1 import store_pb2 as pb
from tests.contracts.chats import revision_of
from tests.store.author import Author
from tests.store.conftest import Begin, Clock, Serve, Served
from tests.store.test_service import failure
from tests.store.test_watch_sessions import following

BOB = Identity("bob")
OF_BOB = WatchQuery.of_user("bob", None)
VIEWER, EDITOR = MemberRole.VIEWER, MemberRole.EDITOR


@pytest.fixture
def watching(repository: MemoryRepository) -> Watching:
    """What serves watches."""
    return Watching(repository, Health(), clock=time.monotonic)


@pytest.fixture
async def served(serve: Serve, repository: MemoryRepository) -> AsyncIterator[Served]:
    """A served Store on the repository."""
    async with serve(repository) as opened:
        yield opened


async def listed(
    repository: MemoryRepository, query: ListQuery, *, page_size: int = 50
) -> list[tuple[str, str]]:
    """Return all of a list, page after page: ids, and as what they are shared."""
    found: list[IndexEntry] = []
    token: str | None = None
    while token != "":
        entries, token = await list_sessions(
            repository, query, page_size=page_size, page_token=token
        )
        assert len(entries) <= page_size
        found += entries
    return [(entry.id, str(MEMBER_ROLE_WORD.get(entry.shared_as, ""))) for entry in found]


async def test_shared_sessions_stand_among_ones_own(
    repository: MemoryRepository, author: Author, begin: Begin, clock: Clock
) -> None:
    """In the order of their own lastActive, by pages of any size, each with its role."""
    author.now_ms = clock.ms
    for number in range(6):
        await begin(f"s-{number}", user="alice" if number % 2 else "bob")
        if number % 2:
            role = VIEWER if number == 1 else EDITOR
            await author.change(f"s-{number}", ShareSession("bob", role))
    for number in (3, 0, 5, 2, 1, 4):
        await author.say(f"s-{number}", "hello", apart_ms=100)
    expected = [
        ("s-4", ""),
        ("s-1", "viewer"),
        ("s-2", ""),
        ("s-5", "editor"),
        ("s-0", ""),
        ("s-3", "editor"),
    ]
    for page_size in (1, 2, 4, 50):
        assert await listed(repository, ListQuery("bob"), page_size=page_size) == expected
    own = ListQuery("bob", shared=False)
    shared = ListQuery("bob", own=False)
    assert await listed(repository, own) == [each for each in expected if not each[1]]
    for page_size in (1, 2, 50):
        assert await listed(repository, shared, page_size=page_size) == [
            each for each in expected if each[1]
        ]
    assert [each for each, _ in await listed(repository, ListQuery("alice"))] == [
        "s-1",
        "s-5",
        "s-3",
    ]


async def test_filters_are_for_shared_sessions_too(
    repository: MemoryRepository, author: Author, begin: Begin
) -> None:
    """By what their own summary says."""
    for name in ("paused", "active"):
        await begin(name)
        await author.change(name, ShareSession("bob", VIEWER))
    await author.change("paused", PauseSession())
    query = ListQuery("bob", status=Status.PAUSED)
    assert await listed(repository, query) == [("paused", "viewer")]


async def test_a_page_token_belongs_to_its_scope(
    repository: MemoryRepository, author: Author, begin: Begin
) -> None:
    """That of all is none of the shared ones alone."""
    for name in ("a", "b", "c"):
        await begin(name)
        await author.change(name, ShareSession("bob", VIEWER))
    _, token = await list_sessions(repository, ListQuery("bob"), page_size=1, page_token=None)
    with pytest.raises(InvalidArgument):
        await list_sessions(repository, ListQuery("bob", own=False), page_size=1, page_token=token)


async def test_what_is_shared_no_longer_is_not_listed(
    repository: MemoryRepository, author: Author, begin: Begin
) -> None:
    """Revoked, deleted, given to oneself; a page goes on at the revision where it began."""
    for name in ("a", "b", "c", "d"):
        await begin(name)
        await author.change(name, ShareSession("bob", VIEWER))
    first, token = await list_sessions(repository, ListQuery("bob"), page_size=1, page_token=None)
    await author.change("a", UnshareSession("bob"))
    await author.delete("b")
    await author.change("c", TransferSession("bob"))
    assert sorted(await listed(repository, ListQuery("bob"))) == [("c", ""), ("d", "viewer")]
    assert ("c", "editor") in await listed(repository, ListQuery("alice"))
    rest, _ = await list_sessions(repository, ListQuery("bob"), page_size=9, page_token=token)
    assert sorted(entry.id for entry in (*first, *rest)) == ["a", "b", "c", "d"]


async def test_a_pointer_to_nothing_is_passed_over(
    repository: MemoryRepository, author: Author, begin: Begin
) -> None:
    """Without a grant, or without a session."""
    await begin("a")
    commit, _ = await author.commit_of("a", ShareSession("bob", VIEWER))
    commit = dataclasses.replace(commit, members=b"")
    assert await repository.commit([commit]) == [Committed()]
    assert (await repository.shared("bob", revision=None)).session_ids == ("a",)
    assert await listed(repository, ListQuery("bob")) == []


async def test_a_watch_tells_what_happens_to_shared_sessions(
    watching: Watching, author: Author, begin: Begin
) -> None:
    """They are listed, come, change, change their role, and go."""
    await begin("a")
    await begin("b")
    await author.change("a", ShareSession("bob", VIEWER))
    async with following(watching, OF_BOB) as follower:
        assert await follower.listing() == ["a"]
        await author.change("b", ShareSession("bob", VIEWER))
        response = await follower.next()
        assert (response.session.id, response.session.shared_as) == ("b", pb_role(VIEWER))
        await author.say("a", "hello")
        assert (await follower.next()).session.last_message == "hello"
        await author.change("b", ShareSession("bob", EDITOR))
        assert (await follower.next()).session.shared_as == pb_role(EDITOR)
        await author.change("a", UnshareSession("bob"))
        assert await follower.told() == ("removed_id", "a")
        await author.say("a", "not for bob")
        await author.delete("b")
        assert await follower.told() == ("removed_id", "b")


@pytest.mark.parametrize(("user_id", "role"), [("bob", None), ("alice", EDITOR)])
async def test_a_watch_sees_a_session_change_its_owner(
    watching: Watching, author: Author, begin: Begin, user_id: str, role: MemberRole | None
) -> None:
    """It is told as what it then is to the watcher, and goes on being told."""
    await begin("a")
    await author.change("a", ShareSession("bob", VIEWER))
    async with following(watching, WatchQuery.of_user(user_id, None)) as follower:
        assert await follower.listing() == ["a"]
        await author.change("a", TransferSession("bob"))
        for text in ("hello", "again"):
            await author.say("a", text)
            told = await follower.next()
            while told.session.last_message != text:
                told = await follower.next()
    expected = 0 if role is None else pb_role(role)
    assert (told.session.user_id, told.session.shared_as) == ("bob", expected)


class Overtaking(MemoryRepository):
    """What is shared is followed as the test says: changes come when, and in the order, it puts."""

    def __init__(self) -> None:
        super().__init__()
        self.line: asyncio.Queue[SharedChange] = asyncio.Queue()

    @asynccontextmanager
    async def watch_shared(
        self, user_id: str, *, after_revision: int
    ) -> AsyncIterator[AsyncIterator[SharedChange]]:
        async def line() -> AsyncIterator[SharedChange]:
            while True:
                yield await self.line.get()

        yield line()


@pytest.mark.parametrize("repository", [Overtaking()])
async def test_a_session_that_became_ones_own_stays_though_changes_overtake(
    repository: Overtaking, watching: Watching, author: Author, begin: Begin
) -> None:
    """What happened to it since may come before that it is shared no longer."""
    for name in ("a", "b"):
        await begin(name)
    await author.change("a", ShareSession("bob", VIEWER))
    async with following(watching, OF_BOB) as follower:
        assert await follower.listing() == ["a"]
        await author.change("a", TransferSession("bob"))
        given = await revision_of(repository)
        assert await follower.told() == ("session", "a")
        await author.state("a")  # writes the head, not the entry
        owned = await revision_of(repository)
        await author.change("b", ShareSession("bob", VIEWER))
        shared = await revision_of(repository)
        for revision, session_id in ((owned, "a"), (shared, "b"), (given, "a")):
            repository.line.put_nowait(SharedChange(revision, (session_id,)))
        assert await follower.told() == ("session", "b")


async def test_a_cursor_goes_on_with_what_is_shared(
    watching: Watching, author: Author, begin: Begin
) -> None:
    """What came, changed or went in between is told; what did not change may be told again."""
    for name in ("a", "b", "c"):
        await begin(name)
    for name in ("a", "b"):
        await author.change(name, ShareSession("bob", VIEWER))
    async with following(watching, OF_BOB) as follower:
        assert sorted(await follower.listing()) == ["a", "b"]
    await author.change("a", UnshareSession("bob"))
    await author.say("b", "missed")
    await author.change("c", ShareSession("bob", VIEWER))
    told: dict[str, str] = {}
    async with following(watching, OF_BOB, cursor=follower.cursor) as again:
        while told != {"a": "removed_id", "b": "session", "c": "session"}:
            kind, session_id = await again.told()
            told[session_id] = kind


def test_a_cursor_of_ones_own_sessions_alone_goes_on() -> None:
    """Those of the version before told of one scope."""
    own = WatchQuery(OF_BOB.scopes[:1])
    assert opened_cursor(OF_BOB, sealed_cursor(own, [7])) == [7, 7]
    assert opened_cursor(OF_BOB, sealed_cursor(OF_BOB, [7, 8])) == [7, 8]


async def test_members_enter_by_their_role(
    repository: MemoryRepository, author: Author, begin: Begin
) -> None:
    """As the table of the very read says; who is one no longer finds nothing."""
    await begin("a")
    await author.change("a", ShareSession("bob", EDITOR))
    await entered(repository, BOB, "a")
    await entered(repository, BOB, "a", Operation.UPDATE)
    with pytest.raises(PermissionDenied):
        await entered(repository, BOB, "a", Operation.SHARE)
    await author.change("a", UnshareSession("bob"))
    with pytest.raises(SessionNotFound):
        await entered(repository, BOB, "a")


async def test_members_and_links_are_told_to_readers(
    served: Served, author: Author, begin: Begin
) -> None:
    """In the order of their grants, without anything of a secret; to a stranger, nothing."""
    await begin("a")
    await author.change(
        "a", ShareSession("bob", VIEWER), MakeLink(EDITOR), ShareSession("amy", EDITOR)
    )
    request = pb.ListMembersRequest(session_id="a")
    told = await served.store.ListMembers(request, metadata=served.bearer("bob"))
    assert (told.owner, [member.user_id for member in told.members]) == ("alice", ["bob", "amy"])
    (link,) = told.links
    assert (link.role, link.HasField("expires_at")) == (pb_role(EDITOR), False)
    listing = pb.ListSessionsRequest(user_id="bob", scope=pb.LIST_SCOPE_SHARED)
    page = await served.store.ListSessions(listing, metadata=served.bearer("bob"))
    assert [each.shared_as for each in page.sessions] == [pb_role(VIEWER)]
    stranger = served.store.ListMembers(request, metadata=served.bearer("carol"))
    assert isinstance(await failure(stranger), SessionNotFound)
    listing.scope = 9  # type: ignore[assignment]
    refused = served.store.ListSessions(listing, metadata=served.bearer("bob"))
    assert isinstance(await failure(refused), InvalidArgument)


def pb_role(role: MemberRole) -> int:
    """Return the number of a role."""
    return next(number for number, word in MEMBER_ROLE_WORD.items() if word is role)
