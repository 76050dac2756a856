"""Examining one session, one key of a list, or one value that stands alone, at one revision.

What is stored in one transaction is judged at one revision, so a system that is at work looks as
well as one that rests.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from google.protobuf.message import DecodeError

from services.store.doctor.chart import Chart, Children
from services.store.doctor.findings import Finding, Kind, Repair
from services.store.doctor.log import compare_head, read_log
from services.store.keys import (
    AwaitedKey,
    CopyKey,
    DeletedKey,
    EntryKey,
    ErasureKey,
    JobKey,
    Keys,
    SharedKey,
    Span,
    TemplateKey,
)
from sessiond.session.state import Session
from sessiond.store.codec import (
    Building,
    StoredHead,
    decode_entry,
    decode_head,
    decode_members,
    decode_outputs,
    encode_entry,
    load,
)
from sessiond.store.templates import decode_template
from sessiond.store.v1 import records_pb2

Place = EntryKey | SharedKey | AwaitedKey | CopyKey | DeletedKey
"""A key that says something of a session, and stands elsewhere."""

Value = TemplateKey | JobKey | ErasureKey
"""A key that no session depends on."""

ABANDONED_MS: Final = 60 * 60 * 1000
"""How long a copy may rest before it counts as abandoned."""


def examine(chart: Chart, keys: Keys, *, now_ms: int) -> Iterator[Finding]:
    """Yield what is wrong with a session: its head, log, tables, drafts and places in lists.

    A copy that is still being written is no session yet: all that can be wrong with it is that
    nobody goes on with it, or that its maker's list lacks it. Of a deleted session a tombstone
    stands, and the key that says where.
    """
    session_id = chart.session_id
    children = Children(chart, keys)
    for key in children.unknown:
        yield Finding(Kind.KEY_UNKNOWN, session_id, f"{key!r} is no key of ours")
    if chart.head is None:
        if chart.children:
            detail = f"{len(chart.children)} keys without a head, records up to {children.last_seq}"
            yield Finding(Kind.HEAD_MISSING, session_id, detail)
        return
    try:
        head = decode_head(chart.head)
    except ValueError as error:
        yield Finding(Kind.HEAD_UNREADABLE, session_id, str(error))
        return
    if head.tombstone is not None:
        if chart.children:
            repair = Repair(session_id, chart.head, deletes=(keys.children(session_id),))
            detail = f"{len(chart.children)} keys of a deleted session"
            yield Finding(Kind.LEFTOVER, session_id, detail, repair)
        if not chart.listed:
            puts = {keys.deleted(session_id): b""}
            repair = Repair(session_id, chart.head, puts=puts, lease=chart.lease)
            detail = "not among what was deleted, so the feed may not tell that it was"
            yield Finding(Kind.DELETED_MISSING, session_id, detail, repair)
        return
    if head.meta.building is not None:
        if now_ms - head.meta.building.touched_ms > ABANDONED_MS:
            yield _abandoned(chart, head.seq, head.meta.building, keys)
        elif not chart.listed:
            yield _unlisted(chart, head.meta.building, keys)
        return
    yield from _orphans(chart, head, children, keys)
    records, found = read_log(session_id, head, children.records)
    yield from found
    try:
        session = load(head, decode_outputs(children.outputs), records, children.members)
    except ValueError as error:
        kind = Kind.HEAD_DISAGREES
        if not found:
            readable = _readable(children.members)
            kind = Kind.OUTPUTS_DISAGREE if readable else Kind.MEMBERS_DISAGREE
        yield Finding(kind, session_id, f"it cannot be loaded: {error}")
        return
    if not found:
        size = sum(map(len, children.records.values()))
        found = list(compare_head(head, session, records, size))
        yield from found
    # A summary of a state that is in doubt would be a guess.
    yield from _places(chart, head, session, keys, sure=not found)
    yield from _shares(chart, session, keys)


def examine_listed(
    key: Place,
    head: bytes | None,
    keys: Keys,
    *,
    members: bytes,
    remains: bool,
) -> Finding | None:
    """Return what is wrong with a place in a list, as far as its session's head tells.

    `members` is the session's table of them, which alone says with whom it is shared. `remains`
    says that other keys of the session stand: without its head, the place is then a trace of what
    was lost, and is left alone.
    """
    session_id = key.session_id
    if head is None:
        stray = "there is no such session"
    else:
        try:
            stored = decode_head(head)
        except ValueError:
            return None  # the session's own examination says so
        if isinstance(key, DeletedKey):
            if stored.tombstone is not None:
                return None
            stray = "the session was not deleted"
        elif stored.tombstone is not None:
            stray = "the session was deleted"
        elif isinstance(key, CopyKey):
            building = stored.meta.building
            if building is not None and building.lister_id == key.user_id:
                return None
            stray = "it is no copy that this user makes"
        elif stored.meta.building is not None:
            stray = "the session is a copy that is still being written"
        elif isinstance(key, EntryKey):
            if (stored.user_id, stored.meta.index_ms) == (key.user_id, key.position_ms):
                return None
            stray = "the head names another place"
        elif isinstance(key, SharedKey):
            if not _tells(stored, members) or key.user_id in decode_members(members)[0]:
                return None  # where the table is in doubt, the session's own examination says so
            stray = "that user is no member"
        else:
            if stored.meta.awaited_agent == key.agent:
                return None
            stray = f"the session awaits {stored.meta.awaited_agent or 'nobody'}"
    if isinstance(key, EntryKey):
        at = keys.entry(*key)
        kind, where = Kind.ENTRY_STRAY, f"in the list of {key.user_id} at {key.position_ms}"
    elif isinstance(key, SharedKey):
        at = keys.shared(*key)
        kind, where = Kind.SHARED_STRAY, f"shared with {key.user_id}"
    elif isinstance(key, CopyKey):
        at = keys.copy(*key)
        kind, where = Kind.COPY_STRAY, f"among the copies that {key.user_id} makes"
    elif isinstance(key, DeletedKey):
        at = keys.deleted(*key)
        kind, where = Kind.DELETED_STRAY, "among what was deleted"
    else:
        at = keys.awaited(*key)
        kind, where = Kind.AWAITED_STRAY, f"under the agent {key.agent}"
    lost = head is None and remains
    repair = None if lost else Repair(session_id, head, deletes=(Span(at, at + b"\0"),))
    return Finding(kind, session_id, f"{where}, but {stray}", repair)


def examine_value(key: Value, value: bytes) -> Finding | None:
    """Return what is wrong with what stands for itself: that it cannot be read."""
    try:
        match key:
            case TemplateKey(user_id, name):
                subject = f"template {name} of {user_id}"
                decode_template(value)
            case JobKey(job):
                subject = f"job {job}"
                records_pb2.JobHolder.FromString(value)
            case ErasureKey(user_id):
                subject = f"erasure of {user_id}"
                records_pb2.Erasure.FromString(value)
    except (ValueError, DecodeError) as error:
        return Finding(Kind.VALUE_UNREADABLE, subject, str(error))
    return None


def _orphans(chart: Chart, head: StoredHead, children: Children, keys: Keys) -> Iterator[Finding]:
    running = head.turn.id if head.turn else None
    for turn_id, drafts in children.drafts.items():
        if turn_id != running:
            deletes = (keys.drafts(chart.session_id, turn_id),)
            repair = Repair(chart.session_id, chart.head, deletes=deletes)
            detail = f"{len(drafts)} drafts of the turn {turn_id}, which does not run"
            yield Finding(Kind.DRAFT_ORPHANED, chart.session_id, detail, repair)


def _abandoned(chart: Chart, seq: int, building: Building, keys: Keys) -> Finding:
    session_id = chart.session_id
    places = keys.head(session_id), keys.copy(building.lister_id, session_id)
    deletes = (keys.children(session_id), *(Span(at, at + b"\0") for at in places))
    detail = f"a copy by {building.actor.subject} rests at {seq} records"
    repair = Repair(session_id, chart.head, deletes=deletes)
    return Finding(Kind.COPY_ABANDONED, session_id, detail, repair)


def _unlisted(chart: Chart, building: Building, keys: Keys) -> Finding:
    user_id = building.lister_id
    repair = Repair(chart.session_id, chart.head, puts={keys.copy(user_id, chart.session_id): b""})
    detail = f"not among the copies that {user_id} makes"
    return Finding(Kind.COPY_MISSING, chart.session_id, detail, repair)


def _shares(chart: Chart, session: Session, keys: Keys) -> Iterator[Finding]:
    for user_id in session.members:
        if user_id not in chart.shared:
            key = keys.shared(user_id, chart.session_id)
            repair = Repair(chart.session_id, chart.head, puts={key: b""})
            detail = f"not in the list of what is shared with {user_id}, a member"
            yield Finding(Kind.SHARED_MISSING, chart.session_id, detail, repair)


def _tells(head: StoredHead, members: bytes) -> bool:
    return _readable(members) and len(decode_members(members)[0]) == head.member_count


def _readable(members: bytes) -> bool:
    try:
        decode_members(members)
    except ValueError:
        return False
    return True


def _places(
    chart: Chart, head: StoredHead, session: Session, keys: Keys, *, sure: bool
) -> Iterator[Finding]:
    session_id, meta = chart.session_id, head.meta
    entry = encode_entry(session)

    def finding(kind: Kind, detail: str, key: bytes) -> Finding:
        repair = Repair(session_id, chart.head, puts={key: entry}) if sure else None
        return Finding(kind, session_id, detail, repair)

    key = keys.entry(head.user_id, meta.index_ms, session_id)
    where = f"in the list of {head.user_id} at {meta.index_ms}"
    if chart.entry is None:
        yield finding(Kind.ENTRY_MISSING, f"no entry {where}", key)
    elif not _same(chart.entry, entry):
        yield finding(Kind.ENTRY_WRONG, f"the entry {where} is not the session's summary", key)
    if not meta.awaited_agent:
        return
    key = keys.awaited(meta.awaited_agent, session_id)
    if chart.awaited is None:
        detail = f"not found under the agent {meta.awaited_agent}, whom it awaits"
        yield finding(Kind.AWAITED_MISSING, detail, key)
    elif not _is_of(chart.awaited, session):
        detail = f"under the agent {meta.awaited_agent} stands no summary of it"
        yield finding(Kind.AWAITED_WRONG, detail, key)


def _same(value: bytes, entry: bytes) -> bool:
    # Not by bytes: equal maps may be encoded in another order.
    try:
        return decode_entry(value) == decode_entry(entry)
    except ValueError:
        return False


def _is_of(value: bytes, session: Session) -> bool:
    """Return whether it is some summary of the session's: that of when it came to await."""
    try:
        entry = decode_entry(value)
    except ValueError:
        return False
    return (entry.id, entry.user_id) == (session.id, session.user_id)
