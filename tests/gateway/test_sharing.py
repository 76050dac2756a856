"""Sharing over REST: how its words, times and secrets travel."""

from __future__ import annotations

import httpx
import pytest

from sessiond.errors import InvalidArgument, Unavailable
from sessiond.v1 import live_pb2, session_pb2, store_pb2
from tests.gateway.parts import Part, failing

LINKS = "/api/sessions/s1/links"


async def test_a_link_is_made_with_one_secret_however_often_it_is_asked_for(
    http: httpx.AsyncClient, live: Part
) -> None:
    """Another replica that is asked again makes the same link; the next request another one."""
    failed: list[None] = []

    def once(request: live_pb2.MakeLinkRequest) -> live_pb2.MakeLinkResponse:
        if not failed:
            failed.append(None)
            raise Unavailable
        return live_pb2.MakeLinkResponse(secret=request.secret, seq=2)

    live.answers["MakeLink"] = once
    answer = await http.post(LINKS, json={"role": "editor"})
    assert answer.status_code == 201
    first, again = (asked.request for asked in live.asked)
    assert first == again
    assert answer.json()["secret"] == first.secret
    assert len(first.secret) == 43
    await http.post(LINKS, json={"role": "editor"})
    assert live.last().request.secret != first.secret
    own = "x" * 43
    await http.post(LINKS, json={"role": "editor", "secret": own})
    assert live.last().request.secret == own


async def test_roles_and_times_are_spelled_as_everywhere(
    http: httpx.AsyncClient, live: Part
) -> None:
    """Lower-case words, RFC 3339; users of any name stand in the path."""
    body = {"role": "approver", "expiresAt": "2030-01-02T01:00:00.5+01:00"}
    await http.post(LINKS, json=body)
    asked = live.last().request
    assert asked.role == session_pb2.MEMBER_ROLE_APPROVER
    assert asked.expires_at.ToMilliseconds() == 1_893_542_400_500
    member = session_pb2.Member(user_id="zoë:1/2", role=session_pb2.MEMBER_ROLE_VIEWER)
    live.answers["ShareSession"] = lambda _: live_pb2.ShareSessionResponse(member=member, seq=7)
    path = "/api/sessions/s1/members/zo%C3%AB:1%2F2"
    answer = await http.put(path, json={"role": "viewer"}, headers={"If-Match": '"6"'})
    assert live.last().request.user_id == "zoë:1/2"
    assert live.last().request.expected_revision == 6
    assert answer.headers["etag"] == '"7"'
    assert (answer.json()["userId"], answer.json()["role"]) == ("zoë:1/2", "viewer")
    assert "linkId" not in answer.json()


@pytest.mark.parametrize(
    ("asked", "body", "fields"),
    [
        ("PUT /api/sessions/s1/members/bob", {}, ["role"]),
        ("PUT /api/sessions/s1/members/bob", {"role": "owner"}, ["role"]),
        ("PUT /api/sessions/s1/members/bob", {"role": "viewer", "user": "x"}, ["user"]),
        (f"POST {LINKS}", {"role": "viewer", "expiresAt": "2030-01-02"}, ["expiresAt"]),
        (f"POST {LINKS}", {"role": "viewer", "expiresAt": 1}, ["expiresAt"]),
        ("POST /api/sessions/s1/join", {}, ["secret"]),
        ("PUT /api/sessions/s1/owner", {}, ["userId"]),
    ],
)
async def test_what_is_no_grant_goes_no_further(
    http: httpx.AsyncClient, live: Part, asked: str, body: object, fields: list[str]
) -> None:
    """The bad fields are named."""
    method, path = asked.split(" ")
    answer = await http.request(method, path, json=body)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == fields
    assert live.asked == []


async def test_a_listing_may_be_narrowed_to_what_is_shared(
    http: httpx.AsyncClient, store: Part
) -> None:
    """By a word; what is shared says as what."""
    summary = session_pb2.SessionSummary(id="s1", shared_as=session_pb2.MEMBER_ROLE_EDITOR)
    store.answers["ListSessions"] = lambda _: store_pb2.ListSessionsResponse(sessions=[summary])
    answer = await http.get("/api/users/alice/sessions?scope=shared")
    assert store.last().request.scope == store_pb2.LIST_SCOPE_SHARED
    assert answer.json()["sessions"][0]["sharedAs"] == "editor"
    store.forget()
    answer = await http.get("/api/users/alice/sessions?scope=mine")
    assert [error["field"] for error in answer.json()["errors"]] == ["scope"]


async def test_a_failure_at_the_door_names_the_fields_as_they_were_sent(
    http: httpx.AsyncClient, live: Part
) -> None:
    """What the rules say of `expires_at` is of `expiresAt`."""
    late = InvalidArgument.of("expires_at", "must be in the future")
    live.answers["MakeLink"] = failing(late)
    body = {"role": "viewer", "expiresAt": "2001-01-01T00:00:00Z"}
    answer = await http.post(LINKS, json=body)
    assert [error["field"] for error in answer.json()["errors"]] == ["expiresAt"]
