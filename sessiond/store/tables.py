"""The outputs table and the index entry as they are stored: derived from a session's state."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.message import DecodeError

from sessiond.numbers import OUTPUT_STATUS_NUMBER, OUTPUT_STATUS_WORD, STATUS_NUMBER
from sessiond.session.state import OutputStatus, Session
from sessiond.store.v1 import records_pb2 as pb


@dataclass(frozen=True, slots=True)
class OutputRow:
    """Where one output is to be found: the seqs of its body and of its decision (0 for none)."""

    id: str
    status: OutputStatus
    body_seq: int
    decision_seq: int


def encode_outputs(session: Session) -> bytes:
    """Return the bytes of the session's outputs table, in the order of submission."""
    return pb.OutputTable(
        rows=[
            pb.OutputRow(
                id=output_id,
                status=OUTPUT_STATUS_NUMBER[output.status],
                body_seq=output.body_seq,
                decision_seq=output.decision_seq,
            )
            for output_id, output in session.outputs.items()
        ]
    ).SerializeToString()


def decode_outputs(data: bytes) -> tuple[OutputRow, ...]:
    """Return the rows of an outputs table; b"" is the table of a session without outputs.

    Raises:
        ValueError: the bytes are no table that this version knows.
    """
    try:
        return tuple(
            OutputRow(row.id, OUTPUT_STATUS_WORD[row.status], row.body_seq, row.decision_seq)
            for row in pb.OutputTable.FromString(data).rows
        )
    except (DecodeError, KeyError) as error:
        raise ValueError("these bytes are no outputs table that this version knows") from error


def encode_entry(session: Session) -> bytes:
    """Return the bytes of the session's index entry: its summary."""
    progress = session.progress
    return pb.IndexEntry(
        id=session.id,
        user_id=session.user_id,
        workflow_id=session.workflow.id,
        status=STATUS_NUMBER[session.status],
        current_agent=session.current_agent,
        current_step=session.current_step,
        created_ms=session.created_ms,
        last_active_ms=session.last_active_ms,
        total_steps=progress.total_steps,
        completed_steps=progress.completed_steps,
        current_step_id=progress.current_step_id,
        estimated_time_remaining=progress.estimated_time_remaining,
        stage_progress=progress.stage_progress,
        title=session.title,
        metadata=session.metadata,
        revision=session.seq,
        message_count=session.message_count,
        last_message=session.last_message,
    ).SerializeToString()


def decode_entry(data: bytes) -> pb.IndexEntry:
    """Return the index entry of these bytes, ready for `wire.summary_to_wire`.

    Raises:
        ValueError: they are no index entry.
    """
    try:
        return pb.IndexEntry.FromString(data)
    except DecodeError as error:
        raise ValueError("these bytes are no index entry") from error
