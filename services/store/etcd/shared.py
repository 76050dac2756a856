"""Sessions that are shared with a user: pointers to them, what they point to, and how that changes.

user:{uid}:shared:{sid} --> session:{sid}, session:{sid}:members --> user:{owner}:sessions:...
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from services.store.answers import SharedChange, SharedPage, SharedSession
from services.store.etcd.client import EtcdClient
from services.store.etcd.etcd_pb2 import Event, RangeRequest, RangeResponse
from services.store.etcd.reads import ConsensusReads, answered, read_all, value_of
from services.store.etcd.transactions import read
from services.store.keys import Keys, Span

# Pointers that a consensus read brings along.
_FIRST: Final = 200
# Sessions in one read: a head has at most 4 KiB, and a table of members some 25 KiB.
_SESSIONS: Final = 50
# Entries in one read, of at most 4 KiB.
_ENTRIES: Final = 100

WATCHED_HEADS: Final = 1000
"""Sessions of one user whose heads are watched, each by a stream of its own."""

_QUEUED: Final = 1000


class Shared:
    """Reads what is shared with users, and follows it."""

    def __init__(self, etcd: EtcdClient, reads: ConsensusReads, keys: Keys) -> None:
        self._etcd = etcd
        self._reads = reads
        self._keys = keys

    async def count(self, user_id: str) -> int:
        """Count what is shared with a user, through consensus."""
        span = self._keys.shared_with(user_id)
        _, (answer,) = await self._reads.read(read(*span, count_only=True))
        return answer.count

    async def pointers(self, user_id: str, *, revision: int | None) -> SharedPage:
        """Read which sessions are shared with a user, through consensus without a revision."""
        span = pointers = self._keys.shared_with(user_id)
        found = []
        more = True
        if revision is None:
            revision, (answer,) = await self._reads.read(read(*span, limit=_FIRST))
            found, more = list(answer.kvs), answer.more
            span = span.after(found[-1].key) if found else span
        if more:
            found += await read_all(self._etcd, span, revision=revision)
        ids = (self._keys.shared_in(pointers, kv.key) for kv in found)
        return SharedPage(revision, tuple(ids))

    async def sessions(self, session_ids: Sequence[str], *, revision: int) -> list[SharedSession]:
        """Read heads and members, many in one request."""
        found: list[SharedSession] = []
        for start in range(0, len(session_ids), _SESSIONS):
            some = session_ids[start : start + _SESSIONS]
            keys = [
                key
                for session_id in some
                for key in (self._keys.head(session_id), self._keys.members(session_id))
            ]
            answers = await self._read(keys, revision)
            for session_id, head, members in zip(some, answers[::2], answers[1::2], strict=True):
                if head.kvs:
                    found.append(SharedSession(session_id, value_of(head), value_of(members)))
        return found

    async def entries(
        self, places: Sequence[tuple[str, int, str]], *, revision: int
    ) -> list[bytes]:
        """Read single entries, many in one request."""
        found: list[bytes] = []
        for start in range(0, len(places), _ENTRIES):
            keys = [self._keys.entry(*place) for place in places[start : start + _ENTRIES]]
            found.extend(map(value_of, await self._read(keys, revision)))
        return found

    @asynccontextmanager
    async def watch(
        self, user_id: str, *, after_revision: int
    ) -> AsyncIterator[AsyncIterator[SharedChange]]:
        """Follow a user's pointers, and the heads that they point to."""
        standing = await self.pointers(user_id, revision=after_revision)
        changes = _Changes(self._etcd, self._keys)
        for session_id in standing.session_ids:
            changes.follow(session_id, after_revision)
        changes.follow_pointers(self._keys.shared_with(user_id), after_revision)
        try:
            yield changes
        finally:
            await changes.close()

    async def _read(self, keys: Sequence[bytes], revision: int) -> Sequence[RangeResponse]:
        requests: list[RangeRequest] = [read(key, revision=revision) for key in keys]
        with answered():
            return (await self._etcd.consensus_range(*requests)).answers


class _Changes(AsyncIterator[SharedChange]):
    """What several watches bring, in one line; they wait where nobody takes it."""

    def __init__(self, etcd: EtcdClient, keys: Keys) -> None:
        self._etcd = etcd
        self._keys = keys
        self._line: asyncio.Queue[SharedChange | Exception] = asyncio.Queue(_QUEUED)
        self._tasks: set[asyncio.Task[None]] = set()
        self._heads: dict[str, asyncio.Task[None]] = {}

    async def __anext__(self) -> SharedChange:
        change = await self._line.get()
        if isinstance(change, Exception):
            raise change
        return change

    def follow_pointers(self, span: Span, after_revision: int) -> None:
        """Begin to follow which sessions there are."""
        self._begin(self._follow_pointers(span, after_revision))

    def follow(self, session_id: str, after_revision: int) -> None:
        """Begin to follow the head of a session, if there is room for it."""
        if session_id not in self._heads and len(self._heads) < WATCHED_HEADS:
            self._heads[session_id] = self._begin(self._follow_head(session_id, after_revision))

    async def close(self) -> None:
        """Follow nothing any more, and leave no task behind."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, following: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(self._told(following), name="watch-shared")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _follow_pointers(self, span: Span, after_revision: int) -> None:
        async with self._etcd.watch(*span, start_revision=after_revision + 1) as watch:
            async for revision, events in watch:
                touched: dict[str, None] = {}
                for event in events:
                    session_id = self._keys.shared_in(span, event.kv.key)
                    touched[session_id] = None
                    if event.type != Event.DELETE:
                        self.follow(session_id, event.kv.mod_revision)
                    elif (head := self._heads.pop(session_id, None)) is not None:
                        head.cancel()
                await self._line.put(SharedChange(revision, tuple(touched)))

    async def _follow_head(self, session_id: str, after_revision: int) -> None:
        key = self._keys.head(session_id)
        async with self._etcd.watch(key, start_revision=after_revision + 1) as watch:
            async for revision, events in watch:
                if events:
                    await self._line.put(SharedChange(revision, (session_id,)))

    async def _told(self, following: Coroutine[Any, Any, None]) -> None:
        try:
            with answered():
                await following
        except Exception as error:  # raised where it is waited for
            await self._line.put(error)
