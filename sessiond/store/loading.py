"""Loading a session without its history: the head says which few records hold the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from sessiond.session.apply import LAST_MESSAGE_CHARACTERS, decided, message_of
from sessiond.session.events import (
    OutputDecided,
    OutputEdited,
    OutputSubmitted,
    Record,
    SessionCreated,
    SessionUpdated,
)
from sessiond.session.state import Output, OutputRow, Session
from sessiond.store.heads import StoredHead
from sessiond.store.standing import decode_members


def needed_seqs(head: StoredHead, outputs: Sequence[OutputRow]) -> list[int]:
    """Return the seqs of the records that `load` needs, in order.

    They are the first record and those that hold the inputs, the newest message, and each
    output's body and decision: at most 515 whatever the length of the history.
    """
    seqs = {1, head.inputs_seq, head.last_message_seq}
    for row in outputs:
        seqs.add(row.body_seq)
        seqs.add(row.decision_seq)
    return sorted(seqs - {0})


def load(
    head: StoredHead,
    outputs: Sequence[OutputRow],
    records: Iterable[Record],
    members: bytes = b"",
) -> Session:
    """Return the session that the head describes; records beyond the needed ones do no harm.

    `members` is its table of members and links as it is stored; b"" for none.

    Raises:
        ValueError: the head is a tombstone, a needed record is missing, it does not hold what the
            head says, or the table cannot be read.
    """
    if head.tombstone is not None:
        raise ValueError("a deleted session cannot be loaded")
    by_seq = {record.seq: record for record in records}
    created = _needed(by_seq, 1).event
    if not isinstance(created, SessionCreated):
        raise ValueError("record 1 does not create a session")
    last_message = ""
    if head.last_message_seq:
        message = message_of(_needed(by_seq, head.last_message_seq))
        if message is None:
            raise ValueError(f"record {head.last_message_seq} appends no message")
        last_message = message.content[:LAST_MESSAGE_CHARACTERS]
    granted, links = decode_members(members)
    return Session(
        id=created.session_id,
        user_id=head.user_id,
        workflow=created.workflow,
        status=head.status,
        current_step=head.current_step,
        created_ms=head.created_ms,
        last_active_ms=head.last_active_ms,
        user_inputs=_inputs(_needed(by_seq, head.inputs_seq)),
        inputs_seq=head.inputs_seq,
        title=head.title,
        title_given=head.title_given,
        metadata=head.metadata,
        seq=head.seq,
        outputs={row.id: _output(row, by_seq) for row in outputs},
        message_count=head.message_count,
        last_message_seq=head.last_message_seq,
        last_message=last_message,
        last_word=head.last_word,
        turn=head.turn,
        members=granted,
        links=links,
        held=head.held,
        lineage=head.lineage,
        conversation=head.conversation,
    )


def _needed(by_seq: Mapping[int, Record], seq: int) -> Record:
    record = by_seq.get(seq)
    if record is None:
        raise ValueError(f"record {seq} is missing")
    return record


def _inputs(record: Record) -> str:
    event = record.event
    if isinstance(event, SessionCreated | SessionUpdated) and event.user_inputs is not None:
        return event.user_inputs
    raise ValueError(f"record {record.seq} holds no inputs")


def _output(row: OutputRow, by_seq: Mapping[int, Record]) -> Output:
    held = _needed(by_seq, row.body_seq).event
    if not isinstance(held, OutputSubmitted | OutputEdited):
        raise ValueError(f"record {row.body_seq} holds no output")
    output = Output(held.output, body_seq=row.body_seq)
    if row.decision_seq:
        record = _needed(by_seq, row.decision_seq)
        if not isinstance(record.event, OutputDecided):
            raise ValueError(f"record {row.decision_seq} decides no output")
        output = decided(output, record, record.event)
    return replace(output, status=row.status)
