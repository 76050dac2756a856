"""Holds, erasures and scans over REST: how they are asked for, and what is told of them."""

from __future__ import annotations

import httpx
import pytest

from sessiond.errors import ErasureNotFound, InvalidArgument, LegalHold, PermissionDenied
from sessiond.v1 import live_pb2, session_pb2, store_pb2
from tests.gateway.parts import Part, failing

HOLD = "/api/sessions/s1/hold"
SCAN = "/api/admin/sessions"


async def test_a_hold_is_a_change_of_a_session(http: httpx.AsyncClient, live: Part) -> None:
    """With its reason, a key and a condition; the answer is the session, and its ETag."""
    session = session_pb2.Session(id="s1", held=True)
    live.answers["SetHold"] = lambda _: live_pb2.SetHoldResponse(session=session, seq=7)
    answer = await http.put(
        HOLD,
        json={"held": True, "reason": "Case 7"},
        headers={"If-Match": '"6"', "Idempotency-Key": "k1"},
    )
    assert (answer.status_code, answer.headers["etag"]) == (200, '"7"')
    assert answer.json()["held"] is True
    assert live.last().request == live_pb2.SetHoldRequest(
        session_id="s1", held=True, reason="Case 7", expected_revision=6, op_id="k1"
    )
    await http.put(HOLD, json={"held": False})
    assert not live.last().request.held
    assert not live.last().request.HasField("reason")


@pytest.mark.parametrize(
    ("body", "fields"),
    [({}, ["held"]), ({"held": "yes"}, ["held"]), ({"held": True, "why": "x"}, ["why"])],
)
async def test_what_is_no_hold_goes_no_further(
    http: httpx.AsyncClient, live: Part, body: object, fields: list[str]
) -> None:
    """Above all, a body that does not say whether a session is held ends no hold."""
    answer = await http.put(HOLD, json=body)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == fields
    assert live.asked == []


async def test_a_held_session_is_not_deleted(http: httpx.AsyncClient, live: Part) -> None:
    """It says so; to ask again is of no use."""
    live.answers["DeleteSession"] = failing(LegalHold())
    answer = await http.delete("/api/sessions/s1")
    assert (answer.status_code, answer.json()["code"]) == (409, "LEGAL_HOLD")
    assert answer.json()["retryable"] is False


async def test_an_erasure_is_asked_for_and_then_there_is_a_receipt(
    http: httpx.AsyncClient, store: Part
) -> None:
    """202, since it is not done yet; users of any name stand in the path."""
    erasure = store_pb2.Erasure(user_id="zoë:1/2")
    erasure.requested_at.FromJsonString("2026-11-29T08:00:00Z")
    erasure.requested_by.subject = "root"
    store.answers["EraseUser"] = lambda _: store_pb2.EraseUserResponse(erasure=erasure)
    path = "/api/users/zo%C3%AB:1%2F2/erasure"
    answer = await http.put(path, headers={"Idempotency-Key": "k1"})
    assert answer.status_code == 202
    assert store.last().request == store_pb2.EraseUserRequest(user_id="zoë:1/2")
    shown = answer.json()
    assert (shown["userId"], shown["requestedAt"]) == ("zoë:1/2", "2026-11-29T08:00:00.000Z")
    assert shown["requestedBy"]["subject"] == "root"
    assert "completedAt" not in shown
    erasure.completed_at.FromJsonString("2026-11-29T08:00:30Z")
    erasure.sessions, erasure.shares, erasure.templates = 3, 2, 1
    erasure.held_session_ids.append("s1")
    store.answers["GetErasure"] = lambda _: store_pb2.GetErasureResponse(erasure=erasure)
    answer = await http.get(path)
    assert answer.status_code == 200
    assert answer.json() == shown | {
        "completedAt": "2026-11-29T08:00:30.000Z",
        "sessions": 3,
        "shares": 2,
        "templates": 1,
        "heldSessionIds": ["s1"],
    }


async def test_an_erasure_that_nobody_asked_for_has_a_name(
    http: httpx.AsyncClient, store: Part
) -> None:
    """And one that is another's to ask for is refused as Store refuses it."""
    store.answers["GetErasure"] = failing(ErasureNotFound())
    answer = await http.get("/api/users/alice/erasure")
    assert (answer.status_code, answer.json()["code"]) == (404, "ERASURE_NOT_FOUND")
    store.answers["EraseUser"] = failing(PermissionDenied())
    answer = await http.put("/api/users/bob/erasure")
    assert (answer.status_code, answer.json()["code"]) == (403, "PERMISSION_DENIED")


async def test_a_scan_is_narrowed_by_its_query(http: httpx.AsyncClient, store: Part) -> None:
    """By words and times as everywhere, page by page."""
    summary = session_pb2.SessionSummary(id="s1", user_id="alice", held=True)
    store.answers["ScanSessions"] = lambda _: store_pb2.ScanSessionsResponse(
        sessions=[summary], next_page_token="more"
    )
    answer = await http.get(
        f"{SCAN}?pageSize=2&pageToken=t&status=completed&workflowId=chat"
        "&inactiveSince=2026-01-02T01:00:00%2B01:00"
    )
    assert answer.status_code == 200
    asked = store.last().request
    assert (asked.page_size, asked.page_token, asked.workflow_id) == (2, "t", "chat")
    assert asked.status == session_pb2.SESSION_STATUS_COMPLETED
    assert asked.inactive_since.ToJsonString() == "2026-01-02T00:00:00Z"
    (shown,) = answer.json()["sessions"]
    assert (shown["id"], shown["userId"], shown["held"]) == ("s1", "alice", True)
    assert answer.json()["nextPageToken"] == "more"


@pytest.mark.parametrize("query", ["status=gone", "inactiveSince=yesterday", "pageSize=two", "q=x"])
async def test_what_is_no_scan_goes_no_further(
    http: httpx.AsyncClient, store: Part, query: str
) -> None:
    """The bad parameter is named, also where Store is the one to see it."""
    answer = await http.get(f"{SCAN}?{query}")
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [query.partition("=")[0]]
    assert store.asked == []
    late = InvalidArgument.of("page_size", "must be 1 to 1000")
    store.answers["ScanSessions"] = failing(late)
    answer = await http.get(f"{SCAN}?pageSize=2000")
    assert [error["field"] for error in answer.json()["errors"]] == ["pageSize"]
