"""Whether what clients saw and were told is what is stored. Every check names what it found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from sessiond.session.events import MessageAppended, Record
from show.ledger import UNKNOWN, Operation, View

ENOUGH = 0.8
"""The share of what was planned that has to be acknowledged, for the rest to mean anything."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One session: all its records as they are stored, what was asked, and what was seen."""

    session_id: str
    records: Sequence[Record]
    operations: Sequence[Operation]
    views: Sequence[View]


def complaints_about(evidence: Evidence) -> Iterator[str]:
    """Yield all that is wrong with one session."""
    for complaint in (
        *_log(evidence.records),
        *_answers(evidence.records, evidence.operations),
        *(each for view in evidence.views for each in _view(view, evidence.records)),
    ):
        yield f"session {evidence.session_id}: {complaint}"


def enough(operations: Sequence[Operation]) -> Iterator[str]:
    """Yield a complaint where too few of the planned operations were acknowledged."""
    acknowledged = sum(operation.acknowledged is not None for operation in operations)
    if acknowledged < ENOUGH * len(operations) or not operations:
        yield f"{acknowledged} of {len(operations)} planned operations were acknowledged"


def none_failed(operations: Sequence[Operation]) -> Iterator[str]:
    """Yield a complaint where any operation was answered with an error, or not at all."""
    failed = [each for each in operations if each.errors or each.acknowledged is None]
    if failed:
        names = Counter(each.refused or "an error, then repeated" for each in failed)
        yield f"{len(failed)} operations failed: " + ", ".join(
            f"{count} with {name}" for name, count in names.most_common()
        )


def reconnected(views: Sequence[View]) -> Iterator[str]:
    """Yield a complaint where any client had to connect again."""
    count = sum(view.reconnects for view in views)
    if count:
        yield f"browsers connected again {count} times"


def _log(records: Sequence[Record]) -> Iterator[str]:
    """The log is dense, its epochs only grow, and no operation is in it twice."""
    seqs = [record.seq for record in records]
    if seqs != list(range(1, len(records) + 1)):
        yield f"the stored log is not numbered 1..{len(records)}"
    for before, after in pairwise(records):
        if after.epoch < before.epoch:
            yield f"record {after.seq} has epoch {after.epoch} after {before.epoch}"
        elif after.epoch == before.epoch and before.instance and after.instance != before.instance:
            yield f"record {after.seq} has another owner in the same epoch"
    for op_id, count in Counter(record.op_id for record in records).items():
        if count > 1:
            yield f"{op_id} is stored {count} times"


def _answers(records: Sequence[Record], operations: Sequence[Operation]) -> Iterator[str]:
    """What was acknowledged is stored as it was, what was refused is not; all was answered."""
    stored = {record.op_id: record for record in records[1:]}
    for operation in operations:
        record = stored.pop(operation.op_id, None)
        if not operation.answered:
            yield f"{operation.op_id} was never answered"
        elif operation.refused:
            if record is not None and operation.refused not in UNKNOWN:
                yield f"{operation.op_id} was refused as {operation.refused}, and is stored"
        elif record is None:
            yield f"{operation.op_id} was acknowledged, and is not stored"
        elif record.seq != operation.seq:
            yield (
                f"{operation.op_id} was acknowledged as {operation.seq}, "
                f"and is stored as {record.seq}"
            )
        elif not _says(record, operation.text):
            yield f"{operation.op_id} is stored with another text"
    for op_id in stored:
        yield f"{op_id} is stored, and nobody asked for it"


def _says(record: Record, text: str) -> bool:
    return isinstance(record.event, MessageAppended) and record.event.content == text


def _view(view: View, records: Sequence[Record]) -> Iterator[str]:
    """A client saw every event after its first, once, in order, and holds what a load gives."""
    if view.ended:
        yield f"{view.client} could follow no longer: {view.ended}"
    if view.resets:
        yield f"{view.client} was reset {view.resets} times"
    seen = view.log
    for before, (seq, _) in enumerate(seen, start=view.first):
        if seq != before + 1:
            yield f"{view.client} saw event {seq} after {before}"
            break
    else:
        stored = [(record.seq, record.op_id) for record in records[view.first :]]
        if len(seen) != len(stored):
            yield f"{view.client} saw events up to {view.seq} of {len(records)}"
        elif seen != stored:
            yield f"{view.client} saw other events than are stored"
    if view.difference:
        yield f"{view.client} holds another state than a fresh load: {view.difference}"
