"""What is wrong is refused by its name, whole, and never with a 5xx."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx
import pytest
import pytest_asyncio
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from cluster.keys import AUDIENCE, ISSUER
from services.serving.addresses import HostPort
from tests.e2e.answers import bad_fields, good, problem
from tests.e2e.system import System
from tests.gateway.raw import exchange, send

KIB = 1024
CONTENT = 512 * KIB


def nested(levels: int) -> str:
    """An object of so many levels."""
    return '{"a":' * (levels - 1) + "{}" + "}" * (levels - 1)


class Kept:
    """A session, and its owner's list, that must stay as they are."""

    def __init__(self, client: httpx.AsyncClient, user: str, session_id: str) -> None:
        self.client = client
        self.user = user
        self.id = session_id
        self.path = f"/api/sessions/{session_id}"
        self.chat = f"/api/chat/{session_id}"

    async def now(self) -> Any:
        listed = await self.client.get(f"/api/users/{self.user}/sessions")
        return good(await self.client.get(self.path)), good(listed)


@pytest_asyncio.fixture
async def kept(alice: httpx.AsyncClient, name: Callable[[str], str]) -> AsyncIterator[Kept]:
    """A session with a message and a pending output; after the test it is as it was before."""
    body = {"id": name("kept"), "metadata": {"a": "b"}}
    session = good(await alice.post("/api/sessions", json=body), 201)
    found = Kept(alice, name("alice"), session["id"])
    good(await alice.post(f"{found.chat}/messages", json={"content": "x"}), 201)
    output = {"content": "x", "outputId": "plan"}
    good(await alice.post(f"{found.chat}/outputs", json=output), 201)
    before = await found.now()
    yield found
    assert await found.now() == before


BAD_MESSAGES: list[tuple[bytes, list[str]]] = [
    (b"", ["content"]),
    (b"{}", ["content"]),
    (b'{"content": "x"', []),
    (b'{"content": "x"} {}', []),
    (b"{'content': 'x'}", []),
    (b"[]", []),
    (b'"x"', []),
    (b"null", []),
    (b'\xef\xbb\xbf{"content": "x"}', []),
    (b'{"content": "\xff\xfe"}', []),
    (b'{"content": "x", "metadata": {"n": NaN}}', []),
    (b'{"content": "x", "metadata": {"n": -Infinity}}', []),
    (b'{"content": "x", "metadata": {"n": 1e999}}', []),
    (b'{"content": "x", "metadata": {"n": ' + b"9" * 5000 + b"}}", []),
    (b'{"content": "x", "content": "y"}', ["content"]),
    (b'{"content": "x", "metadata": {"a": {"b": 1, "b": 2}}}', ["metadata.a.b"]),
    (b'{"content": 1}', ["content"]),
    (b'{"content": null}', ["content"]),
    (b'{"content": ["x"]}', ["content"]),
    (b'{"content": ""}', ["content"]),
    (b'{"content": "a\\u0000b"}', ["content"]),
    (b'{"content": "\\ud800"}', ["content"]),
    (b'{"content": "a\nb"}', []),
    (b'{"content": "x", "metadata": []}', ["metadata"]),
    (b'{"content": "x", "metadata": {"a": "\\udfff"}}', ["metadata"]),
    (b'{"content": "x", "sender": "root", "type": 3}', ["sender", "type"]),
    (b'{"content": "x", "seq": 1, "id": "x", "timestamp": 0}', ["seq", "id", "timestamp"]),
    (b'{"content": "x", "sessionId": "other"}', ["sessionId"]),
    (b'{"content": "x", "Content": "y"}', ["Content"]),
    (b'{"content": "x", "opId": "k"}', ["opId"]),
    (b'{"content": "x", "metadata": ' + nested(65).encode() + b"}", []),
    (b'{"content": ' + b"[" * 500_000, []),
    (b'{"a":' * 200_000, []),
    (b"[" * 1_000_000, []),
]


@pytest.mark.parametrize(("body", "fields"), BAD_MESSAGES)
async def test_a_bad_body_is_refused_whole(kept: Kept, body: bytes, fields: list[str]) -> None:
    """Every bad field by its name; where there are no fields to name, the detail says it."""
    headers = {"Content-Type": "application/json"}
    answer = await kept.client.post(f"{kept.chat}/messages", content=body, headers=headers)
    assert sorted(bad_fields(answer)) == sorted(fields)


BAD_CHANGES: list[tuple[str, str, Any, list[str] | None]] = [
    ("POST", "/api/sessions", {"id": "a b"}, ["id"]),
    ("POST", "/api/sessions", {"id": ""}, ["id"]),
    ("POST", "/api/sessions", {"id": "a:b"}, ["id"]),
    ("POST", "/api/sessions", {"id": "x" * 10 * KIB}, ["id"]),
    ("POST", "/api/sessions", {"userId": "bob"}, ["userId"]),
    ("POST", "/api/sessions", {"workflowId": "none"}, ["workflowId"]),
    ("POST", "/api/sessions", {"workflowId": "../chat"}, ["workflowId"]),
    ("POST", "/api/sessions", {"title": "a\nb", "metadata": {"": ""}}, ["title", "metadata"]),
    ("POST", "/api/sessions", {"metadata": {"a": 1}}, ["metadata.a"]),
    ("POST", "/api/sessions", {"metadata": {"a": None}}, ["metadata.a"]),
    ("POST", "/api/sessions", {"metadata": {"": "x"}}, ["metadata"]),
    ("POST", "/api/sessions", {"metadata": {"a": "\0"}}, ["metadata.a"]),
    ("PATCH", "{path}", {"status": "completed", "revision": 9}, ["status", "revision"]),
    ("PATCH", "{path}", {"title": 1, "metadata": "x", "userInputs": 2}, None),
    ("PATCH", "{path}", {"title": "x" * 201, "userInputs": {"a": "x" * CONTENT}}, None),
    ("PATCH", "{path}", {"metadata": {str(n): "" for n in range(17)}}, ["metadata"]),
    ("PUT", "{path}/pause", {"reason": "tea"}, ["reason"]),
    ("PUT", "{chat}/approve", {"decision": "maybe"}, ["decision"]),
    ("PUT", "{chat}/approve", {"outputId": "a/b", "feedback": "\0"}, ["outputId", "feedback"]),
    ("PUT", "{chat}/approve", {"approvedBy": "bob"}, ["approvedBy"]),
    ("POST", "{chat}/outputs", {"content": "", "outputId": "a b"}, ["content", "outputId"]),
    ("POST", "{chat}/outputs", {"content": "x", "qualityScore": "high"}, ["qualityScore"]),
    ("POST", "{chat}/outputs", {"content": "x", "stepId": "other"}, ["stepId"]),
    ("PUT", "{chat}/outputs/plan", {"content": ""}, ["content"]),
    ("PUT", "{chat}/outputs/plan", {"status": "approved"}, ["status"]),
    ("PUT", "{chat}/outputs/a%20b", {"content": "x"}, ["outputId"]),
]


@pytest.mark.parametrize(("verb", "path", "body", "fields"), BAD_CHANGES)
async def test_every_bad_field_of_a_change_is_named(
    kept: Kept, verb: str, path: str, body: Any, fields: list[str] | None
) -> None:
    """All at once, as the caller wrote them."""
    where = path.format(path=kept.path, chat=kept.chat)
    answer = await kept.client.request(verb, where, json=body)
    assert sorted(bad_fields(answer)) == sorted(body if fields is None else fields)


BAD_QUERIES = [
    ("/api/users/{user}/sessions?pageSize=0", ["pageSize"]),
    ("/api/users/{user}/sessions?pageSize=1001", ["pageSize"]),
    ("/api/users/{user}/sessions?pageSize=ten", ["pageSize"]),
    ("/api/users/{user}/sessions?pageSize=1&pageSize=2", ["pageSize"]),
    ("/api/users/{user}/sessions?status=done&pageSize=x", ["pageSize", "status"]),
    ("/api/users/{user}/sessions?page=1", ["page"]),
    ("/api/users/{user}/sessions?q=%ff", ["q"]),
    ("/api/users/{user}/sessions?pageToken=x", ["pageToken"]),
    ("/api/users/{user}/sessions?pageToken=" + "A" * 10 * KIB, ["pageToken"]),
    ("/api/sessions/{id}?tail=-1", ["tail"]),
    ("/api/sessions/{id}?tail=99999999999", ["tail"]),
    ("/api/sessions/{id}?sessionId=x", ["sessionId"]),
    ("/api/chat/{id}/messages?order=up", ["order"]),
    ("/api/chat/{id}/messages?pageSize=0", ["pageSize"]),
    ("/api/chat/{id}/messages?pageToken=x", ["pageToken"]),
]


@pytest.mark.parametrize(("path", "fields"), BAD_QUERIES)
async def test_a_bad_query_is_named(kept: Kept, path: str, fields: list[str]) -> None:
    """Numbers out of range, words that are none, what is given twice or not known."""
    answer = await kept.client.get(path.format(user=kept.user, id=kept.id))
    assert sorted(bad_fields(answer)) == fields


@pytest.mark.parametrize(
    ("headers", "fields"),
    [
        ({"Idempotency-Key": "x" * 129}, ["Idempotency-Key"]),
        ({"Idempotency-Key": ""}, ["Idempotency-Key"]),
        ({"Idempotency-Key": "sch\u00f6n".encode()}, ["Idempotency-Key"]),
        ({"If-Match": "7"}, ["If-Match"]),
        ({"If-Match": '"1", "2"', "Idempotency-Key": "x" * 129}, ["Idempotency-Key", "If-Match"]),
    ],
)
async def test_a_bad_header_is_named(kept: Kept, headers: Any, fields: list[str]) -> None:
    """Beside the bad fields of the body."""
    answer = await kept.client.post(f"{kept.chat}/messages", json={}, headers=headers)
    assert sorted(bad_fields(answer)) == sorted([*fields, "content"])


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/json; charset=iso-8859-1"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        {"Content-Type": "application/merge-patch+json"},
    ],
)
async def test_a_body_of_another_type_is_refused(kept: Kept, headers: dict[str, str]) -> None:
    """415: what is not JSON in UTF-8 is not read."""
    answer = await kept.client.post(f"{kept.chat}/messages", content=b"{}", headers=headers)
    problem(answer, 415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(
    "written",
    ["a%20b", "%C3%A4", "a%3Ab", "a%2Fb", "%00", "a%0A", "%ff", "", "x" * 129, "x" * 10240],
)
async def test_an_id_outside_its_alphabet_is_named(kept: Kept, written: str) -> None:
    """Whatever is asked of it, over every route."""
    for verb, path, body in (
        ("GET", f"/api/sessions/{written}", None),
        ("PATCH", f"/api/sessions/{written}", {}),
        ("DELETE", f"/api/sessions/{written}", None),
        ("PUT", f"/api/sessions/{written}/pause", None),
        ("GET", f"/api/chat/{written}/messages", None),
        ("POST", f"/api/chat/{written}/messages", {"content": "x"}),
        ("POST", f"/api/chat/{written}/outputs", {"content": "x"}),
        ("PUT", f"/api/chat/{written}/approve", None),
    ):
        answer = await kept.client.request(verb, path, json=body)
        assert bad_fields(answer) == ["sessionId"]


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


async def test_a_body_that_lies_about_its_length_changes_nothing(
    system: System, kept: Kept
) -> None:
    """Too short, too long, no number, two numbers, or far too much: refused, and nothing stored."""
    gateway = HostPort.parse(system.cluster.address("gateway-1"))
    body = b'{"content": "lie"}'
    token = f"Authorization: {kept.client.headers['authorization']}"

    def request(*headers: str) -> bytes:
        lines = [f"POST {kept.chat}/messages HTTP/1.1", "Host: x", token]
        lines += ["Content-Type: application/json", *headers, "", ""]
        return "\r\n".join(lines).encode()

    short = await send(gateway, request("Content-Length: 100") + body, close_after=True)
    assert short.status in (0, 400)
    cut = await send(gateway, request("Content-Length: 5") + body)
    assert (cut.status, cut.json()["code"]) == (400, "INVALID_ARGUMENT")
    for lengths in (["-1"], ["x"], ["18", "19"], ["1e1"], ["99999999999999999999999"]):
        headers = [f"Content-Length: {length}" for length in lengths]
        answer = await send(gateway, request(*headers) + body)
        assert answer.status in (400, 413)
        assert answer.headers["content-type"] == "application/problem+json"
    both = request("Content-Length: 18", "Transfer-Encoding: chunked")
    assert (await send(gateway, both + body)).status == 400
    large = await send(gateway, request("Content-Length: 2097152") + body)
    assert (large.status, large.json()["code"]) == (413, "PAYLOAD_TOO_LARGE")


# --- limits ------------------------------------------------------------------------------------


async def test_a_body_may_have_a_mebibyte(alice: httpx.AsyncClient) -> None:
    """1 MiB less one, 1 MiB, one more."""
    session = good(await alice.post("/api/sessions", json={}), 201)
    body = b'{"content": "x"}'
    for size, status in ((KIB * KIB - 1, 201), (KIB * KIB, 201), (KIB * KIB + 1, 413)):
        answer = await alice.post(
            f"/api/chat/{session['id']}/messages",
            content=body + b" " * (size - len(body)),
            headers={"Content-Type": "application/json"},
        )
        if status == 201:
            good(answer, 201)
        else:
            problem(answer, 413, "PAYLOAD_TOO_LARGE")


def deep(levels: int) -> Any:
    return json.loads(nested(levels))


def wide(size: int) -> dict[str, str]:
    """An object of so many bytes as the gateway writes it: `{"a":"..."}`."""
    return {"a": "x" * (size - 8)}


def keys(count: int) -> dict[str, str]:
    return {str(number): "" for number in range(count)}


def two_byte(size: int) -> str:
    """A text of so many bytes, and about half as many characters."""
    return "é" * (size // 2) + "x" * (size % 2)


class Limit(NamedTuple):
    """A field, how a value of it reaches a size, and the largest size that it may have."""

    verb: str
    path: str
    field: str
    value: Callable[[int], Any]
    most: int
    told: bool = True  # by the field's name

    def body(self, size: int) -> dict[str, Any]:
        needed = {"content": "x"} if self.verb == "POST" and "{chat}" in self.path else {}
        return {**needed, self.field: self.value(size)}


CREATE, UPDATE = ("POST", "/api/sessions"), ("PATCH", "{path}")
SAY, SUBMIT = ("POST", "{chat}/messages"), ("POST", "{chat}/outputs")
EDIT, APPROVE = ("PUT", "{chat}/outputs/plan"), ("PUT", "{chat}/approve")
LIMITS = [
    Limit(*CREATE, "title", lambda size: "é" * size, 200),
    Limit(*UPDATE, "title", lambda size: "é" * size, 200),
    Limit(*CREATE, "metadata", keys, 16),
    Limit(*UPDATE, "metadata", keys, 16),
    Limit(*CREATE, "metadata", lambda size: {"a": two_byte(size - 1)}, 2 * KIB),
    Limit(*UPDATE, "metadata", lambda size: {"a": two_byte(size - 1)}, 2 * KIB),
    Limit(*CREATE, "userInputs", wide, CONTENT),
    Limit(*UPDATE, "userInputs", wide, CONTENT),
    # What is too deep is not parsed, so its field has no name yet.
    Limit(*CREATE, "userInputs", deep, 64, told=False),
    Limit(*UPDATE, "userInputs", deep, 64, told=False),
    Limit(*SAY, "metadata", deep, 64, told=False),
    Limit(*SAY, "content", lambda size: "x" * size, CONTENT),
    Limit(*SAY, "content", two_byte, CONTENT),
    Limit(*SAY, "metadata", wide, 64 * KIB),
    Limit(*SUBMIT, "content", two_byte, CONTENT),
    Limit(*SUBMIT, "metadata", wide, 64 * KIB),
    Limit(*SUBMIT, "agentId", two_byte, 128),
    Limit(*SUBMIT, "outputId", lambda size: "x" * size, 128),
    Limit(*EDIT, "content", two_byte, CONTENT),
    Limit(*EDIT, "metadata", wide, 64 * KIB),
    Limit(*APPROVE, "feedback", two_byte, 16 * KIB),
]


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: f"{limit.field}-{limit.most}")
async def test_a_limit_is_where_it_is_said_to_be(alice: httpx.AsyncClient, limit: Limit) -> None:
    """One less and the limit itself pass, and come back whole; one more is refused by its name."""

    async def attempt(size: int) -> tuple[httpx.Response, str]:
        session = good(await alice.post("/api/sessions", json={}), 201)
        path, chat = f"/api/sessions/{session['id']}", f"/api/chat/{session['id']}"
        if limit[:2] in (EDIT, APPROVE):
            plan = {"content": "x", "outputId": "plan"}
            good(await alice.post(f"{chat}/outputs", json=plan), 201)
        where = limit.path.format(path=path, chat=chat)
        answer = await alice.request(limit.verb, where, json=limit.body(size))
        return answer, answer.headers.get("location", path)

    for size in (limit.most - 1, limit.most):
        answer, path = await attempt(size)
        shown = good(answer, 201 if limit.verb == "POST" else 200)
        loaded = good(await alice.get(path))
        assert int(answer.headers["etag"].strip('"')) == loaded["revision"]
        given = limit.body(size)[limit.field]
        if limit[:2] in (CREATE, UPDATE):
            assert loaded[limit.field] == given
        elif limit[:2] == SAY:
            assert loaded["conversationHistory"] == [shown]
            assert shown[limit.field] == given
        elif limit.field == "outputId":
            assert list(loaded["agentOutputs"]) == [given]
        else:
            (output,) = loaded["agentOutputs"].values()
            assert output["userFeedback" if limit[:2] == APPROVE else limit.field] == given
    answer, path = await attempt(limit.most + 1)
    assert bad_fields(answer) == ([limit.field] if limit.told else [])


async def test_ids_may_have_128_characters(
    alice: httpx.AsyncClient, name: Callable[[str], str]
) -> None:
    """Of sessions and of operations."""
    for length, status in ((127, 201), (128, 201), (129, 400)):
        session_id = name("x").ljust(length, "~")
        answer = await alice.post("/api/sessions", json={"id": session_id})
        assert answer.status_code == status
        if status == 201:
            assert good(await alice.get(f"/api/sessions/{session_id}"))["id"] == session_id
        key = {"Idempotency-Key": name("k").ljust(length, "k")}
        answer = await alice.post("/api/sessions", json={}, headers=key)
        assert answer.status_code == status


async def test_a_user_id_may_have_128_bytes(system: System, name: Callable[[str], str]) -> None:
    """In tokens and for the users that a service acts for."""
    for length, status in ((127, 201), (128, 201), (129, 401)):
        user = name("é").ljust(length - 1, "x")
        assert len(user.encode()) == length
        answer = await system.api(user).post("/api/sessions", json={})
        assert answer.status_code == status
        service = system.api("backend", role="service", acting_for=user)
        answer = await service.post("/api/sessions", json={})
        if status == 201:
            assert good(answer, 201)["userId"] == user
        else:
            assert bad_fields(answer) == ["Sessiond-User"]
