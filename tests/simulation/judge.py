"""Whether what clients saw is what the product promises, given what stands in the repository.

The checker of the fault rounds judges what clients can know. Beside it stand the few laws that only
somebody can judge who sees every value that a key ever had.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise

from services.store.history import History as Keys
from sessiond.event_wire import event_to_wire
from sessiond.session.apply import apply
from sessiond.session.events import Record
from sessiond.session.state import Session
from sessiond.store.codec import decode_draft, decode_entry, decode_head, decode_record
from tests.faults.check import check
from tests.faults.final import (
    Final,
    StoredDraft,
    StoredEntry,
    StoredHead,
    StoredSession,
    stored_record,
)
from tests.simulation.history import History

# What is stored is looked at from several sides, and read once.
_head = lru_cache(4096)(decode_head)
_record = lru_cache(4096)(decode_record)


def judge(history: History, keys: Keys) -> Iterator[str]:
    """Yield everything that is wrong."""
    final = final_of(keys)
    for violation in check(list(history.entries()), final):
        yield str(violation)
    logs = logs_of(keys)
    yield from _written_once(keys)
    for name, log in logs.items():
        yield from _heads(name, log, keys)
        yield from _follows(name, log)
    yield from _shown_as_stored(history, logs)


def logs_of(keys: Keys) -> dict[str, list[Record]]:
    """Return the log of each session, of a deleted one as it stood before."""
    logs: dict[str, list[Record]] = defaultdict(list)
    for key in keys._keys:
        if key[0] == "record":
            first = next(value for _, value in keys._values[key] if value is not None)
            logs[str(key[1])].append(_record(first))
    return logs


def final_of(keys: Keys) -> Final:
    """Return what stands there now."""
    heads = {str(key[1]): _head(value) for key, value in keys.range(("head",))}
    records = defaultdict(list)
    for key, value in keys.range(("record",)):
        records[str(key[1])].append(stored_record(_record(value)))
    drafts = []
    for key, value in keys.range(("draft",)):
        offset, text = decode_draft(value)
        drafts.append(StoredDraft(str(key[1]), str(key[2]), offset, text))
    sessions = {
        name: StoredSession(
            StoredHead(
                log_id=f"{head.meta.log_id:016x}",
                seq=head.seq,
                epoch=head.meta.epoch,
                owner=head.meta.owner.hex(),
                user=head.user_id,
                awaits=head.meta.awaited_agent,
            ),
            records[name],
        )
        for name, head in heads.items()
        if head.tombstone is None
    }
    entries = [
        StoredEntry(str(key[1]), str(key[3]), decode_entry(value).revision)
        for key, value in keys.range(("entry",))
    ]
    children = {*records, *(draft.session for draft in drafts)}
    return Final(
        sessions=sessions,
        entries=entries,
        tombstones=frozenset(heads) - frozenset(sessions),
        drafts=drafts,
        orphans=frozenset(children) - frozenset(sessions),
        awaited=frozenset((str(key[1]), str(key[2])) for key, _ in keys.range(("awaited",))),
    )


def _written_once(keys: Keys) -> Iterator[str]:
    for key in keys._keys:
        if key[0] == "record":
            values = [value for _, value in keys._values[key] if value is not None]
            if len(values) > 1:
                yield f"{key[1]}: record {key[2]} was written twice"


def _heads(name: str, log: list[Record], keys: Keys) -> Iterator[str]:
    """Compare each head with the one before, and each record with the owner of its epoch."""
    values = keys._values["head", name]
    decoded = [_head(value) for _, value in values if value]
    heads = [head.meta for head in decoded if head.tombstone is None]
    for before, head in pairwise(heads):
        if head.epoch < before.epoch or head.log_id != before.log_id:
            yield f"{name}: epoch {head.epoch} follows {before.epoch}"
        if head.owner != before.owner and head.epoch == before.epoch:
            yield f"{name}: another owner in the same epoch {head.epoch}"
    owners = {head.epoch: head.owner for head in heads}
    for record in log[1:]:
        if owners.get(record.epoch) != record.instance:
            yield f"{name}: record {record.seq} was not written by the owner of its epoch"


def _follows(name: str, log: list[Record]) -> Iterator[str]:
    state: Session | None = None
    for record in log:
        try:
            state = apply(state, record)
        except Exception as error:  # whatever it is, the log cannot be read
            yield f"{name}: record {record.seq} does not follow: {error!r}"
            return


def _shown_as_stored(history: History, logs: dict[str, list[Record]]) -> Iterator[str]:
    """Compare each event that was shown, to the bit, with the record that it speaks of."""
    wires = {
        (name, record.seq): event_to_wire(record, name)
        for name, log in logs.items()
        for record in log
    }
    for event in history.events:
        if event != wires.get((event.session_id, event.seq)):
            yield f"{event.session_id}: event {event.seq} was shown otherwise than it stands"
