"""The log of a session as JSON: what is exported is what is imported, to the byte.

```
{"format":"sessiond.export","version":1,"session":{...},"events":[
{"sessionId":"...","seq":1,...,"sessionCreated":{...},"hash":"..."},
...
]}
```

NDJSON is the same without `events`: the header on the first line, then one event on each. An event
is the one of the contract with the `hash` of its change. There is nothing else, so that the same
session gives the same bytes on every installation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, Protocol

import orjson

from sessiond.errors import InvalidArgument, Violations
from sessiond.export.splitting import Splitter
from sessiond.export.verbatim import keep_texts
from sessiond.mapping.parsing import parse
from sessiond.mapping.reading import ObjectReader
from sessiond.mapping.showing import one_line, shower
from sessiond.session.limits import DEFAULT_LIMITS
from sessiond.v1.event_pb2 import Event
from sessiond.v1.session_pb2 import SessionSummary
from sessiond.v1.store_pb2 import HistoryEvent

FORMAT = "sessiond.export"
VERSION = 1

_KINDS = {field.json_name for field in Event.DESCRIPTOR.oneofs_by_name["event"].fields}
_HASH = re.compile(r"(?:[0-9a-f]{2})*")
# A free object stands in a message, that in what happened, and that in the event.
_DEPTH = DEFAULT_LIMITS.json_depth + 3
_CHUNK = 64 * 1024

_show_event = shower(Event.DESCRIPTOR)
_show_summary = shower(SessionSummary.DESCRIPTOR)
_event_reader = ObjectReader(Event.DESCRIPTOR)
_summary_reader = ObjectReader(SessionSummary.DESCRIPTOR)


# --- writing -------------------------------------------------------------------------------------


def event_line(event: HistoryEvent) -> bytes:
    """Return the JSON of an event, on one line without its end.

    Two events are the same exactly where these bytes are.
    """
    return one_line(orjson.dumps(_show_event(event.event) | {"hash": event.hash}))


class Writer(Protocol):
    """Writes one export, bit by bit, in this order."""

    def begin(self, session: SessionSummary) -> bytes:
        """Return how it begins."""

    def event(self, event: HistoryEvent) -> bytes:
        """Return how it goes on."""

    def end(self) -> bytes:
        """Return how it ends."""


class JsonWriter:
    """Writes one document."""

    def __init__(self) -> None:
        self._before = b""

    def begin(self, session: SessionSummary) -> bytes:
        """Return how it begins."""
        return _header(session)[:-1] + b',"events":['

    def event(self, event: HistoryEvent) -> bytes:
        """Return how it goes on."""
        before, self._before = self._before, b","
        return before + b"\n" + event_line(event)

    def end(self) -> bytes:
        """Return how it ends."""
        return b"\n]}\n"


class NdjsonWriter:
    """Writes one object a line."""

    def begin(self, session: SessionSummary) -> bytes:
        """Return how it begins."""
        return _header(session) + b"\n"

    def event(self, event: HistoryEvent) -> bytes:
        """Return how it goes on."""
        return event_line(event) + b"\n"

    def end(self) -> bytes:
        """Return how it ends."""
        return b""


def json_chunks(session: SessionSummary, events: Iterable[HistoryEvent]) -> Iterator[bytes]:
    """Yield a session as one JSON document."""
    return _written(JsonWriter(), session, events)


def ndjson_chunks(session: SessionSummary, events: Iterable[HistoryEvent]) -> Iterator[bytes]:
    """Yield a session as NDJSON."""
    return _written(NdjsonWriter(), session, events)


def _written(
    writer: Writer, session: SessionSummary, events: Iterable[HistoryEvent]
) -> Iterator[bytes]:
    yield writer.begin(session)
    for event in events:
        yield writer.event(event)
    yield writer.end()


def _header(session: SessionSummary) -> bytes:
    return orjson.dumps({"format": FORMAT, "version": VERSION, "session": _show_summary(session)})


# --- reading -------------------------------------------------------------------------------------


class ExportReader:
    """Reads an export of either form as it comes: first the session, then its events.

    Only the form is judged here: that every field is known, there, and of its type.
    """

    def __init__(self) -> None:
        self._splitter = Splitter()
        self._session: SessionSummary | None = None
        self._count = 0

    def feed(self, data: bytes) -> Iterator[SessionSummary | HistoryEvent]:
        """Yield what these bytes complete.

        Raises:
            InvalidArgument: it is no export; bad fields of events are `events.<seq>.<field>`.
            PayloadTooLarge: one event is longer than any may be.
        """
        for found in self._splitter.feed(data):
            if self._session is None:
                self._session = _session(found)
                yield self._session
            else:
                self._count += 1
                yield _event(found, self._count)

    def finish(self) -> None:
        """Return if all of it came.

        Raises:
            InvalidArgument: it was cut off.
        """
        self._splitter.finish()
        expected = self._session.revision if self._session else 0
        if self._count != expected:
            raise InvalidArgument(
                detail=f"The export holds {self._count} of the session's {expected} events."
            )


def read_export(stream: BinaryIO) -> Iterator[SessionSummary | HistoryEvent]:
    """Yield what an export of either form holds, to its end: the session, then its events.

    It may raise as `ExportReader` does.
    """
    reader = ExportReader()
    while data := stream.read(_CHUNK):
        yield from reader.feed(data)
    reader.finish()


def _session(data: bytes) -> SessionSummary:
    found = parse(data, depth=_DEPTH, what="header")
    violations = Violations()
    if found.pop("format", None) != FORMAT:
        violations.add("format", f'must be "{FORMAT}"')
    version = found.pop("version", None)
    if version != VERSION or isinstance(version, bool):
        violations.add("version", f"must be {VERSION}")
    session, shown = SessionSummary(), found.pop("session", None)
    if isinstance(shown, dict):
        _summary_reader.fill(session, shown, violations, "session.")
    else:
        violations.add("session", "must be an object")
    for name in found:
        violations.add(name, "is not a field of an export")
    violations.check()
    return session


def _event(data: bytes, number: int) -> HistoryEvent:
    path = f"events.{number}."
    read, violations = HistoryEvent(), Violations()
    try:
        found: dict[str, Any] = parse(data, depth=_DEPTH, what=f"event {number}")
    except InvalidArgument as error:
        if not error.violations:
            raise
        for field, message in error.violations:
            violations.add(path + field, message)
        violations.check()
    shown = found.pop("hash", None)
    if isinstance(shown, str) and _HASH.fullmatch(shown):
        read.hash = shown
    else:
        violations.add(path + "hash", "must be hexadecimal digits, in pairs")
    if len(_KINDS & found.keys()) != 1:
        violations.add(path + "event", "must be one of the known ones, and only one")
    _event_reader.fill(read.event, found, violations, path)
    violations.check()
    keep_texts(read.event, data.decode())
    return read
