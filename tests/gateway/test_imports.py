"""An exported session over HTTP: passed on as it comes, and refused with its fields named."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sessiond.errors import IdTaken, InvalidArgument, PermissionDenied, Unavailable
from sessiond.export.format import json_chunks, ndjson_chunks
from sessiond.v1.store_pb2 import HistoryEvent, ImportSessionRequest, ImportSessionResponse
from tests.gateway.conftest import client_of, opened, settings
from tests.gateway.parts import Part, failing
from tests.gateway.raw import exchange
from tests.unit.stories import Story
from tests.unit.telling import history_of, said, summary_of

JSON, NDJSON = "application/json", "application/x-ndjson"


@pytest.fixture
def story() -> Story:
    """A session of 30 messages, with inputs spelt as nobody would spell them anew."""
    story = Story(asked={"user_inputs": '{ "a" : 1.50 }'})
    said(story, *(f"message {number}\u2028" for number in range(30)))
    return story


def events_of(story: Story) -> list[HistoryEvent]:
    return history_of(story.records, story.session.id)


def exported(story: Story, media_type: str = JSON) -> bytes:
    chunks = json_chunks if media_type == JSON else ndjson_chunks
    return b"".join(chunks(summary_of(story.session), events_of(story)))


def arrived(store: Part) -> tuple[ImportSessionRequest, list[HistoryEvent]]:
    """The first message that the Store was sent, and all events."""
    messages = store.last().request
    return messages[0], [event for message in messages for event in message.events]


async def post(
    http: httpx.AsyncClient, content: bytes | AsyncIterator[bytes], media_type: str = JSON
) -> httpx.Response:
    return await http.post("/api/import", content=content, headers={"Content-Type": media_type})


@pytest.mark.parametrize("media_type", [JSON, NDJSON, "Application/JSON; charset=utf-8"])
@pytest.mark.parametrize("imported", [True, False])
async def test_an_export_arrives_as_it_was(
    http: httpx.AsyncClient, store: Part, story: Story, media_type: str, *, imported: bool
) -> None:
    """Its header, and every event to the letter; 201 for a new one, 200 for one that was there."""
    response = ImportSessionResponse(session=summary_of(story.session), imported=imported)
    store.answers["ImportSession"] = lambda _: response
    content = exported(story, NDJSON if media_type == NDJSON else JSON)
    answer = await post(http, content, media_type)
    assert answer.status_code == (201 if imported else 200), answer.text
    assert answer.headers["location"] == "/api/sessions/s-1"
    assert (answer.json()["session"]["id"], answer.json()["imported"]) == ("s-1", imported)
    first, events = arrived(store)
    assert (first.header.session_id, first.header.last_seq) == ("s-1", len(story.records))
    assert events == events_of(story)
    assert store.last().metadata["authorization"].startswith("Bearer ")


async def test_a_long_export_travels_in_parts_while_it_comes(
    http: httpx.AsyncClient, store: Part, story: Story
) -> None:
    """In messages that every part of ours can read."""
    said(story, *("x" * 200_000 for _ in range(10)))
    content = exported(story)

    async def slowly() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 70_000):
            yield content[start : start + 70_000]
            await asyncio.sleep(0)

    answer = await post(http, slowly())
    assert answer.status_code == 200, answer.text
    messages = store.last().request
    assert len(messages) > 2 and max(each.ByteSize() for each in messages) < 1024 * 1024
    assert [each.HasField("header") for each in messages] == [True] + [False] * (len(messages) - 1)
    assert arrived(store)[1] == events_of(story)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"format":"other","version":1}', b"\xff\xfe", b"hello"]
)
async def test_what_is_no_export_never_reaches_a_store(
    http: httpx.AsyncClient, store: Part, content: bytes
) -> None:
    """400, in words of our own."""
    answer = await post(http, content)
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_ARGUMENT"), answer.text
    assert store.asked == []


async def test_an_export_that_is_cut_off_is_refused(
    http: httpx.AsyncClient, store: Part, story: Story
) -> None:
    """Wherever it is cut, in either form."""
    for media_type in (JSON, NDJSON):
        content = exported(story, media_type)
        for end in (len(content) // 3, len(content) // 2, len(content) - 5):
            answer = await post(http, content[:end], media_type)
            assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_ARGUMENT")


async def test_a_damaged_event_is_named(http: httpx.AsyncClient, store: Part, story: Story) -> None:
    """By its number, as it stands in the export."""
    content = exported(story).replace(b'"content":"message 4', b'"content":4,"x":"message 4')
    answer = await post(http, content)
    fields = [each["field"] for each in answer.json()["errors"]]
    assert "events.6.messageAppended.message.content" in fields


@pytest.mark.parametrize(
    ("error", "status"),
    [(IdTaken(), 409), (PermissionDenied(), 403), (Unavailable(), 503)],
)
async def test_a_refusal_of_stores_is_answered(
    http: httpx.AsyncClient, store: Part, story: Story, error: Exception, status: int
) -> None:
    """As everywhere."""
    store.answers["ImportSession"] = failing(error)
    answer = await post(http, exported(story))
    assert answer.status_code == status, answer.text


async def test_fields_that_store_names_are_spelt_as_in_the_export(
    http: httpx.AsyncClient, store: Part, story: Story
) -> None:
    """Not as in the protos."""
    for field, spelt in (
        ("events.3.user_inputs", "events.3.userInputs"),
        ("header.last_seq", "session.revision"),
        ("events", "events"),
    ):
        store.answers["ImportSession"] = failing(InvalidArgument.of(field, "is bad"))
        answer = await post(http, exported(story))
        assert [each["field"] for each in answer.json()["errors"]] == [spelt]


async def test_bodies_of_other_types_and_callers_without_a_token_are_refused(
    http: httpx.AsyncClient, story: Story
) -> None:
    """Before anything is read."""
    assert (await post(http, exported(story), "text/plain")).status_code == 415
    http.headers.pop("authorization")
    assert (await post(http, exported(story))).status_code == 401


async def test_an_export_has_a_largest_size_and_may_not_rest(
    keys: Path, store: Part, live: Part, story: Story
) -> None:
    """By settings of its own, since it is larger than any other body."""
    told = settings(keys, [store], [live], import_bytes=2000, body_seconds=0.2)

    half = {"Content-Type": JSON, "Content-Length": "1900"}
    async with opened(told) as (address, _), client_of(address) as http:
        assert (await post(http, exported(story))).status_code == 413
        body = exported(story)[:100]
        answer = await exchange(address, "POST", "/api/import", body, headers=half)
        assert (answer.status, answer.json()["code"]) == (400, "INVALID_ARGUMENT")


async def test_the_route_is_in_the_document(http: httpx.AsyncClient) -> None:
    """With both types of bodies."""
    document: dict[str, Any] = (await http.get("/openapi.json")).json()
    operation = document["paths"]["/api/import"]["post"]
    assert set(operation["requestBody"]["content"]) == {JSON, NDJSON}
    assert {"200", "201", "409", "413"} <= set(operation["responses"])
