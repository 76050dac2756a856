"""ETags, If-Match, If-None-Match and Idempotency-Key."""

from __future__ import annotations

import httpx
import pytest
import pytest_asyncio

from gateway.conditional import NO_REVISION
from services.serving.addresses import HostPort
from sessiond.v1 import live_pb2, session_pb2, store_pb2
from tests.gateway.parts import Part
from tests.gateway.raw import exchange

GET = "/api/sessions/s1"
PAUSE = "/api/sessions/s1/pause"


@pytest_asyncio.fixture(autouse=True)
async def at_revision_7(store: Part, live: Part) -> None:
    session = session_pb2.Session(id="s1", status=session_pb2.SESSION_STATUS_ACTIVE, revision=7)
    store.answers["GetSession"] = lambda _: store_pb2.GetSessionResponse(session=session)
    live.answers["PauseSession"] = lambda _: live_pb2.PauseSessionResponse(session=session, seq=6)


async def test_the_etag_of_a_read_is_the_revision(http: httpx.AsyncClient) -> None:
    """A strong tag."""
    assert (await http.get(GET)).headers["ETag"] == '"7"'


async def test_the_etag_of_a_change_is_its_seq(http: httpx.AsyncClient) -> None:
    """A repeated change shows the session as it is, and the ETag that the change had."""
    answer = await http.put(PAUSE)
    assert (answer.headers["ETag"], answer.json()["revision"]) == ('"6"', 7)


@pytest.mark.parametrize(
    ("tags", "status"),
    [
        ('"7"', 304),
        ('W/"7"', 304),
        ("*", 304),
        ('"1", "7"', 304),
        ('"1" ,\tW/"7","x,y"', 304),
        ('"6"', 200),
        ('"70"', 200),
        ('""', 200),
        ("7", 400),
        ('"7', 400),
        ('*, "7"', 400),
        ('"7",', 400),
        ("", 400),
        ('w/"7"', 400),
    ],
)
async def test_a_reader_who_has_it_gets_304(
    http: httpx.AsyncClient, tags: str, status: int
) -> None:
    """If-None-Match is a list, compared weakly; 304 has the ETag and no body."""
    answer = await http.get(GET, headers={"If-None-Match": tags})
    assert answer.status_code == status
    if status == 304:
        assert (answer.content, answer.headers["ETag"]) == (b"", '"7"')
    if status == 400:
        assert [error["field"] for error in answer.json()["errors"]] == ["If-None-Match"]


@pytest.mark.parametrize(
    ("tag", "revision"),
    [
        ('"7"', 7),
        ('"9007199254740993"', 9007199254740993),
        ("*", None),
        ('W/"7"', NO_REVISION),
        ('"07"', NO_REVISION),
        ('"0"', NO_REVISION),
        ('"-1"', NO_REVISION),
        ('"abc"', NO_REVISION),
        ('""', NO_REVISION),
        ('"' + "9" * 30 + '"', NO_REVISION),
    ],
)
async def test_if_match_becomes_the_expected_revision(
    http: httpx.AsyncClient, live: Part, tag: str, revision: int | None
) -> None:
    """A tag that is not ours can match nothing: the owner will say so."""
    assert (await http.put(PAUSE, headers={"If-Match": tag})).status_code == 200
    request = live.last().request
    assert (
        request.expected_revision if request.HasField("expected_revision") else None
    ) == revision


@pytest.mark.parametrize("tag", ["7", '"7', '"6", "7"', '"7",', "", '"a b"', "**"])
async def test_an_if_match_that_is_no_tag_is_named(
    http: httpx.AsyncClient, live: Part, tag: str
) -> None:
    """Malformed, or a list: 400 before anything is asked."""
    answer = await http.put(PAUSE, headers={"If-Match": tag})
    assert [error["field"] for error in answer.json()["errors"]] == ["If-Match"]
    assert live.asked == []


@pytest.mark.parametrize("key", ["a", "x" * 127, "x" * 128, '"quoted"', "a b", "~!@#$%^&*()"])
async def test_an_idempotency_key_travels_as_it_is(
    http: httpx.AsyncClient, live: Part, key: str
) -> None:
    """The key is the caller's; nothing is read into it."""
    assert (await http.put(PAUSE, headers={"Idempotency-Key": key})).status_code == 200
    assert live.last().request.op_id == key


@pytest.mark.parametrize("key", ["", "x" * 129, "é", "a\tb"])
async def test_an_idempotency_key_out_of_bounds_is_named(
    address: HostPort, live: Part, key: str
) -> None:
    """1 to 128 printable ASCII characters."""
    answer = await exchange(
        address, "PUT", PAUSE, headers={"Idempotency-Key": key, "Content-Length": "0"}
    )
    assert answer.status == 400
    assert [error["field"] for error in answer.json()["errors"]] == ["Idempotency-Key"]
    assert live.asked == []


async def test_a_header_given_twice_is_named(http: httpx.AsyncClient) -> None:
    """Two keys are no key."""
    answer = await http.put(PAUSE, headers=[("Idempotency-Key", "a"), ("Idempotency-Key", "b")])
    assert [error["field"] for error in answer.json()["errors"]] == ["Idempotency-Key"]


async def test_a_read_ignores_what_is_for_changes(http: httpx.AsyncClient) -> None:
    """Headers that mean nothing to a route are let be."""
    answer = await http.get(GET, headers={"If-Match": '"1"', "Idempotency-Key": ""})
    assert answer.status_code == 200


async def test_every_change_without_a_key_has_an_operation_id_of_its_own(
    http: httpx.AsyncClient, live: Part
) -> None:
    """So that the gateway may repeat it, and two requests never meet."""
    for _ in range(3):
        await http.put(PAUSE)
    ids = {asked.request.op_id for asked in live.asked}
    assert len(ids) == 3
    assert all(len(each) == 32 for each in ids)


async def test_a_creation_without_a_key_goes_without_one(
    http: httpx.AsyncClient, store: Part
) -> None:
    """A key of ours would give the new session an id that hides when it was made."""
    assert (await http.post("/api/sessions", json={})).status_code == 201
    assert not store.last().request.HasField("op_id")
