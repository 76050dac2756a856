"""The history of a session as it is exported: its part of StoreService.

Records never change, so every part is read at a revision of its own. What each begins with asks
anew whether the session still stands, and whether the caller may still read it; how slowly they
read is up to them, so none is told once their token has expired.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from typing import Any

import grpc
import structlog

from services.serving.context import current_call, current_identity
from services.store.acquisition import run_length, whole
from services.store.answers import RevisionCompacted, Snapshot
from services.store.entering import entered
from services.store.repository import Repository
from sessiond.errors import (
    Internal,
    InvalidArgument,
    SessionNotFound,
    Unauthenticated,
    Unavailable,
    Violations,
)
from sessiond.event_wire import event_to_wire
from sessiond.session.access import Identity
from sessiond.session.checks import check_session_id
from sessiond.session.limits import Limits
from sessiond.store.codec import (
    StoredHead,
    decode_entry,
    decode_record,
    encode_entry,
    load,
    needed_seqs,
)
from sessiond.v1 import session_pb2
from sessiond.v1 import store_pb2 as pb
from sessiond.v1.store_pb2_grpc import StoreServiceServicer
from sessiond.wire import summary_to_wire

Context = grpc.aio.ServicerContext[Any, Any]

_PART_BYTES = 1024 * 1024
_TRIES = 3

_log = structlog.get_logger(__name__)


class EventLogServicer(StoreServiceServicer):
    """Reads events."""

    _repository: Repository
    _limits: Limits
    _wall_clock: Callable[[], float]

    async def ReadHistory(
        self, request: pb.ReadHistoryRequest, context: Context
    ) -> AsyncGenerator[pb.ReadHistoryResponse, None]:
        """Read events in order."""
        found = Violations()
        check_session_id(request.session_id, "session_id", found)
        first = request.first_seq if request.HasField("first_seq") else 1
        last = request.last_seq if request.HasField("last_seq") else None
        if first < 1:
            found.add("first_seq", "must be at least 1")
        if last is not None and last < 1:
            found.add("last_seq", "must be at least 1")
        found.check()
        identity = current_identity()
        call = current_call()
        expires_at = float("inf") if call is None else call.expires_at
        history = read_history(
            self._repository,
            identity,
            request.session_id,
            first,
            last,
            seconds=expires_at - self._wall_clock(),
        )
        async with aclosing(history) as responses:
            async for response in responses:
                yield response


async def read_history(
    repository: Repository,
    identity: Identity,
    session_id: str,
    first_seq: int = 1,
    last_seq: int | None = None,
    *,
    seconds: float = float("inf"),
    clock: Callable[[], float] = time.monotonic,
) -> AsyncGenerator[pb.ReadHistoryResponse, None]:
    """Yield a session as it now is, and then its events, in parts of about 1 MiB.

    `seconds` is the life of the caller's token; `clock` gives seconds that never go back. From the
    seq after the last one there are none; so a reader that has all of them may ask again.

    Raises:
        SessionNotFound: no such session, or not the caller's, or not any more.
        InvalidArgument: the session has no such events.
        Unauthenticated: the caller's token has expired; with another one the rest may be read.
    """
    ends_at = clock() + seconds
    seq, last, log_id = first_seq, last_seq, 0
    refused = 0
    while True:
        snapshot, head = await entered(repository, identity, session_id)
        try:
            if not log_id:
                last = _last(head, first_seq, last_seq)
                session = await _summary(repository, session_id, snapshot, head)
                yield pb.ReadHistoryResponse(session=session)
                log_id = head.meta.log_id
            if head.meta.log_id != log_id:
                raise SessionNotFound  # deleted meanwhile, and another one made under its id
            if last is None or seq > last:
                return
            until = min(seq + run_length(head) - 1, last)
            records = await repository.records(session_id, seq, until, revision=snapshot.revision)
        except RevisionCompacted:
            refused += 1
            if refused == _TRIES:
                raise Unavailable from None
            continue
        refused = 0
        whole(session_id, records, until - seq + 1)
        for response in _parts(session_id, records):
            if clock() >= ends_at:
                raise Unauthenticated("The token has expired.")
            yield response
        seq = until + 1
        if seq > last:
            return


def _last(head: StoredHead, first_seq: int, last_seq: int | None) -> int:
    """Return up to which seq is read."""
    last = head.seq if last_seq is None else last_seq
    if last > head.seq:
        raise InvalidArgument.of("last_seq", f"must be at most {head.seq}, the newest one")
    if first_seq > last + 1:
        raise InvalidArgument.of("first_seq", f"must be at most {last + 1}")
    return last


async def _summary(
    repository: Repository, session_id: str, snapshot: Snapshot, head: StoredHead
) -> session_pb2.SessionSummary:
    """Return what the session's entry says at this revision, without reading any output."""
    needed = await repository.records_at(
        session_id, needed_seqs(head, ()), revision=snapshot.revision
    )
    try:
        session = load(head, (), map(decode_record, needed))
        return summary_to_wire(decode_entry(encode_entry(session)))
    except ValueError:
        _log.exception("session cannot be loaded", session=session_id)
        raise Internal from None


def _parts(session_id: str, records: list[bytes]) -> Iterator[pb.ReadHistoryResponse]:
    part, size = pb.ReadHistoryResponse(), 0
    for data in records:
        if size and size + len(data) > _PART_BYTES:
            yield part
            part, size = pb.ReadHistoryResponse(), 0
        try:
            record = decode_record(data)
        except ValueError:
            _log.exception("record cannot be read", session=session_id)
            raise Internal from None
        event = part.events.add()
        event.event.CopyFrom(event_to_wire(record, session_id))
        event.hash = record.hash.hex()
        size += len(data)
    yield part
