"""What a state tells in full and a head, a table or a rewind names by seqs: read from records."""

from __future__ import annotations

from collections.abc import Mapping
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
from sessiond.session.state import Output, OutputRow

Records = Mapping[int, Record]
"""Records by their seqs. All functions raise ValueError where one is missing, or holds another."""


def needed(records: Records, seq: int) -> Record:
    """Return the record of this seq."""
    record = records.get(seq)
    if record is None:
        raise ValueError(f"record {seq} is missing")
    return record


def inputs_at(records: Records, seq: int) -> str:
    """Return the inputs that became those of the session there."""
    event = needed(records, seq).event
    if isinstance(event, SessionCreated | SessionUpdated) and event.user_inputs is not None:
        return event.user_inputs
    raise ValueError(f"record {seq} holds no inputs")


def last_message_at(records: Records, seq: int) -> str:
    """Return the beginning of the message that was appended there."""
    message = message_of(needed(records, seq))
    if message is None:
        raise ValueError(f"record {seq} appends no message")
    return message.content[:LAST_MESSAGE_CHARACTERS]


def output_at(records: Records, row: OutputRow) -> Output:
    """Return the output that the row names."""
    held = needed(records, row.body_seq).event
    if not isinstance(held, OutputSubmitted | OutputEdited):
        raise ValueError(f"record {row.body_seq} holds no output")
    output = Output(held.output, body_seq=row.body_seq)
    if row.decision_seq:
        record = needed(records, row.decision_seq)
        if not isinstance(record.event, OutputDecided):
            raise ValueError(f"record {row.decision_seq} decides no output")
        output = decided(output, record, record.event)
    return replace(output, status=row.status)
