"""Whether what clients saw is what the product promises, given what stands in the repository.

Every rule is exact: a sentence that it returns is a broken promise, and never bad luck.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from services.store.history import History as Keys
from sessiond.event_wire import event_to_wire
from sessiond.session.apply import apply, message_of
from sessiond.session.events import OutputDecided, Record, TurnEnded
from sessiond.session.state import Session
from sessiond.store.codec import StoredHead, decode_entry, decode_head, decode_record
from tests.simulation.history import FAIL, OK, History, Operation, Shown
from tests.simulation.workers import text_of


@dataclass(slots=True)
class Log:
    """A session as it was written, event by event, and head by head."""

    session_id: str
    records: list[Record] = field(default_factory=list)
    heads: list[StoredHead] = field(default_factory=list)
    rewritten: list[int] = field(default_factory=list)

    @property
    def deleted(self) -> bool:
        """Whether a tombstone stands there."""
        return bool(self.heads) and self.heads[-1].tombstone is not None

    def messages(self, seq: int) -> list[str]:
        """Return the messages up to a seq."""
        found = (message_of(record) for record in self.records[:seq])
        return [message.content for message in found if message is not None]


def logs_of(keys: Keys) -> dict[str, Log]:
    """Return the logs of all sessions, deleted ones as they stood before."""
    logs: dict[str, Log] = {}
    for key in keys._keys:
        if key[0] == "head":
            log = logs.setdefault(str(key[1]), Log(str(key[1])))
            log.heads = [decode_head(value) for _, value in keys._values[key] if value]
    for key in keys._keys:
        if key[0] == "record":
            log = logs[str(key[1])]
            values = [value for _, value in keys._values[key] if value is not None]
            log.records.append(decode_record(values[0]))
            if len(values) > 1:
                log.rewritten.append(int(key[2]))
    return logs


def judge(history: History, keys: Keys) -> Iterator[str]:
    """Yield everything that is wrong."""
    logs = logs_of(keys)
    for log in logs.values():
        yield from _log(log)
        yield from _index(log, keys)
    for asked in history.operations:
        if asked.session_id:
            yield from _operation(asked, logs.get(asked.session_id))
    yield from _order(history, logs)
    by_reader: dict[tuple[str, int, str], list[Shown]] = defaultdict(list)
    for shown in history.shown:
        by_reader[shown.client, shown.attachment, shown.session_id].append(shown)
    wires = {
        name: [
            event_to_wire(each, name).SerializeToString(deterministic=True) for each in log.records
        ]
        for name, log in logs.items()
    }
    for (client, number, session_id), seen in by_reader.items():
        where = f"{client} in {session_id}, attachment {number}"
        for wrong in _stream(seen, logs[session_id], wires[session_id]):
            yield f"{where}: {wrong}"


def _log(log: Log) -> Iterator[str]:
    name = log.session_id
    for seq in log.rewritten:
        yield f"{name}: record {seq} was written twice"
    seqs = [record.seq for record in log.records]
    if seqs != list(range(1, len(seqs) + 1)):
        yield f"{name}: the log is not dense: {seqs}"
    standing = [head for head in log.heads if head.tombstone is None]
    if standing and standing[-1].seq != len(seqs):
        yield f"{name}: the head says {standing[-1].seq}, and there are {len(seqs)} records"
    seen: set[object] = set()
    for record in log.records:
        key = (record.actor, record.op_id)
        if key in seen:
            yield f"{name}: operation {record.op_id} stands in the log twice"
        seen.add(key)
    owners: dict[int, bytes] = {}
    for before, head in itertools.pairwise(standing):
        if head.meta.epoch < before.meta.epoch or head.meta.log_id != before.meta.log_id:
            yield f"{name}: epoch {head.meta.epoch} follows {before.meta.epoch}"
        if head.meta.owner != before.meta.owner and head.meta.epoch == before.meta.epoch:
            yield f"{name}: another owner in the same epoch {head.meta.epoch}"
        owners[head.meta.epoch] = head.meta.owner
    for record in log.records[1:]:
        if owners.get(record.epoch) != record.instance:
            yield f"{name}: record {record.seq} was not written by the owner of its epoch"
    decided: set[str] = set()
    state: Session | None = None
    for record in log.records:
        try:
            state = apply(state, record)
        except Exception as error:  # whatever it is, the log cannot be read
            yield f"{name}: record {record.seq} does not follow: {error!r}"
            return
        if isinstance(record.event, OutputDecided):
            if record.event.output_id in decided:
                yield f"{name}: {record.event.output_id} was decided twice"
            decided.add(record.event.output_id)


def _index(log: Log, keys: Keys) -> Iterator[str]:
    entries = [
        decode_entry(value)
        for key, value in keys.range(("entry", "alice"))
        if key[3] == log.session_id
    ]
    if log.deleted:
        if entries:
            yield f"{log.session_id}: deleted, and still in the list"
    elif [entry.revision for entry in entries] != [len(log.records)]:
        yield f"{log.session_id}: {len(log.records)} records, in the list {entries}"


def _operation(asked: Operation, log: Log | None) -> Iterator[str]:
    if log is None:
        yield f"{asked}: nothing stands there"
        return
    if asked.kind == "get":
        if asked.outcome == OK and asked.told != log.messages(asked.seq):
            yield f"{asked.client} read {asked.session_id} at {asked.seq} otherwise than it is"
        return
    found = [each for each in log.records if each.op_id == asked.op_id]
    if asked.outcome == FAIL and found:
        yield f"{asked.op_id} failed with {asked.reason}, and stands at {found[0].seq}"
    if asked.outcome != OK:
        return
    if asked.kind == "delete":
        if not log.deleted:
            yield f"{asked.op_id} deleted {asked.session_id}, which is still there"
    elif found and found[0].seq != asked.seq:
        yield f"{asked.op_id} was answered {asked.seq}, and stands at {found[0].seq}"
    elif not found and asked.kind in ("append", "create", "submit", "update", "begin", "end"):
        yield f"{asked.op_id} was answered {asked.seq}, and is lost"
    if asked.seq > len(log.records):
        yield f"{asked.op_id} was answered {asked.seq}, and the log ends at {len(log.records)}"


def _order(history: History, logs: dict[str, Log]) -> Iterator[str]:
    """Compare what was known before an operation began with what its answer says."""
    seqs = {
        (name, record.op_id): record.seq for name, log in logs.items() for record in log.records
    }
    begun = {each.op_id: each.invoked for each in history.operations if each.op_id}
    events: list[tuple[float, int, str, int, Operation | None]] = []
    for asked in history.operations:
        if asked.outcome != OK and asked.reason != "SESSION_NOT_FOUND" and not asked.reads:
            continue
        own = seqs.get((asked.session_id, asked.op_id), 0)
        events.append((asked.invoked, 1, asked.session_id, 0, asked))
        if asked.outcome == OK:
            for name, seq in (
                (asked.told or {}).items()
                if asked.kind == "list"
                else ((asked.session_id, own or asked.seq),)
            ):
                events.append((asked.returned, 0, name, seq, None))
    for shown in history.shown:
        if shown.kind == "event":
            events.append((shown.at, 0, shown.session_id, shown.seq, None))
            log = logs[shown.session_id]
            if shown.seq <= len(log.records):
                op_id = log.records[shown.seq - 1].op_id
                if begun.get(op_id, 0.0) > shown.at:
                    yield f"{op_id} was shown before it was asked for"
    known: dict[str, int] = defaultdict(int)
    gone: dict[str, float] = {
        asked.session_id: asked.returned
        for asked in history.operations
        if asked.kind == "delete" and asked.outcome == OK
    }
    for at, what, name, seq, it in sorted(events, key=lambda each: each[:4]):
        if what == 0:
            known[name] = max(known[name], seq)
        elif it is not None and it.outcome == OK:
            yield from _fresh(it, known, seqs, gone, at)


def _fresh(
    asked: Operation,
    known: dict[str, int],
    seqs: dict[tuple[str, str], int],
    gone: dict[str, float],
    at: float,
) -> Iterator[str]:
    if asked.kind == "list":
        for name, seq in known.items():
            shown = asked.told.get(name)
            # One that is not there is deleted, or is missed when the index is compared at the end.
            if shown is not None and shown < seq:
                yield f"{asked.client} listed {name} at {shown}, when {seq} was known"
        return
    name = asked.session_id
    if name in gone and at > gone[name] and asked.kind != "delete":
        yield f"{asked.client} was given {name} by {asked.kind} after it was deleted"
    own = seqs.get((name, asked.op_id))
    if asked.kind == "get" and asked.seq < known[name]:
        yield f"{asked.client} read {name} at {asked.seq}, when {known[name]} was known"
    elif own is None and asked.kind != "delete" and asked.seq < known[name]:
        yield f"{asked.op_id} changed nothing at {asked.seq}, when {known[name]} was known"
    elif own is not None and own <= known[name] and asked.kind not in ("create",):
        yield f"{asked.op_id} stands at {own}, and {known[name]} was known before"


def _stream(seen: list[Shown], log: Log, wires: list[bytes]) -> Iterator[str]:
    """Follow one attachment: every event once, from where it began."""
    at: int | None = None
    messages: list[str] = []
    texts: dict[str, int] = {}
    turns = {
        record.event.turn_id: record.op_id
        for record in log.records
        if hasattr(record.event, "turn_id") and not isinstance(record.event, TurnEnded)
    }
    for shown in seen:
        match shown.kind:
            case "attached":
                at = shown.seq or None
            case "reset":
                at, messages, texts = None, [], {}
            case "snapshot":
                last, more = shown.what
                messages += more
                if last:
                    at = shown.seq
                    if messages != log.messages(at):
                        yield f"a snapshot at {at} shows what is not there"
            case "event":
                if at is None or shown.seq != at + 1:
                    yield f"event {shown.seq} came after {at}"
                at = shown.seq
                if at > len(wires) or shown.what != wires[at - 1]:
                    yield f"event {at} is not what stands in the log"
            case "caught_up":
                if at is None or at < shown.seq:
                    yield f"caught up with {shown.seq} at {at}"
            case "text":
                turn_id, offset, text = shown.what
                op_id = turns.get(turn_id)
                if op_id is None:
                    yield f"text of a turn {turn_id} that never began"
                    continue
                if offset != texts.get(turn_id, 0):
                    yield f"text at {offset} came when {texts.get(turn_id, 0)} was there"
                texts[turn_id] = offset + len(text)
                if text_of(op_id)[offset : offset + len(text)] != text:
                    yield f"text at {offset} is not what was written"
