"""Thousands of messages of people who want to break out: each comes through as it was written."""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncGenerator, Iterator
from itertools import islice

import pypdfium2
import pytest

from sessiond.event_wire import event_to_wire
from sessiond.export.format import ExportReader
from sessiond.export.rendering import Format, chunks
from sessiond.session.events import MessageAppended, Record
from sessiond.session.state import MessageType, Sender
from sessiond.v1.store_pb2 import HistoryEvent, ReadHistoryResponse
from tests.unit.stories import ALICE, Story
from tests.unit.telling import ESCAPE, OVERRIDE, exported, history_of, said, summary_of

TEXTS = (
    "# heading\n---\n> quote\n```\n~~~\n[leap](javascript:alert(1)) ![](https://example.com/x.png)",
    "<script>alert(1)</script><!-- <img src=x onerror=alert(1)> &lt; ]]> <b>",
    '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><use href="file:///etc/passwd"/>',
    f"{ESCAPE}red\x1b]0;title\x07\x1b[2J\x1b[1;1H\x9b31m\x00\x7f\r\nover\rwritten",
    f"{OVERRIDE}gpj.exe\u202c \u2067isolate\u2069 \u200f\u200e \u05e9\u05dc\u05d5\u05dd \u061c",
    '"}],"events":[{"seq":1}]}\n{"format":"sessiond.export"}\\u0000\\"{[\u2028\u2029\ufeff\ufffe',
    '#image("/etc/passwd") #read("/etc/passwd") #eval("1") $ x $ \\ @ref <label> *b* _i_ `c`',
    "\U0001f468\u200d\U0001f469 e\u0301\u0323 \ue000 \U0010ffff \u3164 ${x} {{x}} %s %n ../../",
)
MESSAGES = 10_000
SHOWN = (
    "[leap](javascript:alert(1))",
    "<script>alert(1)</script>",
    'onload="alert(1)">',
    "red\ufffd]0;title\ufffd\ufffd[2J",
    "gpj.exe",
    '"}],"events":[',
    '#image("/etc/passwd")',
)


def told() -> Iterator[HistoryEvent]:
    """The same events every time, one after another: nobody keeps them."""
    story = Story()
    yield from history_of(story.records, story.session.id)
    kinds = [_message(place, text * 8) for place, text in enumerate(TEXTS)]
    for seq in range(2, MESSAGES + 2):
        told = HistoryEvent()
        told.CopyFrom(kinds[seq % len(kinds)])
        told.event.seq = seq
        told.event.message_appended.message.id = f"m-{seq}"
        yield told


def _message(place: int, content: str) -> HistoryEvent:
    event = MessageAppended("m", Sender.USER, MessageType.TEXT, content, metadata=free(place))
    record = Record(2, 1_700_000_000_000, ALICE.actor, event, "op", b"\x00\xff")
    return HistoryEvent(event=event_to_wire(record, "s-1"), hash="00ff")


def free(place: int) -> str:
    """A free object, spelled as nothing would spell it."""
    return f'{{ "events" :[ 1.10,{place}e0 ], "]}}": "\\ud83d\\ude00\\u202e" }}'


async def history() -> AsyncGenerator[ReadHistoryResponse, None]:
    summary = summary_of(Story().session)
    summary.revision = MESSAGES + 1
    yield ReadHistoryResponse(session=summary)
    events = told()
    while run := list(islice(events, 100)):
        yield ReadHistoryResponse(events=run)


@pytest.mark.parametrize("form", [Format.JSON, Format.NDJSON])
async def test_a_log_of_hostile_messages_is_read_as_it_was_written(form: Format) -> None:
    """All ten thousand, event by event."""
    expected = told()
    reader = ExportReader()
    count = 0
    async for piece in chunks(history(), form):
        for found in reader.feed(piece):
            if isinstance(found, HistoryEvent):
                assert found == next(expected)
                count += 1
    reader.finish()
    assert count == MESSAGES + 1


@pytest.mark.parametrize("form", [Format.JSON, Format.NDJSON])
async def test_hostile_messages_take_the_memory_of_a_few(form: Format) -> None:
    """All are written. To watch the reading takes long, so that the first part of it must do."""
    reader = ExportReader()
    size = count = 0
    tracemalloc.start()
    try:
        async for piece in chunks(history(), form):
            size += len(piece)
            if size < 2_000_000:
                count += sum(1 for _ in reader.feed(piece))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size > 9_000_000
    assert count > 1000
    assert peak < 1_000_000


async def test_a_pdf_of_hostile_messages_shows_them_as_text() -> None:
    """Every one of hundreds; and there is nothing in it that does something."""
    story = Story()
    texts = [text.replace("\U0001f468\u200d\U0001f469", "") for text in TEXTS]
    said(story, *(f"{number}: {texts[number % len(texts)]}" for number in range(400)))
    pdf = await exported(story, Format.PDF)
    for active in (b"/URI", b"/JavaScript", b"/JS", b"/Launch", b"/EmbeddedFile", b"/OpenAction"):
        assert active not in pdf
    with pypdfium2.PdfDocument(pdf) as document:
        text = "".join(page.get_textpage().get_text_range() for page in document)
    text = text.replace("\r", "").replace("\n", "")
    for shown in SHOWN:
        assert text.count(shown) == 400 // len(texts)
    for number in range(400):
        assert f"{number}: " in text
    assert "root:" not in text
