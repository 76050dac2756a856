"""Acquiring a session: its head under a new owner, in the next epoch.

read through consensus --> deleted, or written by this very commit: that is the answer
  ^       |
  |       v
  |   write, where head and registrations allow it --> acquired
  |       |
  +-------+--> the former owner lives: Owned; the asker does not: NotRegistered
the head has moved
"""

from __future__ import annotations

import asyncio

from services.store.answers import NotRegistered, Owned, Snapshot
from services.store.etcd.client import EtcdClient
from services.store.etcd.commit import fence_of, owned
from services.store.etcd.etcd_pb2 import TxnResponse
from services.store.etcd.reads import ConsensusReads, answered, value_of
from services.store.etcd.registrations import instance_of
from services.store.etcd.settling import settle
from services.store.etcd.transactions import absent, get_key, joined, nested, put, read, transaction
from services.store.keys import Keys, LiveKey
from sessiond.errors import Unavailable
from sessiond.store import codec
from sessiond.store.codec import StoredHead


class Acquisition:
    """Makes instances the owners of sessions."""

    def __init__(
        self, etcd: EtcdClient, reads: ConsensusReads, keys: Keys, *, settle_seconds: float
    ) -> None:
        self._etcd = etcd
        self._reads = reads
        self._keys = keys
        self._settle_seconds = settle_seconds

    async def acquire(
        self, session_id: str, instance: bytes, commit_id: bytes
    ) -> Snapshot | Owned | NotRegistered | None:
        """Make the instance the owner, as soon as the head holds still."""
        try:
            async with asyncio.timeout(self._settle_seconds):
                return await self._acquire(session_id, instance, commit_id)
        except TimeoutError as error:
            raise Unavailable from error

    async def _acquire(
        self, session_id: str, instance: bytes, commit_id: bytes
    ) -> Snapshot | Owned | NotRegistered | None:
        keys = self._keys
        while True:
            revision, (heads, outputs, members, live) = await self._reads.read(
                read(keys.head(session_id)),
                read(keys.outputs(session_id)),
                read(keys.members(session_id)),
                read(keys.live(instance), keys_only=True),
            )
            if not heads.kvs:
                return None
            head = heads.kvs[0].value
            stored = codec.decode_head(head)
            if stored.meta.building is not None:
                return None
            if stored.tombstone is not None:
                return Snapshot(revision, head, b"")
            if not live.kvs:
                return NotRegistered()
            if stored.meta.commit_id == commit_id:
                return Snapshot(revision, head, value_of(outputs), value_of(members))
            new = codec.take_over(
                head, owner=instance, epoch=stored.meta.epoch + 1, commit_id=commit_id
            )
            done = await self._write(session_id, instance, head, new, stored)
            answer = done.responses[0].response_txn
            answers = [each.response_range for each in answer.responses]
            if answer.succeeded:
                return Snapshot(done.header.revision, new, *map(value_of, answers[:2]))
            found, live, *owner = answers
            if not live.kvs:
                return NotRegistered()
            if value_of(found) == head:  # so the former owner's key stood in the way
                former = instance_of(LiveKey(stored.meta.owner), owner[0].kvs[0])
                return Owned(former.instance, former.address)

    async def _write(
        self, session_id: str, instance: bytes, head: bytes, new: bytes, stored: StoredHead
    ) -> TxnResponse:
        """Replace the head, under all conditions; repeat that until it is settled.

        Nested alone, without a flat put: etcd lets that pass when its space is used up, so that
        sessions still find an owner then.
        """
        keys = self._keys
        head_key, owner = keys.head(session_id), stored.meta.owner
        tables = keys.outputs(session_id), keys.members(session_id)
        writes = [*map(get_key, tables), put(head_key, new)]
        inner = joined(owned(head_key, head, writes), fence_of(keys, instance))
        if owner and owner != instance:
            former = keys.live(owner)
            inner = joined(inner, transaction([absent(former)], failure=[get_key(former)]))
        with answered():
            return await settle(
                self._etcd, transaction(success=[nested(inner)]), seconds=self._settle_seconds
            )
