"""Loading a session without its history: the head says which few records hold the rest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sessiond.session.contents import inputs_at, last_message_at, needed, output_at
from sessiond.session.events import Record, SessionCreated
from sessiond.session.state import OutputRow, Session
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
    created = needed(by_seq, 1).event
    if not isinstance(created, SessionCreated):
        raise ValueError("record 1 does not create a session")
    last_message = ""
    if head.last_message_seq:
        last_message = last_message_at(by_seq, head.last_message_seq)
    granted, links = decode_members(members)
    return Session(
        id=created.session_id,
        user_id=head.user_id,
        workflow=created.workflow,
        status=head.status,
        current_step=head.current_step,
        created_ms=head.created_ms,
        last_active_ms=head.last_active_ms,
        user_inputs=inputs_at(by_seq, head.inputs_seq),
        inputs_seq=head.inputs_seq,
        title=head.title,
        title_given=head.title_given,
        metadata=head.metadata,
        seq=head.seq,
        outputs={row.id: output_at(by_seq, row) for row in outputs},
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
