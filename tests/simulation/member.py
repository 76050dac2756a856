"""etcd as one Store has it: its code for etcd, over keys that are far away.

The member that a Store talks to can lose the others. Then it takes no write and no read that has to
be agreed on. A transaction of compares alone any member answers by itself, from what it has, which
may be a little behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, Self, TypeVar, cast

from services.store.etcd.client import EtcdClient
from services.store.etcd.errors import Ambiguous, Unavailable
from services.store.etcd.etcd_pb2 import LeaseGrantResponse, RangeRequest, TxnRequest, TxnResponse
from services.store.etcd.repository import EtcdRepository
from services.store.etcd.transactions import (
    ConsensusRead,
    Transaction,
    consensus,
    consensus_read,
)
from services.store.etcd.watch import Batch
from services.store.repository import Repository
from tests.simulation.etcd import Etcd, Lost
from tests.simulation.far import FarRepository
from tests.simulation.keyspace import Keyspace

T = TypeVar("T")

SETTLE_SECONDS = 5.0
BEHIND_SECONDS = 3.0
"""How late a member tells of changes that has lost the others."""

LONG_SECONDS = 3600
"""A lease of so long outlives every story."""


def repository_of(etcd: Etcd, store: str) -> AbstractAsyncContextManager[Repository]:
    """Return the repository as one Store has it."""
    if isinstance(etcd.kept, Keyspace):
        client = cast("EtcdClient", Member(etcd, etcd.kept, store))
        clock = asyncio.get_running_loop().time
        return EtcdRepository(client, settle_seconds=SETTLE_SECONDS, clock=clock)
    return nullcontext(FarRepository(etcd, etcd.kept, store))


class Member:
    """What Stores use of `EtcdClient`."""

    def __init__(self, etcd: Etcd, keys: Keyspace, store: str) -> None:
        self._etcd = etcd
        self._keys = keys
        self._store = store
        self._lag = etcd.lag_of_a_member()

    async def range(self, request: RangeRequest, *, within: float = 5.0) -> Any:
        return await self._read(lambda: self._keys.range(request), within)

    async def consensus_range(self, *requests: RangeRequest, within: float = 5.0) -> ConsensusRead:
        request = TxnRequest.FromString(consensus(requests))
        return consensus_read(await self._read(lambda: self._keys.txn(request), within))

    async def txn(self, encoded: Transaction, *, within: float = 5.0) -> TxnResponse:
        request = TxnRequest.FromString(encoded)
        if not request.success and not request.failure:
            return await self._keys.holds(request.compare, self._own_revision())
        return await self._write(lambda: self._keys.txn(request), within)

    async def lease_grant(self, ttl: int, *, within: float = 5.0) -> LeaseGrantResponse:
        async def effect() -> int:
            lease = await self._keys.grant()
            self._prolong(lease, ttl)
            return lease

        return LeaseGrantResponse(ID=await self._write(effect, within), TTL=ttl)

    async def lease_revoke(self, lease: int, *, within: float = 5.0) -> None:
        await self._write(lambda: self._keys.revoke(lease), within)

    async def keep_alive(self, lease: int, *, within: float = 5.0) -> int:
        async def effect() -> int:
            if not await self._keys.has(lease):
                return 0
            self._prolong(lease, self._etcd.ttl_seconds)
            return self._etcd.ttl_seconds

        return await self._write(effect, within)

    def watch(self, key: bytes, range_end: bytes = b"", *, start_revision: int) -> Watch:
        return Watch(self._etcd, self._keys, self._store, (key, range_end), start_revision - 1)

    # --- inside ----------------------------------------------------------------------------------

    def _own_revision(self) -> int:
        """Return how far the member has come."""
        newest = self._etcd.behind.get(self._store, self._keys.revision)
        return max(1, newest - self._lag)

    def _prolong(self, lease: int, seconds: int) -> None:
        if seconds < LONG_SECONDS:
            self._etcd.prolong(lease.to_bytes(8, "big"), seconds)

    async def _read(self, call: Callable[[], Coroutine[Any, Any, T]], within: float) -> T:
        try:
            async with asyncio.timeout(within):
                return await self._etcd.ask(self._store, call, writes=False)
        except (Lost, TimeoutError):
            raise Unavailable("no answer") from None

    async def _write(self, call: Callable[[], Coroutine[Any, Any, T]], within: float) -> T:
        try:
            async with asyncio.timeout(within):
                return await self._etcd.ask(self._store, call, writes=True)
        except (Lost, TimeoutError):
            raise Ambiguous("no answer") from None


class Watch(AsyncIterator[Batch]):
    """A watch of a range of keys; what is cancelled while it waits has lost nothing."""

    def __init__(
        self, etcd: Etcd, keys: Keyspace, store: str, span: tuple[bytes, bytes], passed: int
    ) -> None:
        self._etcd = etcd
        self._keys = keys
        self._store = store
        self._span = span
        self._passed = passed

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def close(self) -> None:
        pass

    async def __anext__(self) -> Batch:
        while True:
            at, events = await self._keys.after(self._passed, *self._span)
            if events:
                await self._etcd.lagging()
            if self._store in self._etcd.behind:
                await asyncio.sleep(BEHIND_SECONDS)
            self._passed = at
            if events:
                return Batch(at, events)
