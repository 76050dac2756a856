"""Every annotated RPC is a route, and a path is taken as it comes."""

from __future__ import annotations

import httpx
import pytest

from services.serving.addresses import HostPort
from sessiond.v1 import event_pb2, live_pb2, session_pb2, store_pb2
from tests.gateway.parts import Part
from tests.gateway.raw import exchange

ROUTES = [
    ("POST", "/api/sessions", "CreateSession", {}, 201),
    ("GET", "/api/users/u1/sessions", "ListSessions", None, 200),
    ("GET", "/api/sessions/s1", "GetSession", None, 200),
    ("GET", "/api/chat/s1/messages", "ListMessages", None, 200),
    ("GET", "/api/workflows", "ListWorkflows", None, 200),
    ("PUT", "/api/users/u1/templates/plan", "PutTemplate", {"sessionId": "s1"}, 200),
    ("GET", "/api/users/u1/templates/plan", "GetTemplate", None, 200),
    ("GET", "/api/users/u1/templates", "ListTemplates", None, 200),
    ("DELETE", "/api/users/u1/templates/plan", "DeleteTemplate", None, 204),
    ("DELETE", "/api/sessions/s1", "DeleteSession", None, 204),
    ("PATCH", "/api/sessions/s1", "UpdateSession", {"title": "t"}, 200),
    ("PUT", "/api/sessions/s1/pause", "PauseSession", None, 200),
    ("PUT", "/api/sessions/s1/resume", "ResumeSession", None, 200),
    ("PUT", "/api/sessions/s1/rewind", "RewindSession", {"toSeq": 3}, 200),
    ("PUT", "/api/chat/s1/approve", "ApproveOutput", None, 200),
    ("POST", "/api/chat/s1/messages", "AppendMessage", {"content": "hi"}, 201),
    ("POST", "/api/chat/s1/outputs", "SubmitOutput", {"content": "hi"}, 201),
    ("PUT", "/api/chat/s1/outputs/o1", "EditOutput", {"content": "hi"}, 200),
]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route[2])
async def test_every_documented_route_calls_its_rpc(
    http: httpx.AsyncClient,
    store: Part,
    live: Part,
    route: tuple[str, str, str, dict[str, str] | None, int],
) -> None:
    """A route of the contract reaches its RPC, and its success looks as annotated."""
    verb, path, rpc, body, status = route
    answer = await http.request(verb, path, json=body)
    assert answer.status_code == status, answer.text
    assert [asked.rpc for asked in store.asked + live.asked] == [rpc]


@pytest.mark.parametrize(
    ("segment", "user"),
    [
        ("a%2Fb%3A..", "a/b:.."),
        ("..", ".."),
        ("%2e%2e", ".."),
        ("100%25", "100%"),
        ("a:b", "a:b"),
        ("a+b", "a+b"),
        ("%E2%82%AC", "€"),
        ("auth0%7C1%2f2", "auth0|1/2"),
        ("", ""),
        ("x" * 10_240, "x" * 10_240),
        ("%00", "\0"),
    ],
)
async def test_a_user_id_may_hold_anything_that_a_segment_can_spell(
    address: HostPort, store: Part, segment: str, user: str
) -> None:
    """The path is split before it is decoded, and nothing in it is special."""
    answer = await exchange(address, "GET", f"/api/users/{segment}/sessions")
    assert answer.status == 200
    assert store.last().request.user_id == user


@pytest.mark.parametrize("segment", ["%ff", "%", "%4", "%zz", "%ed%a0%80"])
async def test_a_segment_that_is_no_text_is_named(address: HostPort, segment: str) -> None:
    """What percent-decoding does not turn into UTF-8 is a bad field, not a broken server."""
    answer = await exchange(address, "GET", f"/api/users/{segment}/sessions")
    assert answer.status == 400
    assert [error["field"] for error in answer.json()["errors"]] == ["userId"]


@pytest.mark.parametrize(
    "path",
    [
        "/api",
        "/api/",
        "/api/sessions/s1/",
        "/api//sessions",
        "/nothing",
        "//",
        "/api/users/a/b/sessions",
    ],
)
async def test_a_path_without_a_route_is_a_problem(address: HostPort, path: str) -> None:
    """No route, no redirect: 404 with a name."""
    answer = await exchange(address, "GET", path)
    assert (answer.status, answer.json()["code"]) == (404, "ROUTE_NOT_FOUND")


async def test_a_wrong_method_is_told_the_right_ones(http: httpx.AsyncClient) -> None:
    """405 names in Allow what the path takes."""
    answer = await http.put("/api/sessions/s1", json={})
    assert (answer.status_code, answer.json()["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert answer.headers["Allow"] == "DELETE, GET, HEAD, OPTIONS, PATCH"


async def test_options_says_what_a_path_takes(http: httpx.AsyncClient) -> None:
    """OPTIONS is answered without a caller."""
    answer = await http.options("/api/sessions", headers={"Authorization": ""})
    assert (answer.status_code, answer.headers["Allow"]) == (204, "OPTIONS, POST")


async def test_head_is_get_without_its_body(http: httpx.AsyncClient, store: Part) -> None:
    """HEAD has the status and headers of GET."""
    store.answers["GetSession"] = lambda _: store_pb2.GetSessionResponse(
        session=session_pb2.Session(id="s1", status=session_pb2.SESSION_STATUS_ACTIVE, revision=7)
    )
    answer = await http.head("/api/sessions/s1")
    assert (answer.status_code, answer.headers["ETag"], answer.content) == (200, '"7"', b"")


async def test_a_created_session_is_located(http: httpx.AsyncClient, store: Part) -> None:
    """201 says where the session is and at which revision, with what is special encoded."""
    store.answers["CreateSession"] = lambda _: store_pb2.CreateSessionResponse(
        session=session_pb2.Session(
            id="a~b/c", status=session_pb2.SESSION_STATUS_ACTIVE, revision=1
        ),
        seq=1,
    )
    answer = await http.post("/api/sessions", json={})
    assert answer.headers["Location"] == "/api/sessions/a~b%2Fc"
    assert answer.headers["ETag"] == '"1"'


async def test_workflows_are_shown_as_sessions_show_theirs(
    http: httpx.AsyncClient, store: Part
) -> None:
    """Steps in the words of a stream's `sessionCreated`, and every field there."""
    step = event_pb2.WorkflowStep(id="a", name="A", agent="x", stage="s", minutes=5)
    store.answers["ListWorkflows"] = lambda _: store_pb2.ListWorkflowsResponse(
        workflows=[
            event_pb2.Workflow(id="w", name="W", steps=[step]),
            event_pb2.Workflow(id="c", name="C", agent="x"),
        ]
    )
    assert (await http.get("/api/workflows")).json() == {
        "workflows": [
            {
                "id": "w",
                "name": "W",
                "steps": [{"id": "a", "name": "A", "agent": "x", "stage": "s", "minutes": 5}],
                "agent": "",
            },
            {"id": "c", "name": "C", "steps": [], "agent": "x"},
        ]
    }


async def test_an_answer_shows_only_what_its_annotation_names(
    http: httpx.AsyncClient, live: Part
) -> None:
    """`response_body` picks the message out of the response."""
    live.answers["AppendMessage"] = lambda asked: live_pb2.AppendMessageResponse(
        message=session_pb2.Message(
            id="m",
            content=asked.content,
            sender=session_pb2.SENDER_USER,
            type=session_pb2.MESSAGE_TYPE_TEXT,
            seq=5,
        ),
        seq=5,
    )
    answer = await http.post("/api/chat/s1/messages", json={"content": "hi"})
    assert answer.json() == {
        "id": "m",
        "sessionId": "",
        "sender": "user",
        "type": "text",
        "content": "hi",
        "seq": 5,
    }
