"""Whether what clients saw is what the product promises, given what stands in the repository.

The checker of the fault rounds judges what clients can know. Beside it stand the few laws that only
somebody can judge who sees every value that a key ever had.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any

from services.store.history import History as Keys
from sessiond.event_wire import event_to_wire
from sessiond.session.apply import apply, message_of
from sessiond.session.events import Record
from sessiond.session.rewinding import fill, fold
from sessiond.session.standing import Rewound
from sessiond.session.state import Session
from sessiond.store.codec import decode_draft, decode_entry, decode_head, decode_record
from sessiond.v1 import session_pb2 as pb
from sessiond.wire import session_to_wire
from tests.faults.check import Law, Violation, check
from tests.faults.final import (
    Final,
    StoredDraft,
    StoredEntry,
    StoredHead,
    StoredSession,
    stored_record,
)
from tests.simulation.clients import state_of
from tests.simulation.history import History

# What is stored is looked at from several sides, and read once.
_head = lru_cache(4096)(decode_head)
_record = lru_cache(4096)(decode_record)

_PRESENT = ("revision", "last_active", "user_id", "held", "created_at", "lineage")
"""What of a session does not go back with a rewind; a fork's beginning is not its parent's."""


def judge(history: History, keys: Keys) -> Iterator[str]:
    """Yield everything that is wrong."""
    logs = logs_of(keys)
    final = final_of(keys, _states(history, logs))
    for violation in check(list(history.entries()), final):
        yield str(violation)
    yield from _written_once(keys)
    for name, log in logs.items():
        yield from _heads(name, log, keys)
        yield from _follows(name, log)
        yield from _leads_to_the_past(name, log)
    yield from _shown_as_stored(history, logs)


def logs_of(keys: Keys) -> dict[str, list[Record]]:
    """Return the log of each session, of a deleted one as it stood before."""
    logs: dict[str, list[Record]] = defaultdict(list)
    for key in keys._keys:
        if key[0] == "record":
            first = next(value for _, value in keys._values[key] if value is not None)
            logs[str(key[1])].append(_record(first))
    return logs


def _states(history: History, logs: dict[str, list[Record]]) -> dict[str, dict[int, str]]:
    """Return the digests of sessions as their logs make them, where somebody was shown them."""
    states: dict[str, dict[int, str]] = defaultdict(dict)
    for asked in history.operations:
        revision, _ = asked.state
        log, known = logs.get(asked.session_id, []), states[asked.session_id]
        if 0 < revision <= len(log) and revision not in known:
            whole = _whole(log[:revision])
            known[revision] = "" if whole is None else state_of(whole)
    return states


def _whole(log: list[Record]) -> pb.Session | None:
    """Return what a log makes; None where its records contradict one another."""
    try:
        session = fill(fold(None, log), log)
    except ValueError:
        return None
    counts = [record for record in log if session.conversation.holds(record.seq)]
    messages = [message for record in counts if (message := message_of(record)) is not None]
    return session_to_wire(session, messages)


def final_of(keys: Keys, states: dict[str, dict[int, str]]) -> Final:
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
            states[name],
        )
        for name, head in heads.items()
        if head.tombstone is None and head.meta.building is None
    }
    building = frozenset(name for name, head in heads.items() if head.meta.building is not None)
    entries = [
        StoredEntry(str(key[1]), str(key[3]), decode_entry(value).revision)
        for key, value in keys.range(("entry",))
    ]
    children = {*records, *(draft.session for draft in drafts)}
    return Final(
        sessions=sessions,
        entries=entries,
        tombstones=frozenset(heads) - frozenset(sessions) - building,
        drafts=drafts,
        orphans=frozenset(children) - frozenset(sessions) - building,
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


def _leads_to_the_past(name: str, log: list[Record]) -> Iterator[str]:
    """Compare a session after each rewind with what it was; what is not of the past stays."""
    for record in log:
        if isinstance(record.event, Rewound) and record.event.to_seq < record.seq:
            now, then = _whole(log[: record.seq]), _whole(log[: record.event.to_seq])
            if now is None or then is None:
                yield f"{name}: the rewind {record.seq} leads nowhere"
                return
            each: Any
            for each in (now, then):
                for field in _PRESENT:
                    each.ClearField(field)
            if now != then:
                violation = Violation(Law.STATE_DIFFERS, name, (record.seq, then, now))
                yield str(violation).replace("\n", " ")


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
