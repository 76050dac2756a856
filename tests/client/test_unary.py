"""Calls that are answered once: over several addresses, until an answer or the deadline."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta, timezone
from typing import Any

import grpc
import pytest

from sessiond import Client
from sessiond.errors import (
    DeadlineExceeded,
    InvalidArgument,
    OutcomeUnknown,
    PageTokenExpired,
    PermissionDenied,
    RateLimited,
    SessiondError,
    SessionMoved,
    SessionNotFound,
    SessionPaused,
    Unauthenticated,
    Unavailable,
)
from sessiond.session.access import MemberRole
from sessiond.session.state import Decision, MessageType, Sender, Status
from sessiond.status import DETAILS_KEY, to_status
from sessiond.v1 import event_pb2, live_pb2, session_pb2, store_pb2
from sessiond.v1.live_pb2_grpc import add_LiveServiceServicer_to_server
from sessiond.v1.store_pb2_grpc import add_StoreServiceServicer_to_server
from tests.client.conftest import token

Answer = Any


class Replica:
    """Answers every call with what stands next, and keeps what it was asked."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.asked: list[Any] = []
        self.metadata: list[dict[str, str]] = []
        self.port = 0

    def __getattr__(self, name: str) -> Any:
        if name[0].isupper():
            return self._answer
        raise AttributeError(name)

    async def _answer(self, request: Any, context: Any) -> Any:
        self.asked.append(request)
        self.metadata.append({key: str(value) for key, value in context.invocation_metadata()})
        answer = self.answers.pop(0)
        if isinstance(answer, SessiondError):
            status = to_status(answer)
            details = ((DETAILS_KEY, status.SerializeToString()),)
            code = grpc.StatusCode.ABORTED
            await context.abort(code, status.message, trailing_metadata=details)
        if isinstance(answer, grpc.StatusCode):
            await context.abort(answer, "not ours")
        if isinstance(answer, asyncio.Event):
            await answer.wait()
        return answer


@pytest.fixture
async def replicas() -> AsyncIterator[list[Replica]]:
    servers: list[grpc.aio.Server] = []
    made: list[Replica] = []
    for _ in range(2):
        server = grpc.aio.server()
        replica = Replica()
        servicer: Any = replica
        add_StoreServiceServicer_to_server(servicer, server)
        add_LiveServiceServicer_to_server(servicer, server)
        replica.port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        servers.append(server)
        made.append(replica)
    yield made
    for server in servers:
        await server.stop(None)


def client_of(replicas: list[Replica], **more: Any) -> Client:
    addresses = [f"127.0.0.1:{replica.port}" for replica in replicas]
    settings: dict[str, Any] = {
        "live": addresses,
        "store": addresses,
        "token": token(),
        "chance": lambda: 0.0,
        **more,
    }
    return Client(**settings)


APPENDED = live_pb2.AppendMessageResponse(seq=7)


async def test_every_change_says_what_was_asked(replicas: list[Replica]) -> None:
    one = replicas[0]
    async with client_of(replicas[:1], acting_for="bob") as client:
        one.answers = [APPENDED]
        response = await client.append(
            "s",
            "hello",
            sender=Sender.AGENT,
            type=MessageType.OUTPUT,
            agent_id="assistant",
            metadata={"n": 1},
            expected_revision=3,
            op_id="one",
        )
        assert response.seq == 7
        assert one.asked[-1] == live_pb2.AppendMessageRequest(
            session_id="s",
            content="hello",
            sender=session_pb2.SENDER_AGENT,
            type=session_pb2.MESSAGE_TYPE_OUTPUT,
            agent_id="assistant",
            metadata=session_pb2.JsonObject(text='{"n": 1}'),
            expected_revision=3,
            op_id="one",
        )
        one.answers = [live_pb2.UpdateSessionResponse(seq=8)]
        await client.update("s", title="t", metadata={"a": "1", "b": None}, user_inputs={"c": 2})
        assert one.asked[-1].metadata["a"].value == "1"
        assert not one.asked[-1].metadata["b"].HasField("value")
        assert one.asked[-1].user_inputs.text == '{"c": 2}'
        assert len(one.asked[-1].op_id) == 32
        one.answers = [live_pb2.ApproveOutputResponse(seq=9)]
        await client.approve("s", "o", feedback="no", decision=Decision.REJECTED)
        assert one.asked[-1].decision == live_pb2.DECISION_REJECTED
        one.answers = [live_pb2.SubmitOutputResponse(output_id="o")]
        assert (await client.submit_output("s", "text", quality_score=0.5)).output_id == "o"
        one.answers = [live_pb2.EditOutputResponse(), live_pb2.PauseSessionResponse()]
        await client.edit_output("s", "o", content="better")
        await client.pause("s")
        one.answers = [live_pb2.ResumeSessionResponse(), live_pb2.DeleteSessionResponse()]
        await client.resume("s")
        await client.delete("s", expected_revision=12)
        assert one.asked[-1].expected_revision == 12
        one.answers = [store_pb2.CreateSessionResponse(session=session_pb2.Session(id="new"))]
        assert (await client.create(id="new", title="T", user_inputs={})).id == "new"
        assert one.asked[-1].user_inputs.text == "{}"
    assert all(each["sessiond-user"] == "bob" for each in one.metadata)
    assert all(each["authorization"] == f"Bearer {token()}" for each in one.metadata)


async def test_sharing_says_what_was_asked(replicas: list[Replica]) -> None:
    """A link's secret is made here, so that the call can be repeated and still be known."""
    one, two = replicas
    async with client_of(replicas) as client:
        one.answers = [live_pb2.ShareSessionResponse(seq=2), live_pb2.UnshareSessionResponse(seq=3)]
        assert (await client.share("s", "bob", MemberRole.APPROVER, expected_revision=1)).seq == 2
        shared = one.asked[-1]
        assert (shared.user_id, shared.role) == ("bob", session_pb2.MEMBER_ROLE_APPROVER)
        assert shared.expected_revision == 1
        assert await client.unshare("s", "bob") == 3
        ending = datetime(2030, 1, 2, 1, tzinfo=timezone(timedelta(hours=1)))
        one.answers, two.answers = [Unavailable()], [live_pb2.MakeLinkResponse(seq=4)]
        await client.make_link("s", MemberRole.VIEWER, expires_at=ending)
        assert one.asked[-1] == two.asked[-1]
        assert len(one.asked[-1].secret) == 43
        assert one.asked[-1].expires_at.ToJsonString() == "2030-01-02T00:00:00Z"
        two.answers = [live_pb2.RevokeLinkResponse(), live_pb2.JoinSessionResponse(seq=5)]
        await client.revoke_link("s", "l")
        assert (await client.join("s", "secret")).seq == 5
        assert two.asked[-1].secret == "secret"
        two.answers = [live_pb2.TransferSessionResponse(seq=6)]
        assert (await client.transfer("s", "bob")).seq == 6
        assert all(len(request.op_id) == 32 for request in two.asked)
        two.answers = [store_pb2.ListMembersResponse(owner="alice")]
        assert (await client.members("s")).owner == "alice"
        two.answers = [store_pb2.ListSessionsResponse()]
        assert [each async for each in client.list(scope="shared")] == []
        assert two.asked[-1].scope == store_pb2.LIST_SCOPE_SHARED
        with pytest.raises(ValueError, match="zone"):
            await client.make_link("s", MemberRole.VIEWER, expires_at=datetime(2030, 1, 2))


async def test_what_is_kept_and_what_goes_is_asked_for(replicas: list[Replica]) -> None:
    """Holds, erasures, and a scan over its pages."""

    def page(*ids: str, more: str = "") -> store_pb2.ScanSessionsResponse:
        summaries = [session_pb2.SessionSummary(id=each) for each in ids]
        return store_pb2.ScanSessionsResponse(sessions=summaries, next_page_token=more)

    one, receipt = replicas[0], store_pb2.Erasure(user_id="alice", sessions=3)
    async with client_of(replicas[:1]) as client:
        one.answers = [live_pb2.SetHoldResponse(seq=4)]
        held = await client.set_hold("s", True, reason="case 7", expected_revision=3, op_id="one")
        assert held.seq == 4
        assert one.asked.pop() == live_pb2.SetHoldRequest(
            session_id="s", held=True, reason="case 7", expected_revision=3, op_id="one"
        )
        one.answers = [store_pb2.EraseUserResponse(erasure=receipt)]
        assert await client.erase() == receipt
        assert one.asked.pop() == store_pb2.EraseUserRequest(user_id="alice")
        one.answers = [store_pb2.GetErasureResponse(erasure=receipt)]
        assert await client.erasure("bob") == receipt
        assert one.asked.pop() == store_pb2.GetErasureRequest(user_id="bob")
        one.answers = [page("a", more="p"), page("b")]
        assert [each.id async for each in client.scan(status=Status.COMPLETED)] == ["a", "b"]
    first, second = one.asked
    assert (first.page_token, second.page_token, first.page_size) == ("", "p", 1000)
    assert first.status == session_pb2.SESSION_STATUS_COMPLETED


async def test_workflows_come_as_they_are_listed(replicas: list[Replica]) -> None:
    listed = [event_pb2.Workflow(id="w", name="W"), event_pb2.Workflow(id="c", agent="x")]
    replicas[0].answers = [Unavailable()]
    replicas[1].answers = [store_pb2.ListWorkflowsResponse(workflows=listed)]
    async with client_of(replicas) as client:
        assert list(await client.workflows()) == listed


async def test_templates_are_saved_found_listed_used_and_deleted(replicas: list[Replica]) -> None:
    one, plan = replicas[0], store_pb2.Template(name="plan", title="{date}")
    async with client_of(replicas[:1]) as client:
        one.answers = [Unavailable(), store_pb2.PutTemplateResponse(template=plan)]
        saved = await client.put_template(
            *("plan",), session_id="s", user_inputs={}, title="{date}", metadata={"k": "v"}
        )
        assert saved == plan
        assert one.asked[-1] == store_pb2.PutTemplateRequest(
            user_id="alice",
            name="plan",
            session_id="s",
            user_inputs=session_pb2.JsonObject(text="{}"),
            title="{date}",
            metadata={"k": "v"},
        )
        one.answers = [store_pb2.GetTemplateResponse(template=plan)]
        assert await client.template("plan", user_id="bob") == plan
        assert one.asked[-1] == store_pb2.GetTemplateRequest(user_id="bob", name="plan")
        one.answers = [store_pb2.ListTemplatesResponse(templates=[plan])]
        assert list(await client.templates()) == [plan]
        assert one.asked[-1] == store_pb2.ListTemplatesRequest(user_id="alice")
        one.answers = [store_pb2.CreateSessionResponse(session=session_pb2.Session(id="new"))]
        await client.create(template="plan", op_id="one")
        assert one.asked[-1] == store_pb2.CreateSessionRequest(template="plan", op_id="one")
        one.answers = [store_pb2.DeleteTemplateResponse()]
        await client.delete_template("plan")
        assert one.asked[-1] == store_pb2.DeleteTemplateRequest(user_id="alice", name="plan")


async def test_an_object_that_is_no_json_is_refused(replicas: list[Replica]) -> None:
    async with client_of(replicas) as client:
        with pytest.raises(ValueError, match="JSON"):
            await client.append("s", "hello", metadata={"x": float("nan")})


@pytest.mark.parametrize(
    "failure",
    [
        SessionMoved(),
        Unavailable(),
        OutcomeUnknown(),
        RateLimited(retry_after=0.01),
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.UNKNOWN,
    ],
    ids=str,
)
async def test_a_change_that_breaks_is_made_at_the_next_address_as_it_was(
    replicas: list[Replica], failure: Answer
) -> None:
    first, second = replicas
    first.answers, second.answers = [failure], [APPENDED, APPENDED]
    async with client_of(replicas) as client:
        assert (await client.append("s", "hello")).seq == 7
        assert first.asked == second.asked
        assert first.asked[0].op_id
        await client.append("s", "the one that answered is asked first")
        assert len(second.asked) == 2


async def test_a_refusal_is_not_repeated(replicas: list[Replica]) -> None:
    replicas[0].answers = [SessionNotFound()]
    async with client_of(replicas) as client:
        with pytest.raises(SessionNotFound):
            await client.append("s", "hello")
    assert replicas[1].asked == []


async def test_what_is_not_settled_by_the_deadline_is_told_as_unknown(
    replicas: list[Replica],
) -> None:
    for replica in replicas:
        replica.answers = [Unavailable()] * 10_000
    replicas[0].answers[0] = OutcomeUnknown()
    async with client_of(replicas, deadline=1.0) as client:
        with pytest.raises(OutcomeUnknown):
            await client.append("s", "hello")
        with pytest.raises(Unavailable):
            await client.append("s", "never sent further than a refusal")


@pytest.mark.parametrize(
    "failure", [SessionNotFound(), PermissionDenied(), Unauthenticated()], ids=str
)
async def test_a_refusal_at_the_door_does_not_settle_what_is_in_doubt(
    replicas: list[Replica], failure: SessiondError
) -> None:
    """The attempt before may have been stored: nobody has looked for its operation id."""
    replicas[0].answers, replicas[1].answers = [OutcomeUnknown()], [failure]
    async with client_of(replicas, token=token()) as client:
        with pytest.raises(OutcomeUnknown, match="then it was refused") as raised:
            await client.append("s", "hello")
        assert type(raised.value.__cause__) is type(failure)


async def test_a_refusal_by_the_owner_settles_what_is_in_doubt(replicas: list[Replica]) -> None:
    """It looks for the operation id before all else."""
    replicas[0].answers, replicas[1].answers = [OutcomeUnknown()], [SessionPaused()]
    async with client_of(replicas) as client:
        with pytest.raises(SessionPaused):
            await client.append("s", "hello")


async def test_an_answer_that_never_comes_ends_at_the_deadline(replicas: list[Replica]) -> None:
    replicas[0].answers = [asyncio.Event()]
    async with client_of(replicas[:1], deadline=0.1) as client:
        with pytest.raises(DeadlineExceeded):
            await client.get("s", tail=1)


async def test_a_refused_token_is_replaced_once(replicas: list[Replica]) -> None:
    given = iter([token(n=1), token(n=2), token(n=3)])
    replicas[0].answers = [Unauthenticated(), APPENDED]
    async with client_of(replicas, token=lambda: next(given)) as client:
        await client.append("s", "hello")
        bearer = [each["authorization"] for each in replicas[0].metadata]
        assert bearer == [f"Bearer {token(n=1)}", f"Bearer {token(n=2)}"]
        replicas[0].answers = [Unauthenticated()]
    async with client_of(replicas) as client:
        with pytest.raises(Unauthenticated):
            await client.append("s", "hello")


async def test_a_history_is_read_in_pages_up_to_the_session_s_revision(
    replicas: list[Replica],
) -> None:
    messages = [session_pb2.Message(id=f"m{seq}", seq=seq) for seq in range(2, 7)]
    session = session_pb2.Session(id="s", revision=5, conversation_history=messages[3:4])
    replicas[0].answers = [
        store_pb2.GetSessionResponse(session=session),
        store_pb2.ListMessagesResponse(messages=messages[:2], next_page_token="p"),
        store_pb2.ListMessagesResponse(messages=messages[2:]),
    ]
    async with client_of(replicas) as client:
        session = await client.get("s")
    assert [message.seq for message in session.conversation_history] == [2, 3, 4, 5]
    whole, first, second = replicas[0].asked
    assert whole == store_pb2.GetSessionRequest(session_id="s", tail=1)
    assert (first.page_token, second.page_token) == ("", "p")


async def test_a_history_that_is_rewound_while_it_is_read_is_read_again(
    replicas: list[Replica],
) -> None:
    """Neither half of one conversation nor two halves of two; not for ever, though."""
    messages = [session_pb2.Message(id=f"m{seq}", seq=seq) for seq in range(2, 6)]
    before = store_pb2.GetSessionResponse(
        session=session_pb2.Session(id="s", revision=5, conversation_history=messages[3:])
    )
    after = store_pb2.GetSessionResponse(
        session=session_pb2.Session(id="s", revision=6, conversation_history=messages[:1])
    )
    rest = store_pb2.ListMessagesResponse(messages=messages[:1])
    cut = store_pb2.ListMessagesResponse(messages=messages[:2], next_page_token="p")
    replicas[0].answers = [before, rest, before, cut, PageTokenExpired(), after, rest]
    async with client_of(replicas) as client:
        session = await client.get("s")
        assert (session.revision, [each.seq for each in session.conversation_history]) == (6, [2])
        replicas[0].answers = [before, rest] * 3
        with pytest.raises(Unavailable):
            await client.get("s")


async def test_a_moment_is_asked_for_at_once(replicas: list[Replica]) -> None:
    """By its seq or its time; there are no pages of the past."""
    answer = store_pb2.GetSessionResponse(session=session_pb2.Session(id="s"))
    replicas[0].answers = [answer, answer]
    time = datetime(2026, 11, 29, 14, 30, tzinfo=timezone(timedelta(hours=2)))
    async with client_of(replicas) as client:
        await client.get("s", at_seq=3)
        await client.get("s", at_time=time, tail=2)
    first, second = replicas[0].asked
    assert first == store_pb2.GetSessionRequest(session_id="s", at_seq=3)
    assert (second.at_time.ToJsonString(), second.tail) == ("2026-11-29T12:30:00Z", 2)


async def test_a_tail_is_read_at_once(replicas: list[Replica]) -> None:
    replicas[0].answers = [store_pb2.GetSessionResponse(session=session_pb2.Session(id="s"))]
    async with client_of(replicas) as client:
        assert (await client.get("s", tail=3)).id == "s"
    assert replicas[0].asked == [store_pb2.GetSessionRequest(session_id="s", tail=3)]


async def test_a_list_is_one_s_own_and_goes_on_over_pages(replicas: list[Replica]) -> None:
    def page(*ids: str, more: str = "") -> store_pb2.ListSessionsResponse:
        summaries = [session_pb2.SessionSummary(id=each) for each in ids]
        return store_pb2.ListSessionsResponse(sessions=summaries, next_page_token=more)

    replicas[0].answers = [page("a", "b", more="p"), page("c"), page(), page()]
    async with client_of(replicas) as client:
        seen = [each.id async for each in client.list(status=Status.PAUSED, q="x", page_size=2)]
        assert seen == ["a", "b", "c"]
        asked = replicas[0].asked[0]
        assert (asked.user_id, asked.status, asked.q, asked.page_size) == (
            "alice", session_pb2.SESSION_STATUS_PAUSED, "x", 2
        )  # fmt: skip
        assert [each async for each in client.list("bob")] == []
        assert replicas[0].asked[-1].user_id == "bob"
    async with client_of(replicas, acting_for="carol") as client:
        assert [each async for each in client.list()] == []
        assert replicas[0].asked[-1].user_id == "carol"


async def test_bad_fields_are_named(replicas: list[Replica]) -> None:
    replicas[0].answers = [InvalidArgument.of("content", "must not be empty")]
    async with client_of(replicas) as client:
        with pytest.raises(InvalidArgument) as caught:
            await client.append("s", "")
    assert caught.value.violations[0].field == "content"


@pytest.mark.parametrize("addresses", [[], [""], ""])
def test_a_client_needs_addresses(addresses: Any) -> None:
    with pytest.raises(ValueError, match="live"):
        Client(live=addresses, store="127.0.0.1:1", token="t")


async def test_a_client_that_is_not_open_attaches_nothing() -> None:
    client = Client(live="127.0.0.1:1", store="127.0.0.1:1", token="t")
    with pytest.raises(RuntimeError, match="open"):
        async with client.attach("s"):
            pass
