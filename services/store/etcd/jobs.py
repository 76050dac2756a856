"""Whose work it is: one key for each job, on a lease of its holder's.

    free --hold--> held, in a new term --its lease ends, or it is let go--> free
                     | hold: keepalive, then a consensus read of the key

The revision that made the key is the term.
"""

from __future__ import annotations

from contextlib import suppress

from services.store.etcd.client import EtcdClient
from services.store.etcd.errors import LeaseNotFound
from services.store.etcd.etcd_pb2 import KeyValue
from services.store.etcd.reads import ConsensusReads, answered
from services.store.etcd.settling import settle
from services.store.etcd.transactions import absent, get, put, read, transaction
from services.store.keys import Keys
from sessiond.errors import Unavailable
from sessiond.store.v1.records_pb2 import JobHolder


class Jobs:
    """Gives jobs to one holder at a time."""

    def __init__(
        self, etcd: EtcdClient, reads: ConsensusReads, keys: Keys, *, settle_seconds: float
    ) -> None:
        self._etcd = etcd
        self._reads = reads
        self._keys = keys
        self._settle_seconds = settle_seconds

    async def hold(self, job: str, holder: bytes, *, ttl_seconds: int) -> int:
        """Take or prolong a job; return the term, 0 where it is another's."""
        key = self._keys.job(job)
        standing = await self._standing(key)
        if standing is None:
            return await self._take(key, holder, ttl_seconds)
        if JobHolder.FromString(standing.value).holder != holder:
            return 0
        return await self._prolong(key, standing)

    async def release(self, job: str, holder: bytes) -> None:
        """End the holder's lease, and the key with it."""
        standing = await self._standing(self._keys.job(job))
        if standing is not None and JobHolder.FromString(standing.value).holder == holder:
            with answered():
                await self._revoke(standing.lease)

    async def _take(self, key: bytes, holder: bytes, ttl_seconds: int) -> int:
        with answered():
            lease = (await self._etcd.lease_grant(ttl_seconds)).ID
            value = JobHolder(holder=holder, lease=lease).SerializeToString()
            done = await settle(
                self._etcd,
                transaction([absent(key)], [put(key, value, lease)], [get(read(key))]),
                seconds=self._settle_seconds,
            )
            if done.succeeded:
                return done.header.revision
            standing = done.responses[0].response_range.kvs[0]
            if standing.lease == lease:  # a try of ours was applied without an answer
                return standing.create_revision
            await self._revoke(lease)
        return 0

    async def _prolong(self, key: bytes, standing: KeyValue) -> int:
        with answered():
            seconds = await self._etcd.keep_alive(standing.lease)
        found = await self._standing(key)
        if found is None or found.create_revision != standing.create_revision:
            return 0
        if not seconds:
            raise Unavailable  # the key will go with its lease, and has not gone yet
        return found.create_revision

    async def _standing(self, key: bytes) -> KeyValue | None:
        return (await self._reads.read(read(key))).first()

    async def _revoke(self, lease: int) -> None:
        with suppress(LeaseNotFound):
            await self._etcd.lease_revoke(lease)
