"""What is wrong is refused by its name, whole, and never with a 5xx."""

from __future__ import annotations

from typing import Any

import pytest

from services.serving.addresses import HostPort
from tests.e2e.answers import bad_fields, problem
from tests.e2e.kept import CONTENT, KIB, Kept, nested
from tests.e2e.system import System
from tests.gateway.raw import send

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
