"""The synchronous client on grpcio-testing's channel: the same calls, from plain threads."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import grpc
import grpc_testing
import pytest

from sessiond import SyncClient
from sessiond.errors import (
    DeadlineExceeded,
    OutcomeUnknown,
    SessiondError,
    SessionNotFound,
    Unauthenticated,
    Unavailable,
)
from sessiond.session.access import MemberRole
from sessiond.session.state import Decision, Status
from sessiond.status import DETAILS_KEY, to_status
from sessiond.v1 import event_pb2, live_pb2, session_pb2, store_pb2
from tests.client.conftest import token

STORE = store_pb2.DESCRIPTOR.services_by_name["StoreService"]
LIVE = live_pb2.DESCRIPTOR.services_by_name["LiveService"]


class Channel(grpc.Channel):
    """A testing channel that can be closed, and shows what it is asked."""

    def __init__(self) -> None:
        self.told: Any = grpc_testing.channel([STORE, LIVE], grpc_testing.strict_real_time())
        self.closed = False

    def __getattribute__(self, name: str) -> Any:
        if name in ("unary_unary", "unary_stream", "stream_unary", "stream_stream"):
            return getattr(self.told, name)
        return super().__getattribute__(name)

    def __enter__(self) -> Channel:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True

    def close(self) -> None:
        self.closed = True

    def subscribe(self, callback: Any, try_to_connect: Any = None) -> None:
        raise NotImplementedError

    def unsubscribe(self, callback: Any) -> None:
        raise NotImplementedError

    unary_unary = unary_stream = stream_unary = stream_stream = None  # type: ignore[assignment]

    def take(self, service: Any, method: str) -> tuple[Any, dict[str, Any], Any]:
        metadata, request, rpc = self.told.take_unary_unary(service.methods_by_name[method])
        return request, dict(metadata), rpc

    def answer(self, service: Any, method: str, response: Any) -> Any:
        request, _, rpc = self.take(service, method)
        rpc.terminate(response, (), grpc.StatusCode.OK, "")
        return request

    def refuse(self, service: Any, method: str, failure: SessiondError) -> Any:
        request, _, rpc = self.take(service, method)
        status = to_status(failure)
        details = ((DETAILS_KEY, status.SerializeToString()),)
        rpc.terminate(None, details, grpc.StatusCode.ABORTED, status.message)
        return request


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as made:
        yield made


@pytest.fixture
def channels() -> dict[str, Channel]:
    return {"one": Channel(), "two": Channel()}


def client_of(channels: dict[str, Channel], **more: Any) -> SyncClient:
    settings: dict[str, Any] = {
        "token": token(),
        "chance": lambda: 0.0,
        "sleep": lambda _: None,
        "open_channel": lambda address, _: channels[address],
        **more,
    }
    return SyncClient(live=list(channels), store=list(channels), **settings)


APPENDED = live_pb2.AppendMessageResponse(seq=7)


def test_a_change_is_made_and_answered(
    pool: ThreadPoolExecutor, channels: dict[str, Channel]
) -> None:
    with client_of(channels, acting_for="bob") as client:
        answer = pool.submit(client.append, "s", "hello", op_id="one", metadata={"n": 1})
        request, metadata, rpc = channels["one"].take(LIVE, "AppendMessage")
        rpc.terminate(APPENDED, (), grpc.StatusCode.OK, "")
        assert answer.result(10) == APPENDED
        assert (request.content, request.op_id, request.metadata.text) == (
            "hello", "one", '{"n": 1}'
        )  # fmt: skip
        assert metadata["authorization"] == f"Bearer {token()}"
        assert metadata["sessiond-user"] == "bob"
    assert all(channel.closed for channel in channels.values())


def test_each_change_has_a_method(pool: ThreadPoolExecutor, channels: dict[str, Channel]) -> None:
    one = channels["one"]
    with client_of(channels) as client:
        asked: list[tuple[Future[Any], Any, str, Any]] = []

        def ask(future: Future[Any], method: str, response: Any, service: Any = LIVE) -> Any:
            request = one.answer(service, method, response)
            asked.append((future, request, method, response))
            return request

        updating = pool.submit(client.update, "s", title="t", metadata={"k": None})
        assert ask(updating, "UpdateSession", live_pb2.UpdateSessionResponse()).title == "t"
        approving = pool.submit(client.approve, "s", decision=Decision.REJECTED)
        request = ask(approving, "ApproveOutput", live_pb2.ApproveOutputResponse())
        assert request.decision == live_pb2.DECISION_REJECTED
        ask(
            pool.submit(client.submit_output, "s", "text"),
            "SubmitOutput",
            live_pb2.SubmitOutputResponse(),
        )
        ask(
            pool.submit(client.edit_output, "s", "o", content="x"),
            "EditOutput",
            live_pb2.EditOutputResponse(),
        )
        ask(pool.submit(client.pause, "s"), "PauseSession", live_pb2.PauseSessionResponse())
        ask(pool.submit(client.resume, "s"), "ResumeSession", live_pb2.ResumeSessionResponse())
        rewinding = pool.submit(client.rewind, "s", 3, expected_revision=9)
        request = ask(rewinding, "RewindSession", live_pb2.RewindSessionResponse())
        assert (request.to_seq, request.expected_revision) == (3, 9)
        ask(pool.submit(client.delete, "s"), "DeleteSession", live_pb2.DeleteSessionResponse())
        sharing = pool.submit(client.share, "s", "bob", MemberRole.EDITOR)
        request = ask(sharing, "ShareSession", live_pb2.ShareSessionResponse())
        assert request.role == session_pb2.MEMBER_ROLE_EDITOR
        linking = pool.submit(client.make_link, "s", MemberRole.VIEWER)
        request = ask(linking, "MakeLink", live_pb2.MakeLinkResponse())
        assert (len(request.secret), request.HasField("expires_at")) == (43, False)
        ask(pool.submit(client.join, "s", "x"), "JoinSession", live_pb2.JoinSessionResponse())
        giving = pool.submit(client.transfer, "s", "bob")
        ask(giving, "TransferSession", live_pb2.TransferSessionResponse())
        holding = pool.submit(client.set_hold, "s", True, reason="case 7")
        request = ask(holding, "SetHold", live_pb2.SetHoldResponse())
        assert (request.held, request.reason) == (True, "case 7")
        created = store_pb2.CreateSessionResponse(session=session_pb2.Session(id="new"))
        ask(pool.submit(client.create, id="new"), "CreateSession", created, STORE)
        assert asked[-1][0].result(10).id == "new"
        for future, request, method, response in asked[:-1]:
            assert future.result(10) == (None if method == "DeleteSession" else response)
            assert request.session_id == "s"
            assert len(request.op_id) == 32


def test_an_erasure_and_a_scan_are_asked_for(
    pool: ThreadPoolExecutor, channels: dict[str, Channel]
) -> None:
    one, receipt = channels["one"], store_pb2.Erasure(user_id="alice", sessions=3)
    with client_of(channels) as client:
        erasing = pool.submit(client.erase)
        asked = one.answer(STORE, "EraseUser", store_pb2.EraseUserResponse(erasure=receipt))
        assert (asked.user_id, erasing.result(10)) == ("alice", receipt)
        shown = pool.submit(client.erasure, "bob")
        asked = one.answer(STORE, "GetErasure", store_pb2.GetErasureResponse(erasure=receipt))
        assert (asked.user_id, shown.result(10)) == ("bob", receipt)
        scanned = pool.submit(lambda: [each.id for each in client.scan(workflow_id="chat")])
        for token, session_id, more in (("", "a", "p"), ("p", "b", "")):
            summaries = [session_pb2.SessionSummary(id=session_id)]
            page = store_pb2.ScanSessionsResponse(sessions=summaries, next_page_token=more)
            asked = one.answer(STORE, "ScanSessions", page)
            assert (asked.page_token, asked.workflow_id) == (token, "chat")
        assert scanned.result(10) == ["a", "b"]


def test_a_call_that_breaks_is_made_at_the_next_address_as_it_was(
    pool: ThreadPoolExecutor, channels: dict[str, Channel]
) -> None:
    with client_of(channels) as client:
        answer = pool.submit(client.append, "s", "hello")
        first = channels["one"].refuse(LIVE, "AppendMessage", OutcomeUnknown())
        second = channels["two"].answer(LIVE, "AppendMessage", APPENDED)
        assert answer.result(10).seq == 7
        assert first == second


def test_a_refusal_is_raised(pool: ThreadPoolExecutor, channels: dict[str, Channel]) -> None:
    with client_of(channels) as client:
        answer = pool.submit(client.pause, "s")
        channels["one"].refuse(LIVE, "PauseSession", SessionNotFound())
        with pytest.raises(SessionNotFound):
            answer.result(10)


def test_the_deadline_ends_the_attempts(
    pool: ThreadPoolExecutor, channels: dict[str, Channel]
) -> None:
    with client_of({"one": channels["one"]}, deadline=0.0) as client:
        answer = pool.submit(client.append, "s", "hello")
        channels["one"].refuse(LIVE, "AppendMessage", Unavailable())
        with pytest.raises((Unavailable, DeadlineExceeded, OutcomeUnknown)):
            answer.result(10)


def test_a_refused_token_is_replaced_once(
    pool: ThreadPoolExecutor, channels: dict[str, Channel]
) -> None:
    given = iter([token(n=1), token(n=2)])
    with client_of(channels, token=lambda: next(given)) as client:
        answer = pool.submit(client.pause, "s")
        channels["one"].refuse(LIVE, "PauseSession", Unauthenticated())
        _, metadata, rpc = channels["one"].take(LIVE, "PauseSession")
        rpc.terminate(live_pb2.PauseSessionResponse(), (), grpc.StatusCode.OK, "")
        answer.result(10)
        assert metadata["authorization"] == f"Bearer {token(n=2)}"


def test_lists_and_histories_go_on_over_pages(
    pool: ThreadPoolExecutor, channels: dict[str, Channel]
) -> None:
    one = channels["one"]
    with client_of(channels) as client:
        listing = pool.submit(lambda: [each.id for each in client.list(status=Status.ACTIVE)])
        summaries = [session_pb2.SessionSummary(id="a")]
        page = store_pb2.ListSessionsResponse(sessions=summaries, next_page_token="p")
        assert one.answer(STORE, "ListSessions", page).user_id == "alice"
        page = store_pb2.ListSessionsResponse(sessions=[session_pb2.SessionSummary(id="b")])
        assert one.answer(STORE, "ListSessions", page).page_token == "p"
        assert listing.result(10) == ["a", "b"]

        loading = pool.submit(client.get, "s")
        messages = [session_pb2.Message(seq=seq) for seq in (2, 3, 4)]
        session = session_pb2.Session(id="s", revision=3, conversation_history=messages[1:2])
        one.answer(STORE, "GetSession", store_pb2.GetSessionResponse(session=session))
        one.answer(STORE, "ListMessages", store_pb2.ListMessagesResponse(messages=messages))
        loaded = loading.result(10)
        assert [message.seq for message in loaded.conversation_history] == [2, 3]


def test_workflows_come_as_they_are_listed(
    pool: ThreadPoolExecutor, channels: dict[str, Channel]
) -> None:
    listed = [event_pb2.Workflow(id="w", name="W"), event_pb2.Workflow(id="c", agent="x")]
    with client_of(channels) as client:
        asking = pool.submit(client.workflows)
        channels["one"].answer(
            STORE, "ListWorkflows", store_pb2.ListWorkflowsResponse(workflows=listed)
        )
        assert list(asking.result(10)) == listed


def test_templates_are_saved_found_listed_used_and_deleted(
    pool: ThreadPoolExecutor, channels: dict[str, Channel]
) -> None:
    one, plan = channels["one"], store_pb2.Template(name="plan")
    with client_of(channels) as client:
        saving = pool.submit(client.put_template, "plan", session_id="s", title="")
        saved = store_pb2.PutTemplateResponse(template=plan)
        request = one.answer(STORE, "PutTemplate", saved)
        assert saving.result(10) == plan
        assert request == store_pb2.PutTemplateRequest(
            user_id="alice", name="plan", session_id="s", title=""
        )
        loading = pool.submit(client.template, "plan", user_id="bob")
        loaded = store_pb2.GetTemplateResponse(template=plan)
        assert one.answer(STORE, "GetTemplate", loaded).user_id == "bob"
        assert loading.result(10) == plan
        listing = pool.submit(client.templates)
        one.answer(STORE, "ListTemplates", store_pb2.ListTemplatesResponse(templates=[plan]))
        assert list(listing.result(10)) == [plan]
        creating = pool.submit(client.create, template="plan")
        created = store_pb2.CreateSessionResponse(session=session_pb2.Session(id="new"))
        assert one.answer(STORE, "CreateSession", created).template == "plan"
        assert creating.result(10).id == "new"
        deleting = pool.submit(client.delete_template, "plan")
        deleted = one.answer(STORE, "DeleteTemplate", store_pb2.DeleteTemplateResponse())
        assert deleted == store_pb2.DeleteTemplateRequest(user_id="alice", name="plan")
        deleting.result(10)


def test_the_blocking_client_has_every_unary_method_and_the_feed() -> None:
    from sessiond.client.unary import UnaryCalls

    def public(kind: type) -> set[str]:
        return {name for name in dir(kind) if not name.startswith("_")}

    assert public(SyncClient) == public(UnaryCalls) | {"changes"}
