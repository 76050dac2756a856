"""Query parameters are typed by the contract, and nothing unknown is ignored."""

from __future__ import annotations

import pytest

from services.serving.addresses import HostPort
from sessiond.v1 import session_pb2, store_pb2
from tests.gateway.parts import Part
from tests.gateway.raw import exchange

LIST = "/api/users/alice/sessions"


async def test_parameters_reach_the_request_by_type(address: HostPort, store: Part) -> None:
    """Numbers, words and texts, percent-decoded."""
    query = "pageSize=50&status=paused&workflowId=chat&q=caf%C3%A9+au%20lait&pageToken=a%2Bb"
    answer = await exchange(address, "GET", f"{LIST}?{query}")
    assert answer.status == 200
    assert store.last().request == store_pb2.ListSessionsRequest(
        user_id="alice",
        page_size=50,
        status=session_pb2.SESSION_STATUS_PAUSED,
        workflow_id="chat",
        q="café au lait",
        page_token="a+b",
    )


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("pageSize=", ["pageSize"]),
        ("pageSize", ["pageSize"]),
        ("pageSize=ten", ["pageSize"]),
        ("pageSize=1.0", ["pageSize"]),
        ("pageSize=1e2", ["pageSize"]),
        ("pageSize=%2B5", ["pageSize"]),
        ("pageSize=0x10", ["pageSize"]),
        ("pageSize=1_0", ["pageSize"]),
        ("pageSize=%D9%A1", ["pageSize"]),
        ("pageSize=2147483648", ["pageSize"]),
        ("pageSize=" + "9" * 5000, ["pageSize"]),
        ("status=Active", ["status"]),
        ("status=", ["status"]),
        ("page_size=5", ["page_size"]),
        ("limit=5&offset=1", ["limit", "offset"]),
        ("q=a&q=b", ["q"]),
        ("q=%ff", ["q"]),
        ("q=%", ["q"]),
        ("%ff=1", ["query"]),
        ("userId=bob", ["userId"]),
        ("=", [""]),
        ("&", ["", ""]),
    ],
)
async def test_a_bad_parameter_is_named(
    address: HostPort, store: Part, query: str, fields: list[str]
) -> None:
    """Unknown, repeated, mistyped and undecodable parameters are 400, by name."""
    answer = await exchange(address, "GET", f"{LIST}?{query}")
    assert answer.status == 400
    assert [error["field"] for error in answer.json()["errors"]] == fields
    assert store.asked == []


@pytest.mark.parametrize("size", ["-2147483648", "-1", "0", "1", "1000", "2147483647"])
async def test_whether_a_number_makes_sense_is_for_the_rules(
    address: HostPort, store: Part, size: str
) -> None:
    """The gateway knows types; limits are Store's."""
    assert (await exchange(address, "GET", f"{LIST}?pageSize={size}")).status == 200
    assert store.last().request.page_size == int(size)


async def test_a_change_takes_no_query(address: HostPort, live: Part) -> None:
    """What stands in the body does not stand in the query too."""
    answer = await exchange(address, "PUT", "/api/chat/s1/approve?decision=rejected")
    assert [error["field"] for error in answer.json()["errors"]] == ["decision"]
    assert live.asked == []


async def test_a_moment_is_a_number_or_a_time(address: HostPort, store: Part) -> None:
    """RFC 3339, in any zone; which of them makes sense is for the rules."""
    answer = await exchange(address, "GET", "/api/sessions/s1?atSeq=3&tail=2")
    assert answer.status == 200
    assert store.last().request == store_pb2.GetSessionRequest(session_id="s1", at_seq=3, tail=2)
    answer = await exchange(address, "GET", "/api/sessions/s1?atTime=2026-11-29T14:30:00.5%2B02:00")
    assert answer.status == 200
    assert store.last().request.at_time.ToJsonString() == "2026-11-29T12:30:00.500Z"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("atSeq=", "atSeq"),
        ("atSeq=last", "atSeq"),
        ("atSeq=9223372036854775808", "atSeq"),
        ("atTime=", "atTime"),
        ("atTime=yesterday", "atTime"),
        ("atTime=2026-11-29", "atTime"),
        ("atTime=2026-13-01T00:00:00Z", "atTime"),
        ("atTime=1796000000", "atTime"),
    ],
)
async def test_what_is_no_moment_is_named(
    address: HostPort, store: Part, query: str, field: str
) -> None:
    """Neither a word nor a day alone is a moment."""
    answer = await exchange(address, "GET", f"/api/sessions/s1?{query}")
    assert answer.status == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert store.asked == []
