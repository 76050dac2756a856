"""A session as a document over HTTP: its formats, its failures, and that a part is no whole."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway import exports
from sessiond.errors import (
    FontMissing,
    InvalidArgument,
    SessiondError,
    SessionNotFound,
    Unavailable,
)
from sessiond.export import rendering
from sessiond.export.format import event_line, read_export
from sessiond.v1.store_pb2 import ReadHistoryRequest, ReadHistoryResponse
from tests.gateway.parts import Part, Stream
from tests.gateway.sockets import gateway_over, until
from tests.unit.stories import Story
from tests.unit.telling import exported, history_of, said, summary_of

EXPORT = "/api/sessions/s-1/export"


@pytest.fixture
def story() -> Story:
    story = Story()
    said(story, *(f"message {number}" for number in range(20)))
    return story


def stored(story: Story, *, run: int = 3, breaks: Sequence[SessiondError] = ()) -> Stream:
    """A Store that has the story, and after so many events breaks while there are `breaks`."""
    events = history_of(story.records, story.session.id)
    left = list(breaks)

    async def stream(request: ReadHistoryRequest) -> AsyncIterator[ReadHistoryResponse]:
        yield ReadHistoryResponse(session=summary_of(story.session))
        first = request.first_seq or 1
        for start in range(first - 1, len(events), run):
            yield ReadHistoryResponse(events=events[start : start + run])
            if left:
                raise left.pop(0)

    return stream


@pytest.mark.parametrize("form", list(rendering.Format))
async def test_a_session_is_answered_in_each_format(
    http: httpx.AsyncClient, store: Part, story: Story, form: rendering.Format
) -> None:
    """As a file with a name, of its own media type, to be kept and not shown."""
    store.streams["ReadHistory"] = stored(story)
    answer = await http.get(EXPORT, params={"format": form})
    assert answer.status_code == 200
    assert answer.content == await exported(story, form)
    assert answer.headers["content-type"] == rendering.MEDIA_TYPES[form]
    extension = rendering.EXTENSIONS[form]
    assert answer.headers["content-disposition"] == f'attachment; filename="s-1.{extension}"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert store.last().request.session_id == "s-1"
    assert store.last().metadata["authorization"].startswith("Bearer ")


async def test_json_is_what_comes_where_no_format_is_named(
    http: httpx.AsyncClient, store: Part, story: Story
) -> None:
    """And HEAD tells the same without it."""
    store.streams["ReadHistory"] = stored(story)
    answer = await http.get(EXPORT)
    assert answer.json()["format"] == "sessiond.export"
    head = await http.head(EXPORT)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-disposition"] == answer.headers["content-disposition"]


async def test_a_reading_that_breaks_goes_on_where_it_was(
    http: httpx.AsyncClient, store: Part, story: Story
) -> None:
    """No event is missing and none stands there twice."""
    store.streams["ReadHistory"] = stored(story, breaks=[Unavailable(), Unavailable()])
    answer = await http.get(EXPORT)
    assert answer.content == await exported(story, rendering.Format.JSON)
    assert [asked.request.first_seq for asked in store.asked] == [0, 4, 7]
    assert [asked.request.last_seq for asked in store.asked] == [0, 21, 21]


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("format=xml", ["format"]),
        ("format=json&format=pdf", ["format"]),
        ("format=%ff", ["format"]),
        ("format=", ["format"]),
        ("fmt=json", ["fmt"]),
        ("%ff=json", ["query"]),
    ],
)
async def test_a_bad_query_is_named(http: httpx.AsyncClient, query: str, fields: list[str]) -> None:
    """Before anybody is asked."""
    answer = await http.get(f"{EXPORT}?{query}")
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == fields


async def test_a_failure_that_comes_first_is_a_problem(
    http: httpx.AsyncClient, store: Part, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the format: nothing was sent yet."""

    def failing(error: SessiondError) -> Stream:
        async def stream(request: ReadHistoryRequest) -> AsyncIterator[ReadHistoryResponse]:
            if request.session_id:
                raise error
            yield ReadHistoryResponse()

        return stream

    store.streams["ReadHistory"] = failing(SessionNotFound())
    for form in rendering.Format:
        answer = await http.get(EXPORT, params={"format": form})
        assert (answer.status_code, answer.json()["code"]) == (404, "SESSION_NOT_FOUND")
    store.streams["ReadHistory"] = failing(InvalidArgument.of("session_id", "must be short"))
    answer = await http.get(EXPORT)
    assert answer.json()["errors"][0]["field"] == "sessionId"
    store.streams["ReadHistory"] = failing(Unavailable())
    assert (await http.get(EXPORT)).status_code == 503

    from sessiond.export import pdf

    async def missing(_: object) -> None:
        raise FontMissing("No font shows Linear B.")

    monkeypatch.setattr(pdf, "render", missing)
    store.streams["ReadHistory"] = stored(story)
    answer = await http.get(EXPORT, params={"format": "pdf"})
    assert (answer.status_code, answer.json()["code"]) == (422, "FONT_MISSING")
    assert answer.json()["detail"] == "No font shows Linear B."


async def test_a_failure_that_comes_later_cuts_the_answer_off(
    http: httpx.AsyncClient, store: Part, story: Story
) -> None:
    """So that nobody takes it for the whole."""
    store.streams["ReadHistory"] = stored(story, breaks=[SessionNotFound()])
    got = b""
    with pytest.raises(httpx.RemoteProtocolError):
        async with http.stream("GET", EXPORT, params={"format": "ndjson"}) as answer:
            async for piece in answer.aiter_bytes():
                got += piece
    assert got.startswith(b'{"format":')
    with pytest.raises(InvalidArgument):
        list(read_export(io.BytesIO(got)))


async def test_a_reader_that_leaves_ends_the_reading(keys: Path, story: Story) -> None:
    """Nobody reads a history for nobody."""
    left = asyncio.Event()

    async def endless(request: Any) -> AsyncIterator[ReadHistoryResponse]:
        yield ReadHistoryResponse(session=summary_of(story.session))
        try:
            while True:
                yield ReadHistoryResponse(events=history_of(story.records, "s-1"))
                await asyncio.sleep(0)
        finally:
            left.set()

    async with gateway_over(keys) as standing:
        standing.stores[0].streams["ReadHistory"] = endless
        from tests.gateway.conftest import client_of

        async with (
            client_of(standing.address) as http,
            http.stream("GET", EXPORT, params={"format": "ndjson"}) as answer,
        ):
            await anext(answer.aiter_bytes())
        await until(left.is_set)


async def test_more_pdfs_at_once_than_may_be_are_put_off(
    http: httpx.AsyncClient, store: Part, story: Story
) -> None:
    """They take much; those who ask too often come back later."""
    begun = asyncio.Event()

    async def waiting(request: Any) -> AsyncIterator[ReadHistoryResponse]:
        yield ReadHistoryResponse(session=summary_of(story.session))
        await begun.wait()
        yield ReadHistoryResponse(events=history_of(story.records, "s-1"))

    store.streams["ReadHistory"] = waiting
    asked = [
        asyncio.create_task(http.get(EXPORT, params={"format": "pdf"}, timeout=60))
        for _ in range(2)
    ]
    await until(lambda: len(store.asked) == 2)
    refused = await http.get(EXPORT, params={"format": "pdf"})
    assert (refused.status_code, refused.json()["code"]) == (429, "RATE_LIMITED")
    assert int(refused.headers["retry-after"]) > 0
    begun.set()
    answers = await asyncio.gather(*asked)
    assert {answer.status_code for answer in answers} == {200}
    assert (await http.get(EXPORT, params={"format": "pdf"})).status_code == 200


async def test_a_pdf_that_is_sent_keeps_nobody_from_making_one(
    http: httpx.AsyncClient, store: Part, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However slowly it is read: only the making takes a place."""
    rest = asyncio.Event()

    async def long(*_: object, **__: object) -> AsyncIterator[bytes]:
        yield b"%PDF-"
        await rest.wait()

    monkeypatch.setattr(exports, "chunks", long)
    async with AsyncExitStack() as stack:
        for _ in range(3):
            answer = await stack.enter_async_context(
                http.stream("GET", EXPORT, params={"format": "pdf"})
            )
            assert answer.status_code == 200
        rest.set()


async def test_who_leaves_while_a_pdf_is_made_ends_the_making(
    http: httpx.AsyncClient, store: Part, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And others have the place."""
    making: list[int] = []

    async def endless(*_: object, **__: object) -> AsyncIterator[bytes]:
        making.append(1)
        try:
            await asyncio.Event().wait()
            yield b""
        finally:
            making.pop()

    monkeypatch.setattr(exports, "chunks", endless)
    for _ in range(3):
        asked = asyncio.create_task(http.get(EXPORT, params={"format": "pdf"}))
        await until(lambda: bool(making))
        asked.cancel()
        await asyncio.wait([asked])
        await until(lambda: not making)


async def test_an_event_of_the_document_is_that_of_the_contract(
    http: httpx.AsyncClient, store: Part, story: Story
) -> None:
    """A line of NDJSON is what `event_line` gives."""
    store.streams["ReadHistory"] = stored(story)
    answer = await http.get(EXPORT, params={"format": "ndjson"})
    header, *lines = answer.content.splitlines()
    assert json.loads(header)["session"]["id"] == "s-1"
    assert lines == [event_line(event) for event in history_of(story.records, "s-1")]
