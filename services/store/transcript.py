"""A session's log at one revision, read in runs, and the messages in it.

Messages are the greater part of a log, so they go straight from what stands in etcd to what the
caller reads: by way of the rules' own values a thousand of them would take four times as long.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

import structlog
from google.protobuf.internal.containers import RepeatedCompositeFieldContainer
from google.protobuf.message import DecodeError

from services.store.acquisition import run_length, whole
from services.store.repository import Repository, Snapshot
from sessiond.errors import Internal
from sessiond.store.codec import StoredHead
from sessiond.store.v1 import records_pb2
from sessiond.v1 import session_pb2

_log = structlog.get_logger(__name__)

# Small events stand between messages: so many more records than messages are read.
_MARGIN = 8

# Both sides are numbers of the one enum. To look the types up costs as much as to use them.
_Sender = session_pb2.Sender.ValueType
_MessageType = session_pb2.MessageType.ValueType

Messages = RepeatedCompositeFieldContainer[session_pb2.Message]


class Transcript:
    """The log of one session as it stood at the revision of a snapshot."""

    def __init__(
        self, repository: Repository, session_id: str, snapshot: Snapshot, head: StoredHead
    ) -> None:
        self._repository = repository
        self._session_id = session_id
        self._revision = snapshot.revision
        self._head = head

    async def forward(
        self, first_seq: int, last_seq: int, *, messages: int
    ) -> AsyncGenerator[list[records_pb2.Record], None]:
        """Yield the records of a range in runs, oldest first, fit to find so many messages.

        Raises:
            RevisionCompacted: the revision is gone.
        """
        run = self._run(messages)
        while first_seq <= last_seq:
            last = min(first_seq + run - 1, last_seq)
            yield await self._read(first_seq, last)
            first_seq = last + 1

    async def backward(
        self, first_seq: int, last_seq: int, *, messages: int
    ) -> AsyncGenerator[list[records_pb2.Record], None]:
        """Yield the records of a range in runs, each newest first, as `forward` does."""
        run = self._run(messages)
        while first_seq <= last_seq:
            first = max(last_seq - run + 1, first_seq)
            yield (await self._read(first, last_seq))[::-1]
            last_seq = first - 1

    def _run(self, messages: int) -> int:
        return max(1, min(messages + messages // 8 + _MARGIN, 4 * run_length(self._head)))

    async def _read(self, first_seq: int, last_seq: int) -> list[records_pb2.Record]:
        found = await self._repository.records(
            self._session_id, first_seq, last_seq, revision=self._revision
        )
        whole(self._session_id, found, last_seq - first_seq + 1)
        return [parsed(self._session_id, data) for data in found]


def parsed(session_id: str, data: bytes) -> records_pb2.Record:
    """Return the record of these bytes.

    Raises:
        Internal: they are none that this version knows; that is a fault of ours, and logged.
    """
    try:
        record = records_pb2.Record.FromString(data)
    except DecodeError:
        _log.exception("record cannot be read", session=session_id)
        raise Internal from None
    if record.WhichOneof("event") is None:
        _log.error("record holds no known event", session=session_id, seq=record.seq)
        raise Internal
    return record


def is_message(record: records_pb2.Record) -> bool:
    """Return whether the record holds a message: one that was appended, or a turn's."""
    kind = record.WhichOneof("event")
    return kind == "message_appended" or (
        kind == "turn_ended" and record.turn_ended.message_id != ""
    )


def add_message(messages: Messages, record: records_pb2.Record, session_id: str) -> None:
    """Add the message that the record holds, as `sessiond.session.apply.message_of` has it."""
    if record.HasField("turn_ended"):
        ended = record.turn_ended
        message = messages.add(
            id=ended.message_id,
            session_id=session_id,
            sender=session_pb2.SENDER_AGENT,
            type=session_pb2.MESSAGE_TYPE_TEXT,
            content=ended.content,
            seq=record.seq,
        )
        _complete(message, record, ended)
        return
    stored = record.message_appended
    message = messages.add(
        id=stored.id,
        session_id=session_id,
        sender=_Sender(stored.sender),
        type=_MessageType(stored.type),
        content=stored.content,
        seq=record.seq,
    )
    _complete(message, record, stored)


def _complete(
    message: session_pb2.Message,
    record: records_pb2.Record,
    stored: records_pb2.MessageAppended | records_pb2.TurnEnded,
) -> None:
    time = message.timestamp
    time.seconds, ms = divmod(record.time_ms, 1000)
    time.nanos = ms * 1_000_000
    if stored.HasField("agent_id"):
        message.agent_id = stored.agent_id
    if stored.HasField("metadata"):
        message.metadata.text = stored.metadata
