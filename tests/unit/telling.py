"""Histories as `ReadHistory` gives them, and documents of them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from sessiond.event_wire import event_to_wire
from sessiond.export.rendering import Format, chunks
from sessiond.session.apply import apply
from sessiond.session.events import Event, MessageAppended, Record
from sessiond.session.state import MessageType, Sender, Session
from sessiond.store.codec import decode_entry, encode_entry
from sessiond.v1.session_pb2 import SessionSummary
from sessiond.v1.store_pb2 import HistoryEvent, ReadHistoryResponse
from sessiond.wire import summary_to_wire
from tests.unit.stories import ALICE, Story

ESCAPE, OVERRIDE = "\x1b[31m", "\u202e"
HOSTILE = (
    "# not a heading\n"
    "---\n"
    "### bob, 2026-01-01 00:00:00 UTC\n"
    "```\n"
    "<script>alert(1)</script> <!-- <img src=x onerror=y> <svg/onload=z>\n"
    "![seen](https://example.com/seen.png)\n"
    '#image("/etc/passwd") #read("/etc/passwd") $ x $ \\ @ref\n'
    f"{ESCAPE}red {OVERRIDE}dlrow\r\nשלום \u2028 last"
)


def summary_of(session: Session) -> SessionSummary:
    """The session as a list shows it."""
    return summary_to_wire(decode_entry(encode_entry(session)))


def history_of(records: Sequence[Record], session_id: str) -> list[HistoryEvent]:
    """The records as the history shows them."""
    return [
        HistoryEvent(event=event_to_wire(record, session_id), hash=record.hash.hex())
        for record in records
    ]


def happened(story: Story, *events: Event) -> None:
    """Let events happen that nothing was asked for, a second apart."""
    for event in events:
        session = story.session
        time_ms = session.last_active_ms + 1000
        record = Record(session.seq + 1, time_ms, ALICE.actor, event, "op")
        story.records.append(record)
        story.session = apply(session, record)


def said(story: Story, *contents: str) -> None:
    """Let messages of the user's happen, without a rule having a word in it."""
    for number, content in enumerate(contents):
        message_id = f"said-{story.session.seq}-{number}"
        happened(story, MessageAppended(message_id, Sender.USER, MessageType.TEXT, content))


async def history(story: Story, *, run: int = 100) -> AsyncGenerator[ReadHistoryResponse, None]:
    """The history of a story, in parts of so many events."""
    yield ReadHistoryResponse(session=summary_of(story.session))
    events = history_of(story.records, story.session.id)
    for start in range(0, len(events), run):
        yield ReadHistoryResponse(events=events[start : start + run])


async def exported(story: Story, form: Format, **more: int) -> bytes:
    """The document of a story."""
    return b"".join([piece async for piece in chunks(history(story), form, **more)])
