"""The asyncio client of etcd: one object per process, on the event loop that made it.

    async with EtcdClient(["10.0.0.1:2379", "10.0.0.2:2379"], tls=Tls(ca)) as etcd:
        found = await etcd.range(read(b"a", prefix_end(b"a"), limit=10))
        done = await etcd.txn(transaction([absent(b"a")], [put(b"a", b"1")], [get(read(b"a"))]))
        if not done.succeeded: ...done.responses[0].response_range.kvs...

Requests are built by `services.store.etcd.transactions`:
    read(key, range_end, revision=, limit=, keys_only=, count_only=, descending=) -> RangeRequest
    transaction(compare, success, failure) -> Transaction, of
        compares: value_is, absent, exists, created_at, modified_at, version_is
        operations: put(key, value, lease), delete(key, range_end), get(RangeRequest), nested(txn)
    prefix_end(prefix) -> range_end; everything: read(b"\\0", b"\\0")

Reads:   range, consensus_range (one or many, through raft), time_to_live, status
Writes:  txn, put, delete, compact, lease_grant, lease_revoke, keep_alive
Watches: `async with etcd.watch(...) as watch: async for batch in watch`

Every call takes `within`, the seconds for all that it does. A read goes on to the other endpoints
within that time and raises `Unavailable` at its end. A write is sent once: `Refused` says that it
changed nothing, `Ambiguous` that nobody knows (`services.store.etcd.errors`). A write that could
not even connect is called ambiguous too; to repeat the identical transaction settles all of it.
Where etcd asks for a user, a write that could not log in is `Unavailable`: it was never sent.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from grpc import aio

from services.store.etcd import errors
from services.store.etcd.endpoints import Endpoints, Tls
from services.store.etcd.etcd_pb2 import (
    CompactionRequest,
    CompactionResponse,
    DeleteRangeRequest,
    DeleteRangeResponse,
    LeaseGrantRequest,
    LeaseGrantResponse,
    LeaseKeepAliveRequest,
    LeaseRevokeRequest,
    LeaseTimeToLiveRequest,
    LeaseTimeToLiveResponse,
    PutRequest,
    PutResponse,
    RangeRequest,
    RangeResponse,
    StatusRequest,
    StatusResponse,
    TxnResponse,
    WatchCreateRequest,
)
from services.store.etcd.login import Credentials
from services.store.etcd.transactions import (
    ConsensusRead,
    Transaction,
    consensus,
    consensus_read,
)
from services.store.etcd.watch import Watch


class EtcdClient:
    """Typed calls to an etcd cluster; see the module for the promises they share."""

    def __init__(
        self,
        endpoints: Sequence[str],
        *,
        tls: Tls | None = None,
        credentials: Credentials | None = None,
        within: float = 5.0,
        rng: random.Random | None = None,
    ) -> None:
        """Take `host:port` endpoints in order of preference, and who to be where etcd asks."""
        self._endpoints = Endpoints(endpoints, tls, credentials)
        self._within = within
        self._rng = rng or random.SystemRandom()

    async def __aenter__(self) -> Self:
        """Return the client; it connects with the first call."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the client."""
        await self.close()

    async def close(self) -> None:
        """Close all connections and cancel the calls in flight; closing twice does no harm."""
        await self._endpoints.close()

    @property
    def endpoint(self) -> str:
        """The endpoint that the next call goes to."""
        return self._endpoints.current.address

    @property
    def endpoints(self) -> tuple[str, ...]:
        """All endpoints, in the order given."""
        return tuple(endpoint.address for endpoint in self._endpoints.all)

    async def range(self, request: RangeRequest, *, within: float | None = None) -> RangeResponse:
        """Read, linearizable.

        Raises:
            Compacted: the request's revision is gone.
            FutureRevision: it has not happened yet.
        """
        return await self._endpoints.read(
            lambda endpoint: endpoint.kv.Range, request, self._seconds(within)
        )

    async def consensus_range(
        self, *requests: RangeRequest, within: float | None = None
    ) -> ConsensusRead:
        """Read through raft, at most 127 requests at one revision.

        Only a member that reaches a quorum can answer, so the answer is not older than the call
        on any server. A revision that is gone fails all of it.
        """
        txn = consensus(requests)
        return consensus_read(
            await self._endpoints.read(lambda endpoint: endpoint.txn, txn, self._seconds(within))
        )

    async def txn(self, request: Transaction, *, within: float | None = None) -> TxnResponse:
        """Carry out a transaction, once."""
        return await self._endpoints.write(
            lambda endpoint: endpoint.txn, request, self._seconds(within)
        )

    async def put(
        self, key: bytes, value: bytes, *, lease: int = 0, within: float | None = None
    ) -> PutResponse:
        """Write one key; `lease` 0 is none."""
        request = PutRequest(key=key, value=value, lease=lease)
        return await self._endpoints.write(
            lambda endpoint: endpoint.kv.Put, request, self._seconds(within)
        )

    async def delete(
        self, key: bytes, range_end: bytes = b"", *, within: float | None = None
    ) -> DeleteRangeResponse:
        """Delete one key, or `key` to before `range_end`; what is absent is no failure."""
        request = DeleteRangeRequest(key=key, range_end=range_end)
        return await self._endpoints.write(
            lambda endpoint: endpoint.kv.DeleteRange, request, self._seconds(within)
        )

    async def compact(self, revision: int, *, within: float | None = None) -> CompactionResponse:
        """Forget what was overwritten or deleted before `revision`.

        Raises:
            Compacted: that was done already, up to here or further.
            FutureRevision: the revision has not happened yet.
        """
        request = CompactionRequest(revision=revision)
        return await self._endpoints.write(
            lambda endpoint: endpoint.kv.Compact, request, self._seconds(within)
        )

    async def lease_grant(self, ttl: int, *, within: float | None = None) -> LeaseGrantResponse:
        """Make a lease of `ttl` seconds; etcd may grant more, and the answer says how many."""
        request = LeaseGrantRequest(TTL=ttl)
        return await self._endpoints.write(
            lambda endpoint: endpoint.lease.LeaseGrant, request, self._seconds(within)
        )

    async def lease_revoke(self, lease: int, *, within: float | None = None) -> None:
        """End a lease and delete its keys.

        Raises:
            LeaseNotFound: it has ended already.
        """
        request = LeaseRevokeRequest(ID=lease)
        await self._endpoints.write(
            lambda endpoint: endpoint.lease.LeaseRevoke, request, self._seconds(within)
        )

    async def time_to_live(
        self, lease: int, *, keys: bool = False, within: float | None = None
    ) -> LeaseTimeToLiveResponse:
        """Read a lease: TTL in seconds, -1 where it is gone, and its keys where asked for."""
        request = LeaseTimeToLiveRequest(ID=lease, keys=keys)
        return await self._endpoints.read(
            lambda endpoint: endpoint.lease.LeaseTimeToLive, request, self._seconds(within)
        )

    async def keep_alive(self, lease: int, *, within: float | None = None) -> int:
        """Start the lease's time anew; return the seconds it now has, 0 where it is gone.

        No proof of anything: a leader that lost its quorum still answers for a while.
        """
        request = LeaseKeepAliveRequest(ID=lease)
        answer = await self._endpoints.write(
            lambda endpoint: endpoint.keep_alive, request, self._seconds(within)
        )
        return answer.TTL

    async def status(
        self, endpoint: str | None = None, *, within: float | None = None
    ) -> StatusResponse:
        """Read the state of one member: the one in use, or the one named.

        Raises:
            Unavailable: that member does not answer; no other one is asked.
        """
        member = self._endpoints.named(endpoint) if endpoint else self._endpoints.current
        try:
            return await self._endpoints.ask(
                member, lambda one: one.maintenance.Status, StatusRequest(), self._seconds(within)
            )
        except aio.AioRpcError as error:
            raise errors.of_read(error) from error

    def watch(
        self,
        key: bytes,
        range_end: bytes = b"",
        *,
        start_revision: int,
        prev_kv: bool = False,
        filters: Sequence[WatchCreateRequest.FilterType.ValueType] = (),
    ) -> Watch:
        """Watch one key, or `key` to before `range_end`, from `start_revision` (1 or more) on.

        Read first, then watch from the revision of that answer + 1.
        """
        create = WatchCreateRequest(
            key=key,
            range_end=range_end,
            start_revision=start_revision,
            prev_kv=prev_kv,
            filters=filters,
            progress_notify=True,
            fragment=True,
        )
        return Watch(self._endpoints, create, self._rng)

    def _seconds(self, within: float | None) -> float:
        return self._within if within is None else within
