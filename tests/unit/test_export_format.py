"""The log as JSON: what is written is what is read, to the byte, however it comes."""

from __future__ import annotations

import io
import json
import re
import tracemalloc
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import orjson
import pytest

from sessiond.errors import InvalidArgument, PayloadTooLarge, Unavailable
from sessiond.export import splitting
from sessiond.export.format import (
    ExportReader,
    event_line,
    json_chunks,
    ndjson_chunks,
    read_export,
)
from sessiond.export.rendering import Format, chunks
from sessiond.session.changes import (
    AppendMessage,
    ApproveOutput,
    EditOutput,
    SubmitOutput,
    UpdateSession,
)
from sessiond.session.events import Record
from sessiond.session.standing import Rewound
from sessiond.session.state import LastWord, Status
from sessiond.v1.session_pb2 import SessionSummary
from sessiond.v1.store_pb2 import HistoryEvent, ReadHistoryResponse
from tests.unit.stories import CONSULTANT, Story
from tests.unit.telling import history, history_of, said, summary_of
from tests.unit.test_standing import EVENTS, FORKED

HOSTILE = '"}],\\u0000{[ <script> \x1b[31m \u202e שלום 漢字 😀 \r\n "events":['
METADATA = '{ "events" : [1.10, {"a":\n"]}"}],  "big": 12345678901234567890123 }'


@pytest.fixture
def exported() -> tuple[SessionSummary, list[HistoryEvent]]:
    """Every kind of event, and texts that look like what stands around them."""
    story = Story()
    story.make(AppendMessage(HOSTILE, metadata=METADATA))
    story.make(UpdateSession(title="events", metadata={"events": '":['}, user_inputs='{"a": 1.0}'))
    story.make(SubmitOutput(HOSTILE, "o-1", quality_score=0.1, metadata=METADATA), CONSULTANT)
    story.make(EditOutput("o-1", content="two"))
    story.make(ApproveOutput(feedback="good"))
    records = list(story.records)
    for event in (*EVENTS, FORKED, LAST):
        seq, time_ms = len(records) + 1, records[-1].time_ms + 1
        records.append(Record(seq, time_ms, records[0].actor, event, "op", b"\x00\xff"))
    summary = summary_of(story.session)
    summary.revision = len(records)
    summary.lineage.session_id = "s-0"
    return summary, history_of(records, story.session.id)


LAST = Rewound(1, Status.ACTIVE, 0, "", False, {}, 1, (), 0, 0, LastWord.NOBODY, ())
"""Back to where nobody had spoken: a word of its own."""


@pytest.mark.parametrize("chunks", [json_chunks, ndjson_chunks])
def test_an_export_read_and_written_again_is_the_same_to_the_byte(
    exported: tuple[SessionSummary, list[HistoryEvent]], chunks: Any
) -> None:
    """Whatever stands in its texts; free objects keep their spelling."""
    written = b"".join(chunks(*exported))
    summary, *events = list(read_export(io.BytesIO(written)))
    assert summary == exported[0]
    assert events[1:2] != [] and len(events) == len(exported[1])
    assert b"".join(chunks(summary, events)) == written
    assert b"1.10" in written and b'{ "events" : [1.10, {"a": "]}"}],  "big"' in written


@pytest.mark.parametrize("chunks", [json_chunks, ndjson_chunks])
@pytest.mark.parametrize("size", [1, 2, 7, 4096])
def test_an_export_may_come_in_pieces_of_any_size(
    exported: tuple[SessionSummary, list[HistoryEvent]], chunks: Any, size: int
) -> None:
    """The reader waits for the rest, and gives what is whole."""
    written = b"".join(chunks(*exported))
    reader = ExportReader()
    found: list[Any] = []
    for start in range(0, len(written), size):
        found += reader.feed(written[start : start + size])
    reader.finish()
    assert b"".join(chunks(found[0], found[1:])) == written


def test_the_document_is_json_with_the_facts_and_no_others(
    exported: tuple[SessionSummary, list[HistoryEvent]],
) -> None:
    """One event a line; nothing of where it was kept, and when it was exported."""
    written = b"".join(json_chunks(*exported))
    document = json.loads(written)
    assert list(document) == ["format", "version", "session", "events"]
    assert (document["format"], document["version"]) == ("sessiond.export", 1)
    assert document["session"]["revision"] == len(document["events"])
    first = document["events"][0]
    assert list(first) == ["sessionId", "seq", "time", "actor", "opId", "sessionCreated", "hash"]
    lines = written.splitlines()
    assert [json.loads(line.removesuffix(b",")) for line in lines[1:-1]] == document["events"]
    ndjson = b"".join(ndjson_chunks(*exported)).splitlines()
    assert [json.loads(line) for line in ndjson[1:]] == document["events"]


def test_a_document_that_was_laid_out_anew_is_read_as_well(
    exported: tuple[SessionSummary, list[HistoryEvent]],
) -> None:
    """Space between its parts means nothing."""
    document = json.loads(b"".join(json_chunks(*exported)))
    laid_out = json.dumps(document, indent=4, ensure_ascii=True).encode()
    summary, *events = read_export(io.BytesIO(laid_out))
    assert summary == exported[0]
    assert len(events) == len(exported[1])


def test_a_part_of_an_export_is_known_as_one(
    exported: tuple[SessionSummary, list[HistoryEvent]],
) -> None:
    """Wherever it was cut off, also between two lines."""
    for form in (json_chunks, ndjson_chunks):
        written = b"".join(form(*exported))
        cuts = {0, 1, 30, written.index(b"\n"), written.index(b"\n") + 1, len(written) // 2}
        cuts.add(written.rstrip(b"\n]}").rindex(b"\n"))
        for cut in cuts:
            with pytest.raises(InvalidArgument):
                list(read_export(io.BytesIO(written[:cut])))


def _document(**changed: Any) -> bytes:
    story = Story()
    session = orjson.loads(b"".join(json_chunks(summary_of(story.session), [])))["session"]
    event = orjson.loads(event_line(history_of(story.records, story.session.id)[0]))
    document = {"format": "sessiond.export", "version": 1, "session": session, "events": [event]}
    for name, value in changed.items():
        *way, last = name.split("__")
        place: Any = document
        for step in way:
            place = place[int(step)] if step.isdigit() else place[step]
        if value is None:
            del place[last]
        else:
            place[last] = value
    return orjson.dumps(document)


def test_a_good_document_is_taken() -> None:
    """So that each of those below is refused for its one fault."""
    assert len(list(read_export(io.BytesIO(_document())))) == 2


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"format": "other"}, "format"),
        ({"version": 2}, "version"),
        ({"version": True}, "version"),
        ({"session__id": 7}, "session.id"),
        ({"session__surprise": 7}, "session.surprise"),
        ({"session__createdAt": "yesterday"}, "session.createdAt"),
        ({"events__0__hash": "xy"}, "events.1.hash"),
        ({"events__0__hash": None}, "events.1.hash"),
        ({"events__0__seq": "1"}, "events.1.seq"),
        ({"events__0__time": None}, "events.1.time"),
        ({"events__0__surprise": {}}, "events.1.surprise"),
        ({"events__0__sessionPaused": {}}, "events.1.event"),
        ({"events__0__sessionCreated": None}, "events.1.event"),
        ({"events__0__actor__role": 1}, "events.1.actor.role"),
    ],
)
def test_what_is_damaged_is_named(changed: dict[str, Any], field: str) -> None:
    """By the event and the field."""
    if changed == {"events__0__time": None}:
        changed = {"events__0__time": 5}
    with pytest.raises(InvalidArgument) as refused:
        list(read_export(io.BytesIO(_document(**changed))))
    assert field in [violation.field for violation in refused.value.violations]


@pytest.mark.parametrize(
    "data",
    [
        b"[]",
        b"nonsense",
        b"{}",
        b'{"format":"sessiond.export","version":1}',
        b"\xff\xfe",
        b'{"a":' + b"[" * 5000,
        _document()[:-1] + b',"more":1}',
        _document() + b"x",
        _document().replace(b'"seq":1,', b'"seq":1,"seq":2,'),
        _document().replace(b'"seq":1,', b'"seq":NaN,'),
        _document().replace(b'"events":[{', b'"events":[7,{'),
    ],
)
def test_what_is_no_export_is_refused(data: bytes) -> None:
    """As the caller's fault, whatever it is."""
    with pytest.raises(InvalidArgument):
        list(read_export(io.BytesIO(data)))


def test_an_event_without_an_end_is_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory has a bound."""
    monkeypatch.setattr(splitting, "MOST_BYTES", 100_000)
    with pytest.raises(PayloadTooLarge):
        list(read_export(io.BytesIO(b'{"format":"' + b"x" * 300_000)))


def test_a_long_string_is_looked_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many pieces it comes in; with escapes wherever pieces end."""
    looked = 0

    class Counted:
        def __init__(self, pattern: re.Pattern[bytes]) -> None:
            self._pattern = pattern

        def match(self, data: bytes, at: int = 0) -> re.Match[bytes] | None:
            nonlocal looked
            found = self._pattern.match(data, at)
            looked += found.end() - at if found else 0
            return found

        def finditer(self, data: bytes, at: int) -> Iterator[re.Match[bytes]]:
            nonlocal looked
            looked += len(data) - at
            return self._pattern.finditer(data, at)

    monkeypatch.setattr(splitting, "_PIECE", 7)
    for name in ("_TOKEN", "_INSIDE"):
        monkeypatch.setattr(splitting, name, Counted(getattr(splitting, name)))
    event = json.dumps({"a": '\\"\n{[' * 500, "b": [{"}": "]"}]}).encode()
    splitter = splitting.Splitter()
    assert list(splitter.feed(b'{"h":"events"}\n' + event + b"\n")) == [b'{"h":"events"}', event]
    splitter.finish()
    assert looked < 3 * len(event)


async def test_a_history_that_ends_too_early_makes_no_document() -> None:
    """A part is not to pass for the whole."""
    story = Story()
    story.make(AppendMessage("one"))

    async def cut() -> AsyncGenerator[ReadHistoryResponse, None]:
        async for part in history(story, run=1):
            if not part.events or part.events[0].event.seq == 1:
                yield part

    for form in (Format.JSON, Format.NDJSON, Format.MARKDOWN):
        with pytest.raises(Unavailable):
            [piece async for piece in chunks(cut(), form)]


@pytest.mark.parametrize("form", [Format.JSON, Format.NDJSON, Format.MARKDOWN])
async def test_a_large_session_takes_the_memory_of_a_part(form: Format) -> None:
    """Sixty times half a megabyte go through in a few."""
    story = Story()
    said(story, "x" * 500_000)
    created, message = history_of(story.records, story.session.id)
    summary = summary_of(story.session)
    summary.revision = 61

    async def large() -> AsyncGenerator[ReadHistoryResponse, None]:
        yield ReadHistoryResponse(session=summary)
        yield ReadHistoryResponse(events=[created])
        for seq in range(2, 62):
            message.event.seq = seq
            yield ReadHistoryResponse(events=[message])

    tracemalloc.start()
    try:
        size = sum([len(piece) async for piece in chunks(large(), form)])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size > 30_000_000
    assert peak < 8_000_000
