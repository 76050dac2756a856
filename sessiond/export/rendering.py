"""Any of the forms, of a history as it is read: bounded memory, whatever its length."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from enum import StrEnum

from sessiond.errors import FormatUnavailable, Internal, Unavailable
from sessiond.export.format import JsonWriter, NdjsonWriter, Writer
from sessiond.export.markdown import markdown
from sessiond.export.story import Story
from sessiond.v1.session_pb2 import SessionSummary
from sessiond.v1.store_pb2 import HistoryEvent, ReadHistoryResponse

History = AsyncGenerator[ReadHistoryResponse, None]
"""A session, and then its events in order: what `ReadHistory` answers."""

_Events = AsyncGenerator[Sequence[HistoryEvent], None]

MOST_MESSAGES = 10_000
"""Of a session that becomes a PDF, unless another number is given."""

_CHUNK = 64 * 1024


class Format(StrEnum):
    """The forms of an export."""

    JSON = "json"
    NDJSON = "ndjson"
    MARKDOWN = "markdown"
    PDF = "pdf"


MEDIA_TYPES: Mapping[Format, str] = {
    Format.JSON: "application/json",
    Format.NDJSON: "application/x-ndjson",
    Format.MARKDOWN: "text/markdown; charset=utf-8",
    Format.PDF: "application/pdf",
}
EXTENSIONS: Mapping[Format, str] = {
    Format.JSON: "json",
    Format.NDJSON: "ndjson",
    Format.MARKDOWN: "md",
    Format.PDF: "pdf",
}


async def chunks(
    history: History, form: Format, *, most_messages: int = MOST_MESSAGES
) -> AsyncGenerator[bytes, None]:
    """Yield the document of a session. JSON and NDJSON come as the history does, others at its end.

    Raises:
        FormatUnavailable: a PDF cannot be made here, or not of so much.
        FontMissing: no font here shows some characters of a PDF.
        SessiondError: what the history ends with.
    """
    async with aclosing(history) as parts:
        first = await anext(parts, None)
        if first is None or not first.HasField("session"):
            raise Internal
        session, events = first.session, _events(first, parts)
        match form:
            case Format.JSON:
                document = _as_it_comes(JsonWriter(), session, events)
            case Format.NDJSON:
                document = _as_it_comes(NdjsonWriter(), session, events)
            case Format.MARKDOWN:
                document = _markdown(session, events)
            case Format.PDF:
                document = _pdf(session, events, most_messages)
        async with aclosing(document) as pieces:
            async for piece in pieces:
                yield piece


async def _events(first: ReadHistoryResponse, parts: History) -> _Events:
    """Yield the events as they come, and raise where they are not all."""
    seq = 0
    if first.events:
        seq = first.events[-1].event.seq
        yield first.events
    async for part in parts:
        if part.events:
            seq = part.events[-1].event.seq
            yield part.events
    if seq != first.session.revision:
        raise Unavailable("The history ended too early.")


async def _as_it_comes(
    writer: Writer, session: SessionSummary, events: _Events
) -> AsyncGenerator[bytes, None]:
    yield writer.begin(session)
    async for run in events:
        yield b"".join(map(writer.event, run))
    yield writer.end()


async def _markdown(session: SessionSummary, events: _Events) -> AsyncGenerator[bytes, None]:
    with Story(session) as story:
        await _told(story, events)
        waits: list[bytes] = []
        size = 0
        for part in markdown(story):
            data = part.encode()
            waits.append(data)
            size += len(data)
            if size >= _CHUNK:
                yield b"".join(waits)
                waits, size = [], 0
        yield b"".join(waits)


async def _pdf(
    session: SessionSummary, events: _Events, most_messages: int
) -> AsyncGenerator[bytes, None]:
    try:
        from sessiond.export.pdf import render
    except ImportError:
        raise FormatUnavailable(
            "This installation makes no PDF: the extra `pdf` is not installed."
        ) from None
    _check_length(session, most_messages)
    with Story(session) as story:
        await _told(story, events)
        made = await render(story)
    with made as pdf:
        while piece := pdf.read(_CHUNK):
            yield piece


async def _told(story: Story, events: _Events) -> None:
    async for run in events:
        for event in run:
            story.add(event)


def _check_length(session: SessionSummary, most_messages: int) -> None:
    if session.message_count > most_messages:
        raise FormatUnavailable(
            f"A PDF holds at most {most_messages} messages, and this session has "
            f"{session.message_count}; the other formats hold all of them."
        )
