"""Who is alive: one key for each Live instance, on a lease of its own.

    register --> live:{instance} stands --its lease ends, however--> gone, for ever
                   | heartbeat: keepalive, then a consensus read of the key

An instance makes its key once, so a key that stands has stood since.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Final

from services.store.answers import Instance, RevisionCompacted
from services.store.etcd.client import EtcdClient
from services.store.etcd.errors import LeaseNotFound
from services.store.etcd.etcd_pb2 import Event, KeyValue
from services.store.etcd.reads import ConsensusReads, answered
from services.store.etcd.settling import settle
from services.store.etcd.transactions import (
    Compare,
    absent,
    exists,
    get,
    put,
    read,
    transaction,
    value_is,
)
from services.store.etcd.watch import Watch
from services.store.keys import Keys, LiveKey
from sessiond.errors import InvalidArgument, Unavailable
from sessiond.store.v1 import records_pb2

# Who watches lists anew after so long: an old etcd can skip events of a watch.
_LIST_ANEW_SECONDS: Final = 60.0


class Registrations:
    """Registers instances, keeps them alive, and says who is there."""

    def __init__(
        self, etcd: EtcdClient, reads: ConsensusReads, keys: Keys, *, settle_seconds: float
    ) -> None:
        self._etcd = etcd
        self._reads = reads
        self._keys = keys
        self._settle_seconds = settle_seconds

    async def register(self, instance: bytes, *, address: str, ttl_seconds: int) -> int:
        """End the registrations at the address, and make a new one."""
        _, standing = await self.all()
        with answered():
            for other in standing:
                if other.address == address and other.instance != instance:
                    await self._revoke(other.lease)
            lease = (await self._etcd.lease_grant(ttl_seconds)).ID
            key = self._keys.live(instance)
            done = await settle(
                self._etcd,
                transaction(
                    [absent(key)],
                    [put(key, _value(address, draining=False), lease)],
                    [get(read(key))],
                ),
                seconds=self._settle_seconds,
            )
        # Where a try of ours was applied without an answer, our own key stands in the way.
        if not done.succeeded and done.responses[0].response_range.kvs[0].lease != lease:
            raise InvalidArgument.of("instance", "must never have been registered before")
        return lease

    async def heartbeat(self, instance: bytes, lease: int, *, draining: bool) -> bool:
        """Prolong the lease, then see through consensus that the key stands on it."""
        key = self._keys.live(instance)
        with answered():
            seconds = await self._etcd.keep_alive(lease)
        found = (await self._reads.read(read(key))).first()
        if found is None or found.lease != lease:
            return False
        if not seconds:
            # The key will go with its lease, but only when it is gone is that for ever.
            raise Unavailable
        standing = records_pb2.Instance.FromString(found.value)
        if standing.draining == draining:
            return True
        value = _value(standing.address, draining=draining)
        with answered():
            try:
                done = await self._etcd.txn(transaction([exists(key)], [put(key, value, lease)]))
            except LeaseNotFound:
                return False
        return done.succeeded

    async def deregister(self, lease: int) -> None:
        """End the lease, and the key with it."""
        with answered():
            await self._revoke(lease)

    async def all(self) -> tuple[int, tuple[Instance, ...]]:
        """Return a revision, and who is registered at it."""
        revision, (answer,) = await self._reads.read(read(*self._keys.instances))
        return revision, tuple(instance_of(self._keys.parse_live(kv.key), kv) for kv in answer.kvs)

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[AsyncIterator[tuple[Instance, ...]]]:
        """Follow who is registered."""
        following = _Following(self, self._etcd, self._keys)
        try:
            yield following
        finally:
            await following.close()

    async def accepting(self, instances: Iterable[bytes]) -> dict[bytes, Compare]:
        """Return for each instance what holds exactly while it is registered and not draining.

        An address never changes, so that is one value; only the address has to be read.
        """
        keys = {instance: self._keys.live(instance) for instance in instances}
        if not keys:
            return {}
        found = await self._reads.read(*(read(key) for key in keys.values()))
        compares = {}
        for (instance, key), answer in zip(keys.items(), found.answers, strict=True):
            compares[instance] = exists(key)
            for kv in answer.kvs:
                address = records_pb2.Instance.FromString(kv.value).address
                compares[instance] = value_is(key, _value(address, draining=False))
        return compares

    async def _revoke(self, lease: int) -> None:
        with suppress(LeaseNotFound):
            await self._etcd.lease_revoke(lease)


class _Following(AsyncIterator[tuple[Instance, ...]]):
    """All registered instances, and all of them again after each change."""

    def __init__(self, registrations: Registrations, etcd: EtcdClient, keys: Keys) -> None:
        self._registrations = registrations
        self._etcd = etcd
        self._keys = keys
        self._given: dict[bytes, Instance] | None = None
        self._standing: dict[bytes, Instance] = {}
        self._watch: Watch | None = None
        self._list_anew_at = 0.0

    async def __anext__(self) -> tuple[Instance, ...]:
        while True:
            if self._watch is None:
                await self._list()
            else:
                await self._follow(self._watch)
            if self._standing != self._given:
                self._given = dict(self._standing)
                return tuple(self._given.values())

    async def close(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            await watch.close()

    async def _list(self) -> None:
        self._list_anew_at = asyncio.get_running_loop().time() + _LIST_ANEW_SECONDS
        revision, standing = await self._registrations.all()
        await self.close()
        self._standing = {one.instance: one for one in standing}
        self._watch = self._etcd.watch(*self._keys.instances, start_revision=revision + 1)

    async def _follow(self, watch: Watch) -> None:
        """Take the next changes, or list anew where they are forgotten, or may be."""
        try:
            with answered():
                async with asyncio.timeout_at(self._list_anew_at):
                    _, events = await anext(watch)
        except RevisionCompacted:
            await self.close()
        except TimeoutError:
            with suppress(Unavailable):  # then the watch goes on, as it does without a quorum
                await self._list()
        else:
            for event in events:
                self._apply(event)

    def _apply(self, event: Event) -> None:
        key = self._keys.parse_live(event.kv.key)
        if event.type == Event.DELETE:
            self._standing.pop(key.instance, None)
        else:
            self._standing[key.instance] = instance_of(key, event.kv)


def instance_of(key: LiveKey, kv: KeyValue) -> Instance:
    """Return the registration that stands at a key."""
    value = records_pb2.Instance.FromString(kv.value)
    return Instance(key.instance, kv.lease, value.address, value.draining)


def _value(address: str, *, draining: bool) -> bytes:
    return records_pb2.Instance(address=address, draining=draining).SerializeToString()
