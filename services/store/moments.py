"""A session as it was at a moment of its past: its log, folded up to there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import NamedTuple

import structlog

from services.store.acquisition import run_length, whole
from services.store.answers import Snapshot
from services.store.repository import Repository
from sessiond.errors import Internal, InvalidArgument, Violations
from sessiond.session.events import Record
from sessiond.session.rewinding import fill, fold
from sessiond.session.standing import lacking
from sessiond.session.state import Session
from sessiond.store.codec import StoredHead, decode_record
from sessiond.v1 import store_pb2
from sessiond.wire import timestamp_from_wire

_log = structlog.get_logger(__name__)

# Records that are folded before others have their turn.
_AT_ONCE = 100


class Moment(NamedTuple):
    """After an event, or at a time in milliseconds since 1970: one of them is given."""

    seq: int | None = None
    time_ms: int | None = None

    def is_present(self, head: StoredHead) -> bool:
        """Return whether a session stands so still."""
        if self.time_ms is not None:
            return self.time_ms >= head.last_active_ms
        return self.seq == head.seq

    def holds(self, record: Record) -> bool:
        """Return whether the event had happened; no session's times go back."""
        return self.time_ms is None or record.time_ms <= self.time_ms


def moment_from_wire(request: store_pb2.GetSessionRequest, found: Violations) -> Moment | None:
    """Return the moment that the request asks about; None for the present."""
    if request.HasField("at_seq"):
        if request.HasField("at_time"):
            found.add("at_time", "must not stand beside at_seq")
        return Moment(seq=request.at_seq)
    if request.HasField("at_time"):
        return Moment(time_ms=timestamp_from_wire(request.at_time))
    return None


async def session_at(
    repository: Repository, session_id: str, snapshot: Snapshot, head: StoredHead, moment: Moment
) -> Session:
    """Return the session, whole, as it was then.

    Raises:
        InvalidArgument: it has no such moment.
        RevisionCompacted: the snapshot's revision is gone.
        Internal: the log cannot be read; that is a fault of ours, and logged.
    """
    if moment.seq is not None and not 1 <= moment.seq <= head.seq:
        raise InvalidArgument.of("at_seq", f"must be 1 to {head.seq}, the session's revision")
    then: Session | None = None
    pages = _records(repository, session_id, snapshot, head, moment.seq or head.seq)
    try:
        async with aclosing(pages):
            async for page in pages:
                happened = [record for record in page if moment.holds(record)]
                if happened:
                    then = fold(then, happened)
                if len(happened) < len(page):
                    break
        if then is None:
            raise InvalidArgument.of("at_time", "must not be before the session was created")
        held = await repository.records_at(session_id, lacking(then), revision=snapshot.revision)
        return fill(then, map(decode_record, held))
    except ValueError:
        _log.exception("log cannot be followed", session=session_id)
        raise Internal from None


async def _records(
    repository: Repository, session_id: str, snapshot: Snapshot, head: StoredHead, last_seq: int
) -> AsyncGenerator[list[Record], None]:
    """Yield the records up to a seq, some at a time."""
    length = run_length(head)
    for first in range(1, last_seq + 1, length):
        last = min(first + length - 1, last_seq)
        found = await repository.records(session_id, first, last, revision=snapshot.revision)
        whole(session_id, found, last - first + 1)
        for begin in range(0, len(found), _AT_ONCE):
            yield [decode_record(record) for record in found[begin : begin + _AT_ONCE]]
            await asyncio.sleep(0)
