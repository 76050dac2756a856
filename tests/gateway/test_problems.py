"""Every failure has its problem, and no problem tells more than it should."""

from __future__ import annotations

from collections.abc import Callable

import grpc
import httpx
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from gateway.problems import MEDIA_TYPE
from sessiond.errors import (
    CARRIED,
    DeadlineExceeded,
    FieldViolation,
    InvalidArgument,
    OutcomeUnknown,
    RateLimited,
    SessiondError,
    SessionMoved,
    StaleRevision,
    Unavailable,
)
from sessiond.v1 import session_pb2, store_pb2
from tests.gateway.parts import Part, failing

SECRET_TEXT = "key session:abc at 10.0.0.7:2379 in /srv/app.py"
GET = "/api/sessions/s1"


def example(kind: type[SessiondError]) -> SessiondError:
    """One failure of a kind."""
    made: dict[type[SessiondError], Callable[[], SessiondError]] = {
        StaleRevision: lambda: StaleRevision(42),
        InvalidArgument: lambda: InvalidArgument.of("content", "must not be empty"),
    }
    return made.get(kind, kind)()


@pytest.mark.parametrize("kind", CARRIED, ids=lambda kind: kind.reason)
async def test_every_failure_of_the_catalogue_becomes_its_problem(
    http: httpx.AsyncClient, live: Part, kind: type[SessiondError]
) -> None:
    """Status, title, code and retryable are those of the one table.

    A deadline behind the gateway is the gateway's own: to its caller the outcome is unknown.
    """
    live.answers["AppendMessage"] = failing(example(kind))
    kind = OutcomeUnknown if kind is DeadlineExceeded else kind
    answer = await http.post("/api/chat/s1/messages", json={"content": "x"})
    carried = CARRIED[kind]
    assert answer.status_code == carried.http
    assert answer.headers["Content-Type"] == MEDIA_TYPE
    problem = answer.json()
    assert problem["status"] == carried.http
    assert problem["title"] == carried.title
    assert problem["code"] == kind.reason
    assert problem["retryable"] is carried.retryable
    assert problem["type"] == "urn:sessiond:problem:" + kind.reason.lower().replace("_", "-")
    assert problem["requestId"] == answer.headers["X-Request-Id"]
    assert problem["detail"]
    assert ("Retry-After" in answer.headers) is (carried.http in (429, 503))


async def test_a_stale_revision_says_where_the_session_is(
    http: httpx.AsyncClient, live: Part
) -> None:
    """412 carries the current revision, as a number and as the ETag."""
    live.answers["PauseSession"] = failing(StaleRevision(42))
    answer = await http.put("/api/sessions/s1/pause", headers={"If-Match": '"41"'})
    assert answer.status_code == 412
    assert (answer.json()["revision"], answer.headers["ETag"]) == (42, '"42"')


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("user_inputs", "userInputs"),
        ("metadata.my_key", "metadata.my_key"),
        ("op_id", "Idempotency-Key"),
        ("expected_revision", "If-Match"),
        ("session_id", "sessionId"),
        ("what_is_this", "what_is_this"),
        ("sessiond-user", "Sessiond-User"),
    ],
)
async def test_fields_have_the_names_that_http_knows(
    http: httpx.AsyncClient, live: Part, given: str, shown: str
) -> None:
    """The rules name fields as in the proto; a REST caller never saw those."""
    live.answers["UpdateSession"] = failing(
        InvalidArgument([FieldViolation(given, "must be better"), FieldViolation("title", "no")])
    )
    answer = await http.patch(GET, json={"title": "x"})
    assert answer.json()["errors"] == [
        {"field": shown, "message": "must be better"},
        {"field": "title", "message": "no"},
    ]


@pytest.mark.parametrize(
    ("failure", "seconds"),
    [
        (RateLimited(retry_after=0.2), "1"),
        (RateLimited(retry_after=2.1), "3"),
        (RateLimited(), "1"),
    ],
)
async def test_retry_after_is_whole_seconds_and_at_least_one(
    http: httpx.AsyncClient, live: Part, failure: SessiondError, seconds: str
) -> None:
    """Coming back when told to must not be too early."""
    live.answers["PauseSession"] = failing(failure)
    answer = await http.put("/api/sessions/s1/pause")
    assert answer.headers["Retry-After"] == seconds


@pytest.mark.parametrize(
    "error",
    [RuntimeError(SECRET_TEXT), ValueError(SECRET_TEXT), SessionMoved("10.0.0.7:2379")],
)
async def test_no_problem_shows_what_is_inside(
    http: httpx.AsyncClient, live: Part, store: Part, error: Exception
) -> None:
    """The text of an exception, a key or an address never leaves."""
    live.answers["PauseSession"] = store.answers["GetSession"] = failing(error)
    for answer in [await http.put("/api/sessions/s1/pause"), await http.get(GET)]:
        assert answer.status_code in (500, 503)
        shown = answer.text + str(answer.headers)
        for secret in ("session:", "10.0.0.7", "2379", "/srv", "Error", "Traceback"):
            assert secret not in shown


async def test_a_broken_answer_of_a_part_is_our_fault_and_says_nothing(
    http: httpx.AsyncClient, store: Part
) -> None:
    """What the gateway itself cannot handle is 500 without a word about why."""

    # A time that no calendar holds cannot be shown.
    session = session_pb2.Session(created_at=Timestamp(seconds=2**60))
    store.answers["GetSession"] = lambda _: store_pb2.GetSessionResponse(session=session)
    answer = await http.get(GET)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (500, "INTERNAL")
    assert problem["detail"] == "Something went wrong on our side."


async def test_an_unnamed_status_is_carried_by_what_it_comes_closest_to(
    http: httpx.AsyncClient, store: Part
) -> None:
    """A status without our details still gives a problem, not its text."""
    store.answers["GetSession"] = failing(grpc.RpcError(SECRET_TEXT))
    answer = await http.get(GET)
    assert (answer.status_code, answer.json()["code"]) == (503, "UNAVAILABLE")
    assert "10.0.0.7" not in answer.text


async def test_a_body_full_of_bad_fields_gets_an_answer_of_bounded_size(
    http: httpx.AsyncClient,
) -> None:
    """A hundred names are enough, and each is cut."""
    body = {"f" * 1000 + str(n): 1 for n in range(500)}
    answer = await http.post("/api/sessions", json=body)
    assert len(answer.json()["errors"]) == 100
    assert len(answer.content) < 40_000


async def test_unavailable_says_that_nothing_was_changed(
    http: httpx.AsyncClient, live: Part
) -> None:
    """A change that was refused by name is told as not done, however often it was tried."""
    live.answers["PauseSession"] = failing(Unavailable())
    answer = await http.put("/api/sessions/s1/pause")
    assert (answer.status_code, answer.json()["code"]) == (503, "UNAVAILABLE")
    assert "nothing was changed" in answer.json()["detail"]
