"""Looking after etcd: how full it is, and compaction by need.

Every Store looks at all members, for each has a database file of its own, and the fullest counts.
One Store compacts: a minute's turn belongs to whoever first rewrites the key `compaction` at the
version that it knows. That key only saves work, so where it cannot be written for want of space
the compaction is done all the same: two at once do no harm.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from services.store.compaction import Compaction
from services.store.etcd.client import EtcdClient
from services.store.etcd.errors import Compacted, EtcdError, FutureRevision, NoSpace
from services.store.etcd.etcd_pb2 import StatusResponse
from services.store.etcd.transactions import get, put, read, transaction, version_is
from services.store.keys import Keys
from services.store.metrics import SpaceMetrics
from services.store.space import Space

_WITHIN_SECONDS = 1.5

_log = structlog.get_logger(__name__)


class Upkeep:
    """Tells `space` what it sees. `clock` gives seconds that never go back.

    `quota_bytes` counts where etcd does not tell its quota itself.
    """

    def __init__(
        self,
        etcd: EtcdClient,
        space: Space,
        metrics: SpaceMetrics,
        *,
        namespace: str,
        quota_bytes: int,
        clock: Callable[[], float],
    ) -> None:
        self._etcd = etcd
        self._space = space
        self._metrics = metrics
        self._key = Keys(namespace).compaction
        self._quota_bytes = quota_bytes
        self._clock = clock
        self._compaction = Compaction()
        self._version = 0

    async def follow(self, *, interval_seconds: float = 2.0) -> None:
        """Look again and again, without an end.

        Two seconds: at the 15 MB/s that a busy cluster writes, that is far from the 15 % of a
        usual quota which lie between the limit and the end.
        """
        while True:
            try:
                await self.look()
            except Exception:
                # A fault of ours: to say so every time is better than to take the part down.
                _log.exception("etcd cannot be looked after")
            await asyncio.sleep(interval_seconds)

    async def look(self) -> None:
        """Look once, and compact if it is time; what does not answer is seen the next time.

        Where no member answers, what was seen last stays.
        """
        members = await asyncio.gather(*map(self._status, self._etcd.endpoints))
        seen = [member for member in members if member is not None]
        if not seen:
            return
        fullest = max(seen, key=self._fill)
        used, quota = fullest.dbSize, self._quota(fullest)
        self._space.seen(used, quota)
        self._metrics.seen(used, quota)
        now = self._clock()
        # What a member has applied is never ahead of the cluster, so the furthest is right, too.
        self._compaction.seen(now, max(member.header.revision for member in seen))
        revision = self._compaction.due(now, self._space.fill)
        if revision is not None:
            self._compaction.tried(now)
            await self._compact(revision)

    async def _status(self, endpoint: str) -> StatusResponse | None:
        try:
            return await self._etcd.status(endpoint, within=_WITHIN_SECONDS)
        except EtcdError:
            return None

    def _fill(self, member: StatusResponse) -> float:
        return member.dbSize / self._quota(member)

    def _quota(self, member: StatusResponse) -> int:
        return member.dbSizeQuota or self._quota_bytes

    async def _compact(self, revision: int) -> None:
        try:
            if not await self._is_ours(revision):
                return
            await self._etcd.compact(revision)
        except Compacted:
            pass  # by somebody else, who went further
        except FutureRevision:
            self._compaction.forget()
            return
        except EtcdError as error:
            _log.warning("compaction failed; trying again in a minute", kind=type(error).__name__)
            return
        self._compaction.done(revision)
        self._metrics.compacted(revision)

    async def _is_ours(self, revision: int) -> bool:
        """Return whether this turn is ours; at the first try one learns how often others had it."""
        try:
            done = await self._etcd.txn(
                transaction(
                    [version_is(self._key, self._version)],
                    [put(self._key, str(revision).encode())],
                    [get(read(self._key))],
                )
            )
        except NoSpace:
            return True
        if done.succeeded:
            self._version += 1
            return True
        kvs = done.responses[0].response_range.kvs
        self._version = kvs[0].version if kvs else 0
        return False
