"""Callers, users and tokens that are not what they claim to be."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from cluster.keys import AUDIENCE, ISSUER
from services.serving.addresses import HostPort
from tests.e2e.answers import bad_fields, good, problem
from tests.e2e.kept import Kept
from tests.e2e.system import System
from tests.gateway.raw import exchange


async def test_user_ids_of_any_spelling_have_lists_of_their_own(
    system: System, name: Callable[[str], str]
) -> None:
    """`:`, `/`, `%` and dots mean nothing in them: no list holds another user's session."""
    base = name("u")
    users = [base, f"{base}:sessions", f"{base}:", f"{base}/sessions", f"{base}%2Fsessions"]
    users += [f"../{base}", f"{base}/..", f"{base};", f"{base} ", f"%{base}", f"{base}é🎈"]
    users.append("x" * (128 - len(base)) + base)
    owned = {}
    for user in users:
        session = good(await system.api(user).post("/api/sessions", json={}), 201)
        assert session["userId"] == user
        owned[user] = [session["id"]]
    gateway = HostPort.parse(system.cluster.address("gateway-1"))
    for user in users:
        token = {"Authorization": f"Bearer {system.keys.user_token(user)}"}
        # By hand: a client library may take `..` for a way up.
        path = f"/api/users/{quote(user, safe='')}/sessions"
        answer = await exchange(gateway, "GET", path, headers=token)
        assert answer.status == 200
        assert [summary["id"] for summary in answer.json()["sessions"]] == owned[user]
        session_id = owned[user][0]
        other = next(each for each in users if each != user)
        stranger = await system.api(other).get(f"/api/sessions/{session_id}")
        problem(stranger, 404, "SESSION_NOT_FOUND")
    for user in ("..", "."):
        session = good(await system.api(user).post("/api/sessions", json={}), 201)
        token = {"Authorization": f"Bearer {system.keys.user_token(user)}"}
        answer = await exchange(gateway, "GET", f"/api/users/{user}/sessions", headers=token)
        assert [each["id"] for each in answer.json()["sessions"]] == [session["id"]]


@pytest.mark.parametrize("written", ["", "x" * 129, "x" * 10240, "a%00", "a%0Ab", "%ff", "%C2%85"])
async def test_a_user_id_that_is_none_is_named(system: System, written: str) -> None:
    """Also to an administrator, who may see all lists."""
    admin = system.api("root", role="admin")
    assert bad_fields(await admin.get(f"/api/users/{written}/sessions")) == ["userId"]


async def test_a_token_that_is_not_good_opens_nothing(system: System, kept: Kept) -> None:
    """401 without a word about what was wrong with it, except that it expired."""
    good_token = kept.client.headers["authorization"].removeprefix("Bearer ")
    head, payload, signature = good_token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))

    def part(content: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()

    stranger = ECKey.generate_key("P-256")
    kid = json.loads(base64.urlsafe_b64decode(head + "=="))["kid"]
    public = OctKey.import_key(system.keys.jwks.read_bytes())
    forged = {"iss": ISSUER, "aud": AUDIENCE, "sub": kept.user, "exp": claims["exp"]}
    tokens = [
        "x",
        "..",
        head + "." + payload + ".",
        head + "." + payload + "." + signature[::-1],
        head + "." + part({**claims, "sub": "root", "role": "admin"}) + "." + signature,
        part({"alg": "none", "kid": kid}) + "." + payload + ".",
        jwt.encode({"alg": "HS256", "kid": kid}, forged, public, algorithms=["HS256"]),
        jwt.encode({"alg": "ES256", "kid": kid}, forged, stranger),
        system.keys.user_token(kept.user, seconds=-60),
        system.keys.user_token("x" * 129),
        system.keys.user_token("a\nb"),
        system.keys.user_token(kept.user, role="root"),
        "A" * 9000,
    ]
    for token in tokens:
        answer = await kept.client.get(kept.path, headers={"Authorization": f"Bearer {token}"})
        problem(answer, 401, "UNAUTHENTICATED")
        assert answer.headers["www-authenticate"] == "Bearer"
    for header in ("", "Basic YTpi", good_token, f"Bearer{good_token}"):
        answer = await kept.client.delete(kept.path, headers={"Authorization": header})
        problem(answer, 401, "UNAUTHENTICATED")
    for role in ("live", "gateway"):
        part_token = {"Authorization": f"Bearer {system.keys.user_token('x', role=role)}"}
        answer = await kept.client.get(kept.path, headers=part_token)
        problem(answer, 403, "PERMISSION_DENIED")


async def test_a_page_token_serves_its_own_query_only(
    system: System, kept: Kept, bob: httpx.AsyncClient, name: Callable[[str], str]
) -> None:
    """Tampered, cut, of another query, another user or another list: 400."""
    lists = {}
    for user, client in ((kept.user, kept.client), (name("bob"), bob)):
        for _ in range(2):
            good(await client.post("/api/sessions", json={"workflowId": "chat"}), 201)
        lists[user] = f"/api/users/{user}/sessions"
    path = lists[kept.user]
    token = good(await kept.client.get(path, params={"pageSize": 1}))["nextPageToken"]
    assert token
    page = {"pageSize": 1, "pageToken": token}
    assert len(good(await kept.client.get(path, params=page))["sessions"]) == 1
    flipped = token[:-2] + ("A" if token[-2] != "A" else "B") + token[-1]
    for bad in (flipped, token[1:], token[:-3], token + "AAAA", token[::-1], "%00", " "):
        answer = await kept.client.get(path, params={**page, "pageToken": bad})
        assert bad_fields(answer) == ["pageToken"]
    for query in ({"status": "active"}, {"q": "x"}, {"workflowId": "chat"}):
        answer = await kept.client.get(path, params={**page, **query})
        assert bad_fields(answer) == ["pageToken"]
    assert bad_fields(await bob.get(lists[name("bob")], params=page)) == ["pageToken"]
    messages = await kept.client.get(f"{kept.chat}/messages", params=page)
    assert bad_fields(messages) == ["pageToken"]
    good(await kept.client.get(path))
    for each in good(await kept.client.get(path))["sessions"]:
        if each["id"] != kept.id:
            good(await kept.client.delete(f"/api/sessions/{each['id']}"), 204)
