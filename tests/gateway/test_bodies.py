"""Bodies: every way to be wrong has its problem, and no way to be wrong is a fault of ours."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from services.serving.addresses import HostPort
from tests.gateway.conftest import client_of, opened, settings, token
from tests.gateway.parts import Part
from tests.gateway.raw import RawAnswer, exchange, read_answer

LIMIT = 1024 * 1024
MESSAGES = "/api/chat/s1/messages"
JSON = {"Content-Type": "application/json"}


def nested(levels: int) -> bytes:
    """A request whose free object is this many levels deep."""
    return b'{"content":"x","metadata":' + b'{"a":' * (levels - 1) + b"{}" + b"}" * levels


MALFORMED = {
    "no JSON": b"{",
    "two objects": b"{}{}",
    "text after": b'{"content":"x"} x',
    "a list": b"[]",
    "a string": b'"x"',
    "null": b"null",
    "single quotes": b"{'content':'x'}",
    "a comment": b'{"content":"x"/**/}',
    "a trailing comma": b'{"content":"x",}',
    "NaN": b'{"content":"x","metadata":{"a":NaN}}',
    "Infinity": b'{"content":"x","metadata":{"a":-Infinity}}',
    "a number no double holds": b'{"content":"x","metadata":{"a":1e999}}',
    "an integer of 5000 digits": b'{"content":"x","metadata":{"a":' + b"9" * 5000 + b"}}",
    "a raw line end in a string": b'{"content":"a\nb"}',
    "a raw NUL in a string": b'{"content":"a\0b"}',
    "a NUL after": b'{"content":"x"}\0',
    "a byte order mark": b'\xef\xbb\xbf{"content":"x"}',
    "UTF-16": '{"content":"x"}'.encode("utf-16"),
    "bad UTF-8": b'{"content":"\xff"}',
    "overlong UTF-8": b'{"content":"\xc0\xaf"}',
    "an encoded surrogate": b'{"content":"\xed\xa0\x80"}',
    "too deep": nested(65),
    "a bomb of brackets": b"[" * 500_000,
    "a bomb of pairs": b'{"metadata":' + b"[" * 300_000 + b"]" * 300_000 + b"}",
    "a bomb of objects": b'{"a":' * 150_000,
    "closing brackets": b"]" * 1000 + b"[" * 1000,
    "escaped quotes": b'{"content":"' + b'\\"' * 300_000,
    "quotes": b'"' * 900_001,
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
async def test_a_malformed_body_is_refused_and_goes_no_further(
    http: httpx.AsyncClient, live: Part, body: bytes
) -> None:
    """What is not one JSON object by our rules is 400, and Live never hears of it."""
    answer = await http.post(MESSAGES, content=body, headers=JSON)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (400, "INVALID_ARGUMENT")
    assert live.asked == []


BAD_FIELDS: list[tuple[str, bytes, list[str]]] = [
    (MESSAGES, b"{}", ["content"]),
    (MESSAGES, b"", ["content"]),
    (MESSAGES, b'{"content":null}', ["content"]),
    (MESSAGES, b'{"content":1}', ["content"]),
    (MESSAGES, b'{"content":["x"]}', ["content"]),
    (MESSAGES, b'{"content":"\\ud800"}', ["content"]),
    (MESSAGES, b'{"content":"x","sender":"USER"}', ["sender"]),
    (MESSAGES, b'{"content":"x","sender":"unspecified"}', ["sender"]),
    (MESSAGES, b'{"content":"x","sender":1}', ["sender"]),
    (MESSAGES, b'{"content":"x","sender":["user"]}', ["sender"]),
    (MESSAGES, b'{"content":"x","type":"nothing","agentId":7}', ["type", "agentId"]),
    (MESSAGES, b'{"content":"x","metadata":[]}', ["metadata"]),
    (MESSAGES, b'{"content":"x","metadata":"{}"}', ["metadata"]),
    (MESSAGES, b'{"content":"x","metadata":null}', ["metadata"]),
    (MESSAGES, b'{"content":"x","metadata":{"a":"\\udfff"}}', ["metadata"]),
    (MESSAGES, b'{"content":"x","\\ud800":1}', ["?"]),
    (MESSAGES, b'{"content":"x","agent_id":"a"}', ["agent_id"]),
    (MESSAGES, b'{"content":"x","opId":"a","expectedRevision":1}', ["opId", "expectedRevision"]),
    (MESSAGES, b'{"content":"x","sessionId":"a"}', ["sessionId"]),
    (MESSAGES, b'{"content":"x","content":"y"}', ["content"]),
    (MESSAGES, b'{"content":"x","metadata":{"a":[{"b":1,"b":2}]}}', ["metadata.a.0.b"]),
    ("/api/sessions", b'{"metadata":{"k":1,"l":null,"m":"x"}}', ["metadata.k", "metadata.l"]),
    ("/api/sessions", b'{"metadata":{"\\ud800":"x"}}', ["metadata.?"]),
    ("/api/sessions", b'{"userInputs":1,"title":false}', ["userInputs", "title"]),
    ("/api/sessions", b'{"userId":"bob","id":null}', ["userId", "id"]),
    ("/api/chat/s1/outputs", b'{"content":"x","qualityScore":true}', ["qualityScore"]),
    ("/api/chat/s1/outputs", b'{"content":"x","qualityScore":"1"}', ["qualityScore"]),
    ("/api/sessions", b'{"template":1}', ["template"]),
    (
        "/api/chat/s1/outputs",
        b'{"content":"x","qualityScore":1' + b"0" * 400 + b"}",
        ["qualityScore"],
    ),
]


@pytest.mark.parametrize(("path", "body", "fields"), BAD_FIELDS)
async def test_every_bad_field_is_named_by_its_json_path(
    http: httpx.AsyncClient, path: str, body: bytes, fields: list[str]
) -> None:
    """A 400 names all bad fields at once, as the caller spelled them."""
    answer = await http.post(path, content=body, headers=JSON)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == fields


async def test_path_query_header_and_body_are_judged_together(address: HostPort) -> None:
    """One answer names what is bad wherever it stands."""
    headers = JSON | {"Content-Length": "2", "If-Match": "7", "Idempotency-Key": ""}
    answer = await exchange(address, "POST", "/api/chat/%ff/messages?x=1", b"{}", headers=headers)
    assert [error["field"] for error in answer.json()["errors"]] == [
        "sessionId",
        "x",
        "Idempotency-Key",
        "If-Match",
        "content",
    ]


@pytest.mark.parametrize("levels", [63, 64])
async def test_a_free_object_of_64_levels_passes(
    http: httpx.AsyncClient, live: Part, levels: int
) -> None:
    """The depth that gRPC callers may use is open to REST callers too."""
    answer = await http.post(MESSAGES, content=nested(levels), headers=JSON)
    assert answer.status_code == 201
    assert live.last().request.metadata.text.count("{") == levels


async def test_brackets_in_strings_are_no_depth(http: httpx.AsyncClient) -> None:
    """Only structure counts."""
    body = b'{"content":"' + b'[{\\"' * 1000 + b'"}'
    assert (await http.post(MESSAGES, content=body, headers=JSON)).status_code == 201


async def test_integers_of_any_size_reach_the_rules_as_integers(
    http: httpx.AsyncClient, store: Part
) -> None:
    """A free object keeps its numbers: nothing becomes a float on the way."""
    body = b'{"userInputs": {"n": 123456789012345678901234567890, "f": 1.5, "s": "\xc3\xa9"}}'
    await http.post("/api/sessions", content=body, headers=JSON)
    assert store.last().request.user_inputs.text == (
        '{"n":123456789012345678901234567890,"f":1.5,"s":"é"}'
    )


def of_size(size: int) -> bytes:
    return b'{"content":"' + b"x" * (size - 14) + b'"}'


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(("size", "status"), [(LIMIT - 1, 201), (LIMIT, 201), (LIMIT + 1, 413)])
async def test_a_body_may_be_a_mebibyte(
    http: httpx.AsyncClient, *, size: int, status: int, chunked: bool
) -> None:
    """The limit holds to the byte, with and without a length told in advance."""

    async def chunks() -> object:
        body = of_size(size)
        for start in range(0, size, 65536):
            yield body[start : start + 65536]

    content = chunks() if chunked else of_size(size)
    answer = await http.post(MESSAGES, content=content, headers=JSON)  # type: ignore[arg-type]
    assert answer.status_code == status
    if status == 413:
        assert answer.json()["code"] == "PAYLOAD_TOO_LARGE"


async def test_a_length_over_the_limit_is_refused_before_the_body(address: HostPort) -> None:
    """Nobody has to send a body that will not be read."""
    headers = JSON | {"Content-Length": str(10**12), "Expect": "100-continue"}
    answer = await exchange(address, "POST", MESSAGES, headers=headers)
    assert answer.status == 413


async def test_a_body_shorter_than_its_length_ends_with_its_connection(
    address: HostPort, live: Part
) -> None:
    """A client that leaves mid-body changes nothing."""
    headers = JSON | {"Content-Length": "100"}
    answer = await exchange(
        address, "POST", MESSAGES, b'{"content":"x"}', headers=headers, close_after=True
    )
    assert answer == RawAnswer(0, {}, b"")
    assert live.asked == []


async def test_a_body_longer_than_its_length_is_cut_there(address: HostPort, live: Part) -> None:
    """The request gets its own answer; what follows is no request, and ends the connection."""
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(address.host, address.port)
        request = b"PUT /api/chat/s1/approve HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
        authorization = f"Authorization: Bearer {token()}\r\n\r\n".encode()
        writer.write(request + authorization + b"{}{}{}{}")
        assert (await read_answer(reader)).status == 415
        assert (await read_answer(reader)).status == 0
        writer.close()
    assert live.asked == []


async def test_a_broken_chunk_is_the_requests_own_fault(address: HostPort, live: Part) -> None:
    """400 for the request that it stands in."""
    headers = JSON | {"Transfer-Encoding": "chunked"}
    answer = await exchange(address, "POST", MESSAGES, b"zz\r\n{}\r\n", headers=headers)
    assert (answer.status, answer.json()["detail"]) == (400, "This is not HTTP.")
    assert live.asked == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Length": "-1"},
        {"Content-Length": "2x"},
        {"Content-Length": "2", "Transfer-Encoding": "chunked"},
        {"Transfer-Encoding": "gzip"},
    ],
)
async def test_a_length_that_is_none_is_refused(address: HostPort, headers: dict[str, str]) -> None:
    """Contradictory framing is the first step of request smuggling."""
    answer = await exchange(address, "POST", MESSAGES, b"{}", headers=JSON | headers)
    assert answer.status == 400


async def test_a_client_that_stalls_its_body_is_answered(
    keys: Path, store: Part, live: Part
) -> None:
    """A body has a time; then the request is over, whatever the client does."""
    told = settings(keys, [store], [live], body_seconds=0.1)
    async with opened(told) as (address, _):
        headers = JSON | {"Content-Length": "100"}
        answer = await exchange(address, "POST", MESSAGES, b"{", headers=headers)
    assert (answer.status, answer.json()["code"]) == (400, "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonx",
        "application/merge-patch+json",
        "application/json; charset=latin-1",
        "application/json; charset=utf-16",
    ],
)
async def test_a_body_of_another_type_is_415(http: httpx.AsyncClient, content_type: str) -> None:
    """Only JSON in UTF-8 is read."""
    answer = await http.post(
        MESSAGES, content=b'{"content":"x"}', headers={"Content-Type": content_type}
    )
    assert (answer.status_code, answer.json()["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(
    "content_type", ["application/json", "Application/JSON; Charset=UTF-8", "application/json;"]
)
async def test_json_may_be_spelled_as_http_allows(
    http: httpx.AsyncClient, content_type: str
) -> None:
    """Case and a charset of UTF-8 make no difference."""
    answer = await http.post(
        MESSAGES, content=b'{"content":"x"}', headers={"Content-Type": content_type}
    )
    assert answer.status_code == 201


async def test_a_compressed_body_is_415(http: httpx.AsyncClient) -> None:
    """We read what arrives: no compression, no bomb."""
    answer = await http.post(MESSAGES, content=b"x", headers=JSON | {"Content-Encoding": "gzip"})
    assert answer.status_code == 415


async def test_a_patch_tells_remove_from_leave(http: httpx.AsyncClient, live: Part) -> None:
    """null in a merge patch removes; what is absent stays."""
    body = b'{"title":null,"metadata":{"a":"1","b":null},"userInputs":{"x":null}}'
    answer = await http.patch(
        "/api/sessions/s1", content=body, headers={"Content-Type": "application/merge-patch+json"}
    )
    assert answer.status_code == 200
    asked = live.last().request
    assert (asked.clear_title, asked.clear_metadata, asked.clear_user_inputs) == (
        True,
        False,
        False,
    )
    assert asked.metadata["a"].value == "1"
    assert not asked.metadata["b"].HasField("value")
    assert asked.user_inputs.text == '{"x":null}'


@pytest.mark.parametrize("body", [b"", b"{}", b" {} "])
async def test_a_route_without_a_body_takes_the_empty_one(
    http: httpx.AsyncClient, body: bytes
) -> None:
    """Clients that always send a body are not turned away."""
    assert (await http.put("/api/sessions/s1/pause", content=body)).status_code == 200


@pytest.mark.parametrize("body", [b'{"a":1}', b"x", b"[]"])
async def test_a_route_without_a_body_refuses_one(http: httpx.AsyncClient, body: bytes) -> None:
    """What would be ignored is refused."""
    assert (await http.put("/api/sessions/s1/pause", content=body)).status_code == 400


async def test_approving_needs_no_body(http: httpx.AsyncClient, live: Part) -> None:
    """Where every field is optional, nothing is a request too."""
    assert (await http.put("/api/chat/s1/approve")).status_code == 200
    assert not live.last().request.HasField("decision")


async def test_a_head_beyond_its_bounds_is_refused(address: HostPort) -> None:
    """A request's head has a size and a number of headers."""
    big = await exchange(address, "GET", "/healthz", headers={"X": "x" * 40_000})
    many = await exchange(address, "GET", "/healthz", headers={f"X-{n}": "x" for n in range(100)})
    fine = await exchange(address, "GET", "/healthz", headers={f"X-{n}": "x" for n in range(98)})
    assert (big.status, many.status, fine.status) == (400, 400, 200)
    assert big.json()["detail"] == many.json()["detail"] == "The head of the request is too large."


@pytest.mark.parametrize(
    "line", ["GET /\xff HTTP/1.1", "GET / HTTP/9", "G\0T / HTTP/1.1", "GET", "\0\0\0"]
)
async def test_what_is_not_http_gets_no_further(address: HostPort, line: str) -> None:
    """Garbage ends its connection with 400."""
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(line.encode("latin-1") + b"\r\nHost: x\r\n\r\n")
        answer = await read_answer(reader)
        writer.close()
    assert answer.status == 400


async def test_a_refused_body_does_not_cost_the_client_its_answer(address: HostPort) -> None:
    """Who sends on after a refusal can still read it."""
    async with client_of(address, Authorization="") as client:
        answer = await client.post(MESSAGES, content=of_size(LIMIT), headers=JSON)
    assert answer.status_code == 401
