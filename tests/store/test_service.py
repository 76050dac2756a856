from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import MessageToDict

from services.store.memory import MemoryRepository
from sessiond.errors import (
    IdTaken,
    InvalidArgument,
    PermissionDenied,
    SessiondError,
    SessionNotFound,
    TooManySessions,
    Unauthenticated,
    Unavailable,
)
from sessiond.status import from_rpc_error
from sessiond.v1 import session_pb2
from sessiond.v1 import store_pb2 as pb
from tests.store.author import Author
from tests.store.conftest import Begin, Serve, Served


@pytest.fixture
async def served(serve: Serve, repository: MemoryRepository) -> AsyncIterator[Served]:
    """A served Store on the repository."""
    async with serve(repository) as opened:
        yield opened


async def failure(call: Any) -> SessiondError:
    """Return the failure that a call ends with."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return from_rpc_error(failed.value, mutating=False)


async def test_a_session_is_created_and_found(served: Served) -> None:
    """Over the wire: created, loaded, listed and watched are one and the same session."""
    alice = served.bearer("alice")
    created = await served.store.CreateSession(
        pb.CreateSessionRequest(
            workflow_id="chat",
            title="Plan",
            user_inputs=session_pb2.JsonObject(text='{"n": 12345678901234567890}'),
            metadata={"k": "v"},
        ),
        metadata=alice,
    )
    assert created.seq == created.session.revision == 1
    session_id = created.session.id
    loaded = await served.store.GetSession(
        pb.GetSessionRequest(session_id=session_id), metadata=alice
    )
    assert loaded.session == created.session
    listed = await served.store.ListSessions(
        pb.ListSessionsRequest(user_id="alice"), metadata=alice
    )
    (summary,) = listed.sessions
    assert (summary.id, summary.title, dict(summary.metadata)) == (session_id, "Plan", {"k": "v"})
    watch = served.store.WatchSessions(pb.WatchSessionsRequest(user_id="alice"), metadata=alice)
    first = await watch.read()
    assert isinstance(first, pb.WatchSessionsResponse) and first.session == summary
    watch.cancel()


async def test_messages_are_paged_over_the_wire(
    served: Served, author: Author, begin: Begin
) -> None:
    """Newest first, and the token goes on."""
    await begin("s-1")
    await author.say("s-1", "1", "2", "3")
    request = pb.ListMessagesRequest(session_id="s-1", page_size=2, order=pb.ORDER_DESC)
    first = await served.store.ListMessages(request, metadata=served.bearer())
    request.page_token = first.next_page_token
    second = await served.store.ListMessages(request, metadata=served.bearer())
    contents = [message.content for message in (*first.messages, *second.messages)]
    assert (contents, second.next_page_token) == (["3", "2", "1"], "")


@pytest.mark.parametrize("role", ["user", "agent", "service", "admin", "live", "gateway"])
async def test_every_caller_may_see_the_workflows(served: Served, role: str) -> None:
    """The default one first; each as the sessions that follow it will tell of it."""
    listed = await served.store.ListWorkflows(
        pb.ListWorkflowsRequest(), metadata=served.bearer("anybody", role=role)
    )
    master, chat = listed.workflows
    assert (chat.id, chat.name, chat.agent, len(chat.steps)) == ("chat", "Chat", "assistant", 0)
    assert (master.id, master.agent) == ("master-workflow-v2", "")
    assert [step.minutes for step in master.steps] == [30, 25, 30, 35, 40, 35, 40, 45]
    assert MessageToDict(master.steps[0]) == {
        "id": "foundation_gtm",
        "name": "Go-to-market foundation",
        "agent": "gtm-consultant",
        "stage": "foundation",
        "minutes": 30,
    }


async def test_the_workflows_are_for_callers(served: Served) -> None:
    """Without a token nothing is told."""
    listed = served.store.ListWorkflows(pb.ListWorkflowsRequest())
    assert isinstance(await failure(listed), Unauthenticated)


async def test_strangers_get_404_and_other_lists_403(served: Served, begin: Begin) -> None:
    """A session of another user looks absent; another user's list is refused."""
    await begin("s-1")
    bob = served.bearer("bob")
    for session_id in ("s-1", "nowhere"):
        get = served.store.GetSession(pb.GetSessionRequest(session_id=session_id), metadata=bob)
        assert isinstance(await failure(get), SessionNotFound)
        page = served.store.ListMessages(
            pb.ListMessagesRequest(session_id=session_id), metadata=bob
        )
        assert isinstance(await failure(page), SessionNotFound)
    listed = served.store.ListSessions(pb.ListSessionsRequest(user_id="alice"), metadata=bob)
    assert isinstance(await failure(listed), PermissionDenied)
    watch = served.store.WatchSessions(pb.WatchSessionsRequest(user_id="alice"), metadata=bob)
    assert isinstance(await failure(watch.read()), PermissionDenied)
    taken = served.store.CreateSession(pb.CreateSessionRequest(id="s-1"), metadata=bob)
    assert isinstance(await failure(taken), IdTaken)


async def test_a_page_token_of_another_user_gives_nothing_away(
    served: Served, begin: Begin
) -> None:
    """Access is checked on the request itself, and the token does not fit it."""
    for name in ("a", "b"):
        await begin(name)
    request = pb.ListSessionsRequest(user_id="alice", page_size=1)
    token = (await served.store.ListSessions(request, metadata=served.bearer())).next_page_token
    assert token
    bob = served.bearer("bob")
    request.page_token = token
    stolen = served.store.ListSessions(request, metadata=bob)
    assert isinstance(await failure(stolen), PermissionDenied)
    request.user_id = "bob"
    assert isinstance(
        await failure(served.store.ListSessions(request, metadata=bob)), InvalidArgument
    )


async def test_nobody_enters_without_a_token(served: Served) -> None:
    """Neither without one, nor with one of our own parts."""
    request = pb.GetSessionRequest(session_id="s-1")
    assert isinstance(await failure(served.store.GetSession(request)), Unauthenticated)
    live = served.store.GetSession(request, metadata=served.live)
    assert isinstance(await failure(live), PermissionDenied)


async def test_a_service_acts_for_a_user(served: Served) -> None:
    """What it creates belongs to the user that it names."""
    service = served.bearer("billing", role="service")
    acting = (*service, ("sessiond-user", "alice"))
    created = await served.store.CreateSession(pb.CreateSessionRequest(), metadata=acting)
    assert created.session.user_id == "alice"
    nobody = served.store.CreateSession(pb.CreateSessionRequest(), metadata=service)
    assert isinstance(await failure(nobody), PermissionDenied)


@pytest.mark.parametrize(
    ("method", "request_", "fields"),
    [
        ("GetSession", pb.GetSessionRequest(session_id="a b", tail=-1), {"session_id", "tail"}),
        ("GetSession", pb.GetSessionRequest(session_id="a", tail=-1), {"tail"}),
        (
            "ListSessions",
            pb.ListSessionsRequest(user_id="", page_size=0, status=9, q="x" * 201),  # type: ignore[arg-type]  # a number that has no word
            {"user_id", "page_size", "status", "q"},
        ),
        (
            "ListMessages",
            pb.ListMessagesRequest(session_id="", page_size=1001, order=7),  # type: ignore[arg-type]  # a number that has no word
            {"session_id", "page_size", "order"},
        ),
    ],
)
async def test_every_bad_field_is_named(
    served: Served, method: str, request_: Any, fields: set[str]
) -> None:
    """All of them at once, by the names of the request."""
    refused = await failure(getattr(served.store, method)(request_, metadata=served.bearer()))
    assert isinstance(refused, InvalidArgument)
    assert {violation.field for violation in refused.violations} == fields


@pytest.mark.parametrize(
    "request_",
    [
        pb.WatchSessionsRequest(),
        pb.WatchSessionsRequest(agents=pb.AgentNames()),
        pb.WatchSessionsRequest(agents=pb.AgentNames(names=["a"] * 65)),
        pb.WatchSessionsRequest(user_id="alice", cursor="damaged"),
    ],
)
async def test_a_watch_needs_a_scope(served: Served, request_: pb.WatchSessionsRequest) -> None:
    """A user or 1 to 64 agents, and a cursor that was given out."""
    watch = served.store.WatchSessions(request_, metadata=served.bearer())
    assert isinstance(await failure(watch.read()), InvalidArgument)


async def test_a_watch_ends_with_the_drain_and_goes_on_elsewhere(
    served: Served, serve: Serve, repository: MemoryRepository, begin: Begin
) -> None:
    """The cursor of one Store is good at another."""
    await begin("a")
    request = pb.WatchSessionsRequest(user_id="alice")
    watch = served.store.WatchSessions(request, metadata=served.bearer())
    await watch.read()
    listed = await watch.read()
    assert isinstance(listed, pb.WatchSessionsResponse) and listed.HasField("listed")
    served.health.begin_drain(5)
    assert isinstance(await failure(watch.read()), Unavailable)
    async with serve(repository) as other:
        request.cursor = listed.cursor
        again = other.store.WatchSessions(request, metadata=other.bearer())
        await begin("b")
        async with asyncio.timeout(5):
            response = await again.read()
        assert isinstance(response, pb.WatchSessionsResponse) and response.session.id == "b"
        again.cancel()


async def test_limits_are_settings(serve: Serve, repository: MemoryRepository) -> None:
    """A Store that is told a lower limit keeps it."""
    async with serve(repository, limit_sessions_per_user=1) as served:
        alice = served.bearer()
        await served.store.CreateSession(pb.CreateSessionRequest(), metadata=alice)
        second = served.store.CreateSession(pb.CreateSessionRequest(), metadata=alice)
        assert isinstance(await failure(second), TooManySessions)
