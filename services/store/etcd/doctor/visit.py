"""The doctor's way through everything that stands in etcd, session by session, list by list.

    keys of sessions, 1,000 at a time --> each session, read whole --> examine
    keys of lists,    1,000 at a time --> their sessions' heads    --> examine_listed

A page of keys and one session, of at most 32 MiB, are in memory at once. Whatever is compared is
read at one revision. When that is compacted the way goes on at a newer one: it need not be one
revision for all, since no law of ours binds two sessions.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from services.store.answers import RevisionCompacted
from services.store.doctor.chart import Chart
from services.store.doctor.examination import (
    Place,
    Value,
    examine,
    examine_listed,
    examine_value,
)
from services.store.doctor.findings import Finding, Kind
from services.store.etcd.client import EtcdClient
from services.store.etcd.etcd_pb2 import KeyValue
from services.store.etcd.reads import answered, read_all
from services.store.etcd.transactions import read
from services.store.keys import (
    AwaitedKey,
    CopyKey,
    DeletedKey,
    EntryKey,
    ErasureKey,
    HeadKey,
    JobKey,
    Key,
    Keys,
    SharedKey,
    Span,
    TemplateKey,
)
from sessiond.store.codec import decode_head, decode_members

T = TypeVar("T")

_KEYS: Final = 1000


@dataclass(slots=True)
class Seen:
    """How much was looked at, at which revision last, and how often at a newer one than before."""

    sessions: int = 0
    records: int = 0
    entries: int = 0
    shared: int = 0
    awaited: int = 0
    revision: int = 0
    renewals: int = 0


class Visit:
    """One look at everything behind a namespace. `seen` counts while it goes on.

    `now_ms` gives milliseconds since 1970, by which copies are found abandoned.
    """

    def __init__(
        self,
        etcd: EtcdClient,
        namespace: str = "",
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._etcd = etcd
        self._keys = Keys(namespace)
        self._now_ms = now_ms
        self._namespace = namespace.encode()
        self.seen = Seen()

    async def findings(self) -> AsyncIterator[Finding]:
        """Yield what is wrong: with each session in the order of keys, then with all beside them.

        Raises:
            Unavailable: etcd does not answer.
        """
        await self._renew()
        async for session_id, strange in self._sessions():
            if session_id is None:
                yield _strange(strange)
                continue
            chart = await self._steadily(partial(self._chart, session_id))
            self.seen.sessions += chart.head is not None
            for finding in examine(chart, self._keys, now_ms=self._now_ms()):
                yield finding
        async for at in self._lists():
            key, ill = self._parsed(at), None
            if key is None:
                ill = _strange(at)
            elif isinstance(key, TemplateKey | JobKey | ErasureKey):
                ill = await self._steadily(partial(self._unreadable, key, at))
            elif isinstance(key, EntryKey | SharedKey | AwaitedKey | CopyKey | DeletedKey):
                self.seen.entries += isinstance(key, EntryKey)
                self.seen.shared += isinstance(key, SharedKey)
                self.seen.awaited += isinstance(key, AwaitedKey)
                ill = await self._steadily(partial(self._examined, key, at))
            if ill is not None:
                yield ill

    async def session_ids(self) -> AsyncIterator[str]:
        """Yield the id of each session of which any key stands.

        Raises:
            Unavailable: etcd does not answer.
        """
        await self._renew()
        async for session_id, _ in self._sessions():
            if session_id is not None:
                yield session_id

    async def _sessions(self) -> AsyncIterator[tuple[str | None, bytes]]:
        """Yield the id of each session of which any key stands, once, and that key.

        None stands for a key that is none of ours.
        """
        # A head and its children do not touch: those of `a-1` lie between `a` and `a:event:1`.
        # So these are the heads whose children may still come, each a prefix of the next.
        open_heads: list[str] = []
        span: Span | None = self._root(b"session")
        while span is not None:
            page, span = await self._steadily(partial(self._page, span))
            for key in page:
                while open_heads and key >= self._keys.children(open_heads[-1]).end:
                    open_heads.pop()
                session_id = self._session_of(key)
                if session_id is None:
                    yield None, key
                elif session_id not in open_heads:
                    open_heads.append(session_id)
                    yield session_id, key
            if span is not None and open_heads and page[-1] != self._keys.head(open_heads[-1]):
                # The page ends among a session's children, and one look at them is enough.
                span = Span(max(span.start, self._keys.children(open_heads[-1]).end), span.end)

    async def _lists(self) -> AsyncIterator[bytes]:
        """Yield the key of each place in a list, and of all else that stands beside sessions."""
        for root in (b"user", b"agent", b"deleted", b"erasure", b"job"):
            span: Span | None = self._root(root)
            while span is not None:
                page, span = await self._steadily(partial(self._page, span))
                for key in page:
                    yield key

    async def _page(self, span: Span) -> tuple[list[bytes], Span | None]:
        """Return the first keys of a span, and the part that is left; None for none."""
        request = read(*span, revision=self.seen.revision, limit=_KEYS, keys_only=True)
        with answered():
            answer = await self._etcd.range(request)
        page = [kv.key for kv in answer.kvs]
        return page, span.after(page[-1]) if answer.more else None

    async def _unreadable(self, key: Value, at: bytes) -> Finding | None:
        value = await self._value(at)
        return None if value is None else examine_value(key, value)

    async def _examined(self, key: Place, at: bytes) -> Finding | None:
        head = await self._value(self._keys.head(key.session_id))
        members = b""
        if isinstance(key, SharedKey):
            members = await self._value(self._keys.members(key.session_id)) or b""
        finding = examine_listed(key, head, self._keys, members=members, remains=False)
        if finding is None or await self._value(at) is None:
            return None  # it was there when its page was read, at an older revision perhaps
        children = self._keys.children(key.session_id)
        remains = await read_all(self._etcd, children, revision=self.seen.revision, limit=1)
        return examine_listed(key, head, self._keys, members=members, remains=bool(remains))

    async def _chart(self, session_id: str) -> Chart:
        keys, revision = self._keys, self.seen.revision
        at_head = await self._at(keys.head(session_id))
        head = None if at_head is None else at_head.value
        children = await read_all(self._etcd, keys.children(session_id), revision=revision)
        entry = awaited = None
        try:
            stored = decode_head(head) if head is not None else None
        except ValueError:
            stored = None
        shared: frozenset[str] = frozenset()
        listed = False
        is_session = stored is not None and stored.tombstone is None
        if stored is not None and stored.meta.building is not None:
            at = keys.copy(stored.meta.building.lister_id, session_id)
            listed = await self._value(at) is not None
        elif stored is not None and is_session:
            at = keys.entry(stored.user_id, stored.meta.index_ms, session_id)
            entry = await self._value(at)
            if stored.meta.awaited_agent:
                awaited = await self._value(keys.awaited(stored.meta.awaited_agent, session_id))
            if stored.member_count:
                shared = await self._shared(session_id)
            self.seen.records += stored.seq
        elif stored is not None:
            listed = await self._value(keys.deleted(session_id)) is not None
        values = {kv.key: kv.value for kv in children}
        lease = 0 if at_head is None else at_head.lease
        return Chart(session_id, head, values, entry, awaited, shared, listed, lease)

    async def _shared(self, session_id: str) -> frozenset[str]:
        """Return the members in whose lists of shared sessions the session stands."""
        try:
            members, _ = decode_members(await self._value(self._keys.members(session_id)) or b"")
        except ValueError:
            return frozenset()  # the examination says so
        keys = {user_id: self._keys.shared(user_id, session_id) for user_id in members}
        found = [user_id for user_id, key in keys.items() if await self._value(key) is not None]
        return frozenset(found)

    async def _steadily(self, look: Callable[[], Awaitable[T]]) -> T:
        """Look, at a newer revision when that of now is gone."""
        while True:
            try:
                return await look()
            except RevisionCompacted:
                self.seen.renewals += 1
                await self._renew()

    async def _renew(self) -> None:
        """Go on at the present."""
        with answered():
            read_now = await self._etcd.consensus_range(read(self._keys.batch, keys_only=True))
        self.seen.revision = read_now.revision

    async def _value(self, key: bytes) -> bytes | None:
        found = await self._at(key)
        return None if found is None else found.value

    async def _at(self, key: bytes) -> KeyValue | None:
        found = await read_all(self._etcd, Span(key, key + b"\0"), revision=self.seen.revision)
        return found[0] if found else None

    def _root(self, name: bytes) -> Span:
        stem = self._namespace + name
        return Span(stem + b":", stem + b";")

    def _parsed(self, key: bytes) -> Key | None:
        try:
            return self._keys.parse(key)
        except ValueError:
            return None

    def _session_of(self, key: bytes) -> str | None:
        """Return whose key it is, also of a kind that nobody knows; None for nobody's."""
        root, session_id, *_ = key[len(self._namespace) :].split(b":")
        parsed = self._parsed(self._namespace + root + b":" + session_id)
        return parsed.session_id if isinstance(parsed, HeadKey) else None


def _strange(key: bytes) -> Finding:
    return Finding(Kind.KEY_UNKNOWN, "nobody", f"{key!r} is no key of ours")
