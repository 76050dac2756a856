"""Keys as etcd keeps them: revisions, leases, and transactions within transactions.

Each call is one step. It holds what Stores ask of etcd, and refuses what etcd refuses.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field

from services.store.answers import Instance, RevisionCompacted
from services.store.etcd.errors import Compacted, DuplicateKey, FutureRevision, LeaseNotFound
from services.store.etcd.etcd_pb2 import (
    Compare,
    Event,
    KeyValue,
    RangeRequest,
    RangeResponse,
    RequestOp,
    ResponseOp,
    TxnRequest,
    TxnResponse,
)
from services.store.etcd.registrations import instance_of
from services.store.history import History
from services.store.keys import Keys
from tests.simulation.telling import bytes_of, key_of, told


@dataclass(slots=True)
class _Staged:
    """What a transaction is about to write."""

    values: dict[bytes, bytes | None] = field(default_factory=dict)
    put: dict[bytes, int] = field(default_factory=dict)
    deleted: list[tuple[bytes, bytes]] = field(default_factory=list)


class Keyspace:
    """All keys."""

    def __init__(self) -> None:
        self._kept = History()
        self._lease_of: dict[bytes, int] = {}
        self._leases: set[int] = set()
        self._next_lease = itertools.count(1)

    @property
    def revision(self) -> int:
        """The present one."""
        return self._kept.revision

    # --- what Stores ask -------------------------------------------------------------------------

    async def txn(self, request: TxnRequest) -> TxnResponse:
        """Carry out a transaction, all of it or nothing."""
        staged = _Staged()
        response = self._txn(request, staged)
        if staged.values:
            self._write(staged)
        response.header.revision = self._kept.revision
        return response

    async def holds(self, compares: Iterable[Compare], revision: int | None = None) -> TxnResponse:
        """Answer a transaction of compares alone, as one member does that asks nobody."""
        response = TxnResponse(succeeded=all(self._holds(each, revision) for each in compares))
        response.header.revision = self._kept.revision if revision is None else revision
        return response

    async def range(self, request: RangeRequest) -> RangeResponse:
        """Read."""
        response = self._range(request, {})
        response.header.revision = self._kept.revision
        return response

    async def grant(self) -> int:
        """Make a lease."""
        lease = next(self._next_lease)
        self._leases.add(lease)
        return lease

    async def has(self, lease: int) -> bool:
        """Return whether a lease stands."""
        return lease in self._leases

    async def revoke(self, lease: int) -> None:
        """End a lease, and all keys on it."""
        if lease not in self._leases:
            raise LeaseNotFound("lease not found")
        self._leases.remove(lease)
        keys = [key for key, of in self._lease_of.items() if of == lease]
        self._write(_Staged(dict.fromkeys(keys)))

    async def after(self, revision: int, key: bytes, end: bytes) -> tuple[int, list[Event]]:
        """Return the next revision, and what it did to a range of keys; wait for it."""
        try:
            at, written = await self._kept.change_after(revision)
        except RevisionCompacted as error:
            raise Compacted("required revision has been compacted") from error
        events = [
            Event(
                type=Event.PUT if value is not None else Event.DELETE,
                kv=KeyValue(key=name, value=value or b"", mod_revision=at),
            )
            for name, value in ((bytes_of(each), value) for each, value in written.items())
            if _within(name, key, end)
        ]
        return at, events

    # --- what only a simulation asks -------------------------------------------------------------

    def compact(self) -> None:
        """Forget all history before the present revision."""
        self._kept.compact()

    def expire(self, which: bytes) -> None:
        """End an instance's registration, or a lease that is named by its eight bytes."""
        lease = (
            int.from_bytes(which, "big")
            if len(which) == 8
            else self._lease_of.get(Keys().live(which))
        )
        if lease in self._leases:
            self._leases.remove(lease)
            keys = [key for key, of in self._lease_of.items() if of == lease]
            self._write(_Staged(dict.fromkeys(keys)))

    async def instances(self) -> tuple[int, tuple[Instance, ...]]:
        """Return who is registered now."""
        start, end = Keys().instances
        found = self._range(RangeRequest(key=start, range_end=end), {}).kvs
        standing = tuple(instance_of(Keys().parse_live(kv.key), kv) for kv in found)
        return self._kept.revision, standing

    def told(self) -> History:
        """Return the same keys, with all their values, as the in-memory reference has them."""
        return told(self._kept)

    # --- inside ----------------------------------------------------------------------------------

    def _txn(self, request: TxnRequest, staged: _Staged) -> TxnResponse:
        succeeded = all(self._holds(each) for each in request.compare)
        operations = request.success if succeeded else request.failure
        return TxnResponse(
            succeeded=succeeded, responses=[self._do(each, staged) for each in operations]
        )

    def _do(self, operation: RequestOp, staged: _Staged) -> ResponseOp:
        response = ResponseOp()
        match operation.WhichOneof("request"):
            case "request_txn":
                response.response_txn.CopyFrom(self._txn(operation.request_txn, staged))
            case "request_range":
                found = self._range(operation.request_range, staged.values)
                response.response_range.CopyFrom(found)
            case "request_put":
                put = operation.request_put
                if put.lease and put.lease not in self._leases:
                    raise LeaseNotFound("requested lease not found")
                if put.key in staged.put or any(_within(put.key, *span) for span in staged.deleted):
                    raise DuplicateKey("duplicate key given in txn request")
                staged.put[put.key] = put.lease
                staged.values[put.key] = put.value
                response.response_put.SetInParent()
            case _:
                delete = operation.request_delete_range
                if any(_within(key, delete.key, delete.range_end) for key in staged.put):
                    raise DuplicateKey("duplicate key given in txn request")
                staged.deleted.append((delete.key, delete.range_end))
                for kv in self._found(delete.key, delete.range_end, None, staged.values):
                    staged.values[kv.key] = None
                response.response_delete_range.SetInParent()
        return response

    def _holds(self, compare: Compare, revision: int | None = None) -> bool:
        value = self._kept.get(key_of(compare.key), revision)
        if compare.target == Compare.VALUE:
            return value is not None and value == compare.value
        if compare.target == Compare.CREATE and compare.create_revision == 0:
            return (value is not None) is (compare.result == Compare.GREATER)
        raise NotImplementedError(f"nobody asks for {compare}")

    def _range(self, request: RangeRequest, staged: dict[bytes, bytes | None]) -> RangeResponse:
        revision = request.revision or None
        if revision is not None and revision < self._kept.oldest:
            raise Compacted("required revision has been compacted")
        if revision is not None and revision > self._kept.revision:
            raise FutureRevision("required revision is a future revision")
        found = self._found(request.key, request.range_end, revision, staged)
        response = RangeResponse(count=len(found))
        if not request.count_only:
            limit = request.limit or len(found)
            response.kvs.extend(found[:limit])
            response.more = len(found) > limit
        if request.keys_only:
            for kv in response.kvs:
                kv.value = b""
        return response

    def _found(
        self, start: bytes, end: bytes, revision: int | None, staged: dict[bytes, bytes | None]
    ) -> list[KeyValue]:
        keys = self._kept._keys
        names = {name for name in staged if _within(name, start, end)}
        for place in range(bisect.bisect_left(keys, key_of(start)), len(keys)):
            name = bytes_of(keys[place])
            if not _within(name, start, end):
                break
            names.add(name)
        found = []
        for name in sorted(names):
            value = staged[name] if name in staged else self._kept.get(key_of(name), revision)
            if value is not None:
                lease = self._lease_of.get(name, 0)
                at = self._kept.written(key_of(name), revision)
                found.append(KeyValue(key=name, value=value, lease=lease, mod_revision=at))
        return found

    def _write(self, staged: _Staged) -> None:
        self._kept.write({key_of(key): value for key, value in staged.values.items()})
        for key in staged.values:
            self._lease_of.pop(key, None)
            if lease := staged.put.get(key, 0):
                self._lease_of[key] = lease


def _within(key: bytes, start: bytes, end: bytes) -> bool:
    if not end:
        return key == start
    return key >= start and (end == b"\0" or key < end)
