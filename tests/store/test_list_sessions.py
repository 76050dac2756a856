from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.store.lists import ListQuery, check_own_list, list_sessions
from services.store.memory import MemoryRepository
from services.store.writes import Creation
from sessiond.errors import InvalidArgument, PageTokenExpired, PermissionDenied
from sessiond.session.access import Identity, Role
from sessiond.session.changes import PauseSession
from sessiond.session.state import Status
from sessiond.store.v1.records_pb2 import IndexEntry
from tests.store.author import ADMIN, Author
from tests.store.conftest import Begin, Clock

ALICE = Identity("alice")
OF_ALICE = ListQuery("alice")


async def ids(
    repository: MemoryRepository, query: ListQuery = OF_ALICE, *, page_size: int = 50
) -> list[str]:
    """Return all ids of a list, page after page."""
    found: list[str] = []
    token: str | None = None
    while token != "":
        entries, token = await list_sessions(
            repository, query, page_size=page_size, page_token=token
        )
        assert entries or not token
        found += [entry.id for entry in entries]
    return found


async def test_newest_activity_comes_first(
    repository: MemoryRepository, author: Author, begin: Begin, clock: Clock
) -> None:
    """A change moves a session to the front, also within the quarter second that keys lag."""
    for name in ("a", "b", "c"):
        await begin(name)
    author.now_ms = clock.ms
    await author.say("b", "hello", apart_ms=100)
    await author.say("a", "hello", apart_ms=100)
    assert await ids(repository) == ["a", "b", "c"]
    await author.say("c", "hello", apart_ms=1000)
    assert await ids(repository) == ["c", "a", "b"]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.tuples(st.integers(1000, 3000), st.integers(0, 249)), max_size=40),
    st.integers(1, 9),
)
async def test_pages_continue_exactly(rows: list[tuple[int, int]], page_size: int) -> None:
    """At one revision: no repeats and no holes, whatever is written between two pages."""
    repository = MemoryRepository()

    async def add(name: str, position: int, lag: int) -> None:
        entry = IndexEntry(id=name, last_active_ms=position + lag).SerializeToString()
        await repository.create(Creation(name, "alice", b"head", b"record", entry, position))

    for number, (position, lag) in enumerate(rows):
        await add(f"s-{number}", position, lag)
    first, token = await list_sessions(repository, OF_ALICE, page_size=page_size, page_token=None)
    found = [entry.id for entry in first]
    written = 0
    while token:
        await add(f"late-{written}", 1500 + written, 0)
        written += 1
        page, token = await list_sessions(
            repository, OF_ALICE, page_size=page_size, page_token=token
        )
        found += [entry.id for entry in page]
    expected = sorted((-(position + lag), f"s-{n}") for n, (position, lag) in enumerate(rows))
    assert found == [name for _, name in expected]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (ListQuery("alice", status=Status.PAUSED), ["paused"]),
        (ListQuery("alice", workflow_id="chat"), ["talk", "paused"]),
        (ListQuery("alice", q="STRASSE"), ["talk"]),
        (ListQuery("alice", q="straße"), ["talk"]),
        (ListQuery("alice", q="growth"), ["titled"]),
        (ListQuery("alice", status=Status.ACTIVE, workflow_id="chat", q="plan"), []),
        (ListQuery("bob"), ["bobs"]),
    ],
)
async def test_filters_join(
    repository: MemoryRepository,
    author: Author,
    begin: Begin,
    query: ListQuery,
    expected: list[str],
) -> None:
    """Status, workflow, and a text in title or last message with case aside; all must fit."""
    await begin("titled", workflow="master-workflow-v2", title="Growth Plan")
    await begin("bobs", user="bob")
    await begin("paused")
    await author.change("paused", PauseSession())
    await begin("talk")
    await author.say("talk", "This is about something else", "It goes on in the Hauptstraße 7")
    for page_size in (1, 50):
        assert await ids(repository, query, page_size=page_size) == expected


async def test_the_last_page_says_so(repository: MemoryRepository, begin: Begin) -> None:
    """There is no token when nothing follows, not even after a full page."""
    for name in ("a", "b"):
        await begin(name)
    entries, token = await list_sessions(repository, OF_ALICE, page_size=2, page_token=None)
    assert (len(entries), token) == (2, "")
    assert await list_sessions(repository, ListQuery("nobody"), page_size=2, page_token=None) == (
        [],
        "",
    )


async def test_a_page_token_belongs_to_its_query(
    repository: MemoryRepository, begin: Begin
) -> None:
    """It cannot be taken to another user's list or to another filter."""
    for name in ("a", "b"):
        await begin(name)
    _, token = await list_sessions(repository, OF_ALICE, page_size=1, page_token=None)
    for other in (ListQuery("bob"), ListQuery("alice", q="x")):
        with pytest.raises(InvalidArgument):
            await list_sessions(repository, other, page_size=1, page_token=token)


async def test_a_page_token_expires_with_its_revision(
    repository: MemoryRepository, begin: Begin
) -> None:
    """When its revision is compacted, the caller is told to start again."""
    for name in ("a", "b", "c"):
        await begin(name)
    _, token = await list_sessions(repository, OF_ALICE, page_size=1, page_token=None)
    await begin("d")
    repository.compact()
    with pytest.raises(PageTokenExpired):
        await list_sessions(repository, OF_ALICE, page_size=1, page_token=token)


@pytest.mark.parametrize(
    ("identity", "user", "allowed"),
    [
        (ALICE, "alice", True),
        (ALICE, "bob", False),
        (ADMIN, "bob", True),
        (Identity("svc", Role.SERVICE, "alice"), "alice", True),
        (Identity("svc", Role.SERVICE, "alice"), "svc", False),
        (Identity("svc", Role.SERVICE), "svc", False),
        (Identity("alice", Role.AGENT), "alice", False),
        (Identity("alice", Role.LIVE), "alice", False),
    ],
)
def test_a_list_is_its_users_alone(identity: Identity, user: str, allowed: bool) -> None:
    """One's own list, any for an administrator, and for a service the user it acts for."""
    if allowed:
        check_own_list(identity, user)
    else:
        with pytest.raises(PermissionDenied):
            check_own_list(identity, user)
