"""ScanSessions: everybody's sessions, page by page, for those who may see them."""

from __future__ import annotations

import grpc
import pytest

from services.store.memory import MemoryRepository
from services.store.scanning import ScanQuery, scan_sessions
from sessiond.errors import InvalidArgument, PermissionDenied, Unauthenticated
from sessiond.session.changes import PauseSession, SetHold
from sessiond.session.state import Status
from sessiond.status import from_rpc_error
from sessiond.v1 import store_pb2 as pb
from sessiond.v1.session_pb2 import SESSION_STATUS_PAUSED
from sessiond.wire import set_timestamp
from tests.store.author import ADMIN, Author
from tests.store.conftest import Begin, Clock, Serve

ALL = ScanQuery()


async def scanned(
    repository: MemoryRepository, query: ScanQuery = ALL, *, page_size: int = 50
) -> list[str]:
    """Return the ids of a whole scan, page after page."""
    found: list[str] = []
    token = ""
    while True:
        entries, token = await scan_sessions(
            repository, query, page_size=page_size, page_token=token
        )
        assert len(entries) <= page_size
        found += [entry.id for entry in entries]
        if not token:
            return found


@pytest.fixture
async def sessions_of_three(begin: Begin) -> None:
    for user in ("alice", "bob", "carol"):
        for number in (1, 2, 3):
            workflow = "chat" if number == 1 else "master-workflow-v2"
            await begin(f"{user}-{number}", user=user, workflow=workflow)


@pytest.mark.usefixtures("sessions_of_three")
async def test_pages_are_everybodys_sessions(repository: MemoryRepository) -> None:
    """User by user; each once, however long a page is."""
    expected = [f"{user}-{number}" for user in ("alice", "bob", "carol") for number in (1, 2, 3)]
    for page_size in (1, 2, 4, 9, 50):
        assert await scanned(repository, page_size=page_size) == expected


@pytest.mark.usefixtures("sessions_of_three")
async def test_filters_narrow_pages_and_not_the_way(
    repository: MemoryRepository, author: Author, clock: Clock
) -> None:
    """A page may be empty and not the last one."""
    author.now_ms = clock.ms
    await author.change("bob-2", PauseSession(), apart_ms=1000)
    assert await scanned(repository, ScanQuery(workflow_id="chat"), page_size=2) == [
        "alice-1",
        "bob-1",
        "carol-1",
    ]
    assert await scanned(repository, ScanQuery(status=Status.PAUSED), page_size=1) == ["bob-2"]
    since = clock.ms + 1
    stale = await scanned(repository, ScanQuery(inactive_since_ms=since))
    assert len(stale) == 8
    assert "bob-2" not in stale
    assert await scanned(repository, ScanQuery(inactive_since_ms=clock.ms)) == []


@pytest.mark.usefixtures("sessions_of_three")
async def test_a_scan_goes_on_at_the_present_when_its_revision_is_gone(
    repository: MemoryRepository, author: Author, clock: Clock
) -> None:
    """What moved behind it is not in it, what came before it is; nothing else is lost."""
    entries, token = await scan_sessions(repository, ALL, page_size=4, page_token="")
    author.now_ms = clock.ms
    await author.change("alice-1", PauseSession(), apart_ms=1000)
    await author.change("carol-3", PauseSession(), apart_ms=1000)
    repository.compact()
    rest, token = await scan_sessions(repository, ALL, page_size=9, page_token=token)
    assert token == ""
    found = [entry.id for entry in (*entries, *rest)]
    assert found == [
        *("alice-1", "alice-2", "alice-3", "bob-1"),
        *("bob-2", "bob-3", "carol-3", "carol-1", "carol-2"),
    ]


@pytest.mark.usefixtures("sessions_of_three")
async def test_a_token_belongs_to_its_query(repository: MemoryRepository) -> None:
    """A damaged one, or another query's, is refused."""
    _, token = await scan_sessions(repository, ALL, page_size=4, page_token="")
    for query, given in ((ScanQuery(workflow_id="chat"), token), (ALL, token[:-3] + "AAA")):
        with pytest.raises(InvalidArgument):
            await scan_sessions(repository, query, page_size=4, page_token=given)


async def test_over_the_wire(
    serve: Serve, repository: MemoryRepository, author: Author, begin: Begin, clock: Clock
) -> None:
    """Administrators and services that act for nobody see summaries; nobody else sees any."""
    await begin("s-1")
    await begin("s-2", user="bob")
    author.now_ms = clock.ms
    await author.change("s-2", SetHold(True), PauseSession(), identity=ADMIN)
    request = pb.ScanSessionsRequest(page_size=1)
    async with serve(repository) as served:
        for caller in (
            served.bearer("root", role="admin"),
            served.bearer("crm", role="service"),
        ):
            page = await served.store.ScanSessions(request, metadata=caller)
            assert [(each.id, each.user_id) for each in page.sessions] == [("s-1", "alice")]
            request.page_token = page.next_page_token
            (summary,) = (await served.store.ScanSessions(request, metadata=caller)).sessions
            assert (summary.id, summary.held, summary.status) == (
                "s-2",
                True,
                SESSION_STATUS_PAUSED,
            )
            request.page_token = ""
        for caller in (
            served.bearer("alice"),
            served.bearer("w", role="agent", agents=["assistant"]),
            (*served.bearer("crm", role="service"), ("sessiond-user", "alice")),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await served.store.ScanSessions(request, metadata=caller)
            assert isinstance(from_rpc_error(refused.value, mutating=False), PermissionDenied)
        with pytest.raises(grpc.aio.AioRpcError) as nobody:
            await served.store.ScanSessions(request)
        assert isinstance(from_rpc_error(nobody.value, mutating=False), Unauthenticated)
        bad = pb.ScanSessionsRequest(page_size=1001, status=99)  # type: ignore[arg-type]
        with pytest.raises(grpc.aio.AioRpcError) as wrong:
            await served.store.ScanSessions(bad, metadata=served.bearer("root", role="admin"))
        failure = from_rpc_error(wrong.value, mutating=False)
        assert isinstance(failure, InvalidArgument)
        assert {each.field for each in failure.violations} == {"page_size", "status"}
        since = pb.ScanSessionsRequest()
        set_timestamp(since.inactive_since, clock.ms)
        page = await served.store.ScanSessions(since, metadata=served.bearer("r", role="admin"))
        assert (len(page.sessions), page.next_page_token) == (0, "")
