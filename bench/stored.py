"""What our parts stored for one append, byte for byte: the floors write as much."""

from __future__ import annotations

from dataclasses import dataclass

from bench.system import System
from services.store.etcd.etcd_pb2 import KeyValue
from services.store.etcd.etcd_pb2_grpc import KVStub
from services.store.etcd.transactions import read
from services.store.keys import Keys

KEYS = Keys()


@dataclass(frozen=True, slots=True)
class Sizes:
    """The bytes of the values that one append writes."""

    record: int
    head: int
    entry: int


async def sizes_of(system: System, user: str, session_id: str, seq: int) -> Sizes:
    """Return the sizes that a session's append number `seq` has in etcd; the user has no other."""
    kv = KVStub(system.channel("etcd"))

    async def first(key: bytes, end: bytes = b"") -> KeyValue:
        return (await kv.Range(read(key, end, limit=1))).kvs[0]

    record = await first(KEYS.event(session_id, seq))
    head = await first(KEYS.head(session_id))
    entry = await first(*KEYS.entries(user))
    return Sizes(len(record.value), len(head.value), len(entry.value))
