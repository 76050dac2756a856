"""Deleting a session: everything goes at one revision, and a tombstone stays for a day.

The tombstone hangs on a lease of 25 hours, which half an hour's deletions share. So each stays
between 24 and a half and 25 hours, and a day's deletions cost etcd 48 leases instead of one each.
The half hour above a day is for Stores whose clocks differ: one says by its own how old a cursor
is that another gave.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from services.store.etcd.client import EtcdClient
from services.store.etcd.commit import UNSTORABLE, fence_of, outcome, owned
from services.store.etcd.errors import EtcdError, LeaseNotFound, NoSpace
from services.store.etcd.transactions import Transaction, delete, joined, put
from services.store.keys import Keys
from services.store.writes import Committed, Deletion, Outcome, Unknown, Unstorable

_SHARED_SECONDS: Final = 30 * 60
TOMBSTONE_SECONDS: Final = 25 * 3600
"""How long the lease of a tombstone is granted for."""


@dataclass(frozen=True, slots=True)
class _Lease:
    lease: int
    until: float  # no tombstone joins it after that


class Deletions:
    """Deletes sessions. `clock` gives seconds that never go back."""

    def __init__(self, etcd: EtcdClient, keys: Keys, *, clock: Callable[[], float]) -> None:
        self._etcd = etcd
        self._keys = keys
        self._clock = clock
        self._lease: _Lease | None = None
        self._granting = asyncio.Lock()

    async def delete(self, deletion: Deletion) -> Outcome:
        """Delete a session under the conditions of a commit."""
        try:
            return await self._delete(deletion)
        except UNSTORABLE:
            return Unstorable()
        except NoSpace:
            return await self._delete_alone(deletion)
        except EtcdError:
            return Unknown()

    async def _delete(self, deletion: Deletion) -> Outcome:
        lease = await self._shared_lease()
        try:
            return outcome(await self._etcd.txn(self._transaction(deletion, lease)))
        except LeaseNotFound:
            # Somebody revoked it. Nothing was written, so the same may be tried with another.
            self._lease = None
            lease = await self._shared_lease()
            return outcome(await self._etcd.txn(self._transaction(deletion, lease)))

    async def _delete_alone(self, deletion: Deletion) -> Outcome:
        """Make room when there is none: deletes pass then, a tombstone would not."""
        try:
            done = outcome(await self._etcd.txn(self._transaction(deletion, None)))
        except EtcdError:
            return Unknown()
        # etcd can say that space is out of a transaction that it has applied.
        if not isinstance(done, Committed) and done.head == deletion.head:
            return Committed()
        return done

    def _transaction(self, deletion: Deletion, lease: int | None) -> Transaction:
        keys, session_id = self._keys, deletion.session_id
        writes = [
            delete(*keys.children(session_id)),
            delete(keys.entry(deletion.user_id, deletion.position_ms, session_id)),
        ]
        if deletion.awaited_agent:
            writes.append(delete(keys.awaited(deletion.awaited_agent, session_id)))
        writes += [delete(keys.shared(user_id, session_id)) for user_id in deletion.shared_with]
        head = keys.head(session_id)
        writes.append(delete(head) if lease is None else put(head, deletion.head, lease))
        if lease is not None:
            # Tombstones stand among millions of keys: these say where, to who catches up.
            writes.append(put(keys.deleted(session_id), b"", lease))
        own = owned(head, deletion.expected_head, writes)
        return joined(own, fence_of(keys, deletion.instance))

    async def _shared_lease(self) -> int:
        async with self._granting:
            now = self._clock()
            if self._lease is None or now >= self._lease.until:
                granted = await self._etcd.lease_grant(TOMBSTONE_SECONDS)
                self._lease = _Lease(granted.ID, now + _SHARED_SECONDS)
            return self._lease.lease
