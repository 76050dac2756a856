"""What the calls that make copies ask for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from sessiond.v1.store_pb2 import (
    ForkSessionRequest,
    HistoryEvent,
    ImportHeader,
    ImportSessionRequest,
)

IMPORT_SECONDS: Final = 120.0
"""How long one attempt to import a session may take: one may have 32 MiB."""

_MESSAGE_BYTES: Final = 512 * 1024


def fork(
    session_id: str, *, op_id: str, at_seq: int | None, new_session_id: str | None
) -> ForkSessionRequest:
    """Return the request for a copy of a session's first events."""
    return ForkSessionRequest(session_id=session_id, at_seq=at_seq, id=new_session_id, op_id=op_id)


def import_session(
    header: ImportHeader, events: Iterable[HistoryEvent]
) -> list[ImportSessionRequest]:
    """Return the messages that bring an exported session."""
    return list(import_messages(header, events))


def import_messages(
    header: ImportHeader, events: Iterable[HistoryEvent]
) -> Iterator[ImportSessionRequest]:
    """Yield the messages that bring an exported session, each when its events are there."""
    message = ImportSessionRequest(header=header)
    size = 0
    for event in events:
        message.events.append(event)
        size += event.ByteSize()
        if size >= _MESSAGE_BYTES:
            yield message
            message, size = ImportSessionRequest(), 0
    yield message
