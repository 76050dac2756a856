"""The outputs table and the index entry as they are stored: derived from a session's state."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from google.protobuf.message import DecodeError

from sessiond.numbers import OUTPUT_STATUS_NUMBER, OUTPUT_STATUS_WORD, STATUS_NUMBER
from sessiond.session.state import OutputRow, Session
from sessiond.session.workflow import Workflow, progress
from sessiond.store.v1 import records_pb2 as pb


def encode_outputs(session: Session) -> bytes:
    """Return the bytes of the session's outputs table, in the order of submission."""
    return table_of(
        OutputRow(output_id, output.status, output.body_seq, output.decision_seq)
        for output_id, output in session.outputs.items()
    ).SerializeToString()


def table_of(rows: Iterable[OutputRow]) -> pb.OutputTable:
    """Return the table of these rows."""
    return pb.OutputTable(
        rows=[
            pb.OutputRow(
                id=row.id,
                status=OUTPUT_STATUS_NUMBER[row.status],
                body_seq=row.body_seq,
                decision_seq=row.decision_seq,
            )
            for row in rows
        ]
    )


def decode_outputs(data: bytes) -> tuple[OutputRow, ...]:
    """Return the rows of an outputs table; b"" is the table of a session without outputs.

    Raises:
        ValueError: the bytes are no table that this version knows.
    """
    try:
        return rows_of(pb.OutputTable.FromString(data))
    except (DecodeError, KeyError) as error:
        raise ValueError("these bytes are no outputs table that this version knows") from error


def rows_of(table: pb.OutputTable) -> tuple[OutputRow, ...]:
    """Return the rows of a table; KeyError where one is of a later version."""
    return tuple(
        OutputRow(row.id, OUTPUT_STATUS_WORD[row.status], row.body_seq, row.decision_seq)
        for row in table.rows
    )


def encode_entry(session: Session) -> bytes:
    """Return the bytes of the session's index entry: its summary."""
    stored = pb.IndexEntry()
    stored.id = session.id
    stored.user_id = session.user_id
    stored.status = STATUS_NUMBER[session.status]
    stored.created_ms = session.created_ms
    stored.last_active_ms = session.last_active_ms
    stored.title = session.title
    for key, value in session.metadata.items():
        stored.metadata[key] = value
    stored.revision = session.seq
    stored.message_count = session.message_count
    stored.last_message = session.last_message
    stored.held = session.held
    if session.lineage is not None:
        stored.lineage.session_id = session.lineage.session_id
        stored.lineage.seq = session.lineage.seq
    return _place(session.workflow, session.current_step) + stored.SerializeToString()


# Every commit writes an entry, and only approvals move a session to its next step: what follows
# from the step is encoded once. Encodings that follow one another are one message; see `encoding`.
@lru_cache(maxsize=1000)
def _place(workflow: Workflow, step: int) -> bytes:
    """Return the part of an entry that says where in its workflow a session stands."""
    so_far = progress(workflow, step)
    return pb.IndexEntry(
        workflow_id=workflow.id,
        current_agent=workflow.agent_at(step),
        current_step=step,
        total_steps=so_far.total_steps,
        completed_steps=so_far.completed_steps,
        current_step_id=so_far.current_step_id,
        estimated_time_remaining=so_far.estimated_time_remaining,
        stage_progress=so_far.stage_progress,
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
