"""Everything that stands in etcd, read past all parts at one revision."""

from __future__ import annotations

from collections import defaultdict

from services.store.etcd.client import EtcdClient
from services.store.etcd.transactions import read
from services.store.keys import AwaitedKey, DraftKey, EntryKey, EventKey, HeadKey, Keys, OutputsKey
from sessiond.session.events import Record
from sessiond.store.codec import StoredHead as Head
from sessiond.store.codec import decode_draft, decode_entry, decode_head, decode_record
from tests.faults.final import (
    Final,
    StoredDraft,
    StoredEntry,
    StoredHead,
    StoredSession,
    stored_record,
)

_PAGE = 1000


async def read_final(etcd: EtcdClient) -> Final:
    """Return what is stored now."""
    keys = Keys()
    heads: dict[str, Head] = {}
    records: defaultdict[str, list[Record]] = defaultdict(list)
    drafts: list[StoredDraft] = []
    entries: list[StoredEntry] = []
    awaited: set[tuple[str, str]] = set()
    children: set[str] = set()
    for key, value in await _everything(etcd):
        try:
            known = keys.parse(key)
        except ValueError:
            continue  # the batch key, and what faults have left
        match known:
            case HeadKey(session):
                heads[session] = decode_head(value)
            case EventKey(session, _):
                children.add(session)
                records[session].append(decode_record(value))
            case OutputsKey(session):
                children.add(session)
            case DraftKey(session, turn, _):
                children.add(session)
                drafts.append(StoredDraft(session, turn, *decode_draft(value)))
            case EntryKey(user, _, session):
                entries.append(StoredEntry(user, session, decode_entry(value).revision))
            case AwaitedKey(agent, session):
                awaited.add((agent, session))
            case _:
                pass
    sessions = {
        session: StoredSession(_head(head), [*map(stored_record, records[session])])
        for session, head in heads.items()
        if head.tombstone is None and head.meta.building is None
    }
    building = {session for session, head in heads.items() if head.meta.building is not None}
    return Final(
        sessions=sessions,
        entries=entries,
        tombstones=frozenset(heads.keys() - sessions.keys() - building),
        drafts=drafts,
        orphans=frozenset(children - heads.keys()),
        awaited=frozenset(awaited),
    )


def _head(head: Head) -> StoredHead:
    return StoredHead(
        log_id=f"{head.meta.log_id:016x}",
        seq=head.seq,
        epoch=head.meta.epoch,
        owner=head.meta.owner.hex(),
        user=head.user_id,
        awaits=head.meta.awaited_agent,
    )


async def _everything(etcd: EtcdClient) -> list[tuple[bytes, bytes]]:
    found: list[tuple[bytes, bytes]] = []
    start, revision = b"\0", 0
    while True:
        page = await etcd.range(read(start, b"\0", limit=_PAGE, revision=revision), within=20)
        revision = revision or page.header.revision
        found += [(bytes(kv.key), bytes(kv.value)) for kv in page.kvs]
        if not page.more:
            return found
        start = found[-1][0] + b"\0"
