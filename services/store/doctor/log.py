"""Whether a log is whole: dense, in order, and what the head says of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from services.store.doctor.findings import Finding, Kind
from sessiond.session.apply import apply
from sessiond.session.events import Record
from sessiond.session.rewinding import fill
from sessiond.session.standing import Rewound
from sessiond.session.state import Session
from sessiond.store.codec import StoredHead, decode_record


def read_log(
    session_id: str, head: StoredHead, stored: Mapping[int, bytes]
) -> tuple[list[Record], list[Finding]]:
    """Return the records 1..seq that can be read, in order, and what is wrong with the log."""
    records: list[Record] = []
    found = list(_holes(session_id, head.seq, stored))
    epoch = 0
    for seq in sorted(stored):
        if seq > head.seq:
            detail = f"record {seq} stands behind the head's seq {head.seq}"
            found.append(Finding(Kind.RECORD_BEYOND, session_id, detail))
            continue
        try:
            record = decode_record(stored[seq])
        except ValueError as error:
            detail = f"record {seq}: {error}"
            found.append(Finding(Kind.RECORD_UNREADABLE, session_id, detail))
            continue
        if record.seq != seq:
            detail = f"under seq {seq} stands record {record.seq}"
            found.append(Finding(Kind.RECORD_MISPLACED, session_id, detail))
            continue
        if record.epoch < epoch or record.epoch > head.meta.epoch:
            bound = (
                f"{epoch} before it" if record.epoch < epoch else f"the head's {head.meta.epoch}"
            )
            detail = f"record {seq} is of epoch {record.epoch}, against {bound}"
            found.append(Finding(Kind.EPOCH_FELL, session_id, detail))
        epoch = max(epoch, record.epoch)
        records.append(record)
    return records, found


def compare_head(
    head: StoredHead, loaded: Session, records: list[Record], size: int
) -> Iterator[Finding]:
    """Yield where the head differs from what its whole log makes of the session.

    `loaded` is the session by head and outputs, `size` the bytes of all records.
    """
    session_id = loaded.id
    try:
        folded: Session | None = None
        for place, record in enumerate(records):
            folded = apply(folded, record)
            if isinstance(record.event, Rewound):
                folded = fill(folded, records[:place])
    except (ValueError, KeyError) as error:
        detail = f"the log cannot be followed: {error}"
        yield Finding(Kind.HEAD_DISAGREES, session_id, detail)
        return
    assert folded is not None
    differing = [name for name in Session._fields if getattr(folded, name) != getattr(loaded, name)]
    if "outputs" in differing:
        differing.remove("outputs")
        detail = "the table of outputs is not what the log gives"
        yield Finding(Kind.OUTPUTS_DISAGREE, session_id, detail)
    if {"members", "links"} & set(differing):
        differing = [name for name in differing if name not in ("members", "links")]
        detail = "the table of members is not what the log gives"
        yield Finding(Kind.MEMBERS_DISAGREE, session_id, detail)
    if head.member_count != len(folded.members):
        differing.append("member_count")
    if head.current_agent != folded.current_agent:
        differing.append("current_agent")
    if head.meta.awaited_agent != folded.awaited_agent:
        differing.append("awaited_agent")
    if head.meta.size != size:
        differing.append("size")
    if differing:
        detail = f"the log gives another {', '.join(differing)}"
        yield Finding(Kind.HEAD_DISAGREES, session_id, detail)


def _holes(session_id: str, last: int, stored: Mapping[int, bytes]) -> Iterator[Finding]:
    """Yield one finding for each run of seqs that are missing."""
    before = 0
    for seq in (*sorted(seq for seq in stored if seq <= last), last + 1):
        if seq > before + 1:
            missing = f"{before + 1}" if seq == before + 2 else f"{before + 1} to {seq - 1}"
            yield Finding(Kind.LOG_HOLE, session_id, f"no record {missing} of {last}")
        before = seq
