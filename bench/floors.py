"""The floors: what etcd alone does with the same bytes, asked by this process without any part."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count

from grpc import aio

from bench.load import Call
from bench.stored import KEYS, Sizes
from bench.system import System
from services.store.etcd.etcd_pb2 import PutRequest, RangeRequest, TxnResponse
from services.store.etcd.etcd_pb2_grpc import KVStub
from services.store.etcd.transactions import (
    TXN,
    Transaction,
    nested,
    put,
    read,
    transaction,
    value_is,
)
from services.store.keys import Keys
from services.store.packing import BATCH_COMMITS

BATCHES_IN_FLIGHT = 2
RAW = Keys("raw/")
POSITION_MS = 1_750_000_000_000


class Raw:
    """Appends and reads at etcd itself, of values as long as ours."""

    def __init__(self, system: System, sizes: Sizes) -> None:
        channel = system.channel("etcd")
        self._kv = KVStub(channel)
        self._txn: aio.UnaryUnaryMultiCallable[Transaction, TxnResponse] = channel.unary_unary(
            TXN, response_deserializer=TxnResponse.FromString
        )
        self._sizes = sizes

    @asynccontextmanager
    async def puts(self, in_flight: int) -> AsyncIterator[Sequence[Call]]:
        """One put of a record: what the disk and etcd ask for, and nothing else."""

        def writer() -> Call:
            session_id, seqs = secrets.token_hex(18), count(1)

            async def call() -> int:
                value = _value(self._sizes.record)
                await self._kv.Put(PutRequest(key=RAW.event(session_id, next(seqs)), value=value))
                return 1

            return call

        yield [writer() for _ in range(in_flight)]

    @asynccontextmanager
    async def transactions(self, in_flight: int) -> AsyncIterator[Sequence[Call]]:
        """One transaction per append: compare the head, put record, head and entry."""

        def writer(session: RawSession) -> Call:
            async def call() -> int:
                if not (await self._txn(session.append())).succeeded:
                    raise RuntimeError("nobody else writes this head")
                return 1

            return call

        yield [writer(session) for session in await self._sessions(in_flight)]

    @asynccontextmanager
    async def batches(self, in_flight: int) -> AsyncIterator[Sequence[Call]]:
        """The same transactions, nested in batches as Store sends them, two batches at a time."""

        def writer(sessions: Sequence[RawSession]) -> Call:
            async def call() -> int:
                parts = [nested(session.append()) for session in sessions]
                done = await self._txn(transaction(success=[*parts, put(RAW.batch, b"")]))
                if not all(part.response_txn.succeeded for part in done.responses[:-1]):
                    raise RuntimeError("nobody else writes these heads")
                return len(sessions)

            return call

        size = min(BATCH_COMMITS, max(1, in_flight // BATCHES_IN_FLIGHT))
        yield [writer(await self._sessions(size)) for _ in range(BATCHES_IN_FLIGHT)]

    @asynccontextmanager
    async def entries(self, user: str, page: int) -> AsyncIterator[Sequence[Call]]:
        """Read the first entries of our own list of this user."""
        yield [self._range(read(*KEYS.entries(user), limit=page), page)]

    @asynccontextmanager
    async def records(self, session_id: str, last_seq: int) -> AsyncIterator[Sequence[Call]]:
        """Read our own records of this session, but the first."""
        yield [self._range(read(*KEYS.events(session_id, 2, last_seq)), last_seq - 1)]

    def _range(self, request: RangeRequest, expected: int) -> Call:
        async def call() -> int:
            answer = await self._kv.Range(request)
            if len(answer.kvs) != expected:
                raise RuntimeError(f"{len(answer.kvs)} keys instead of {expected}")
            return 1

        return call

    async def _sessions(self, number: int) -> list[RawSession]:
        sessions = [RawSession(self._sizes) for _ in range(number)]
        for session in sessions:
            await self._kv.Put(PutRequest(key=session.head_key, value=session.head))
        return sessions


class RawSession:
    """A head, its records and its entry as a client without any of our parts would keep them.

    Its entry stays where it is. Ours moves every quarter of a second at most, so the floors are
    a little lower than what is really written.
    """

    def __init__(self, sizes: Sizes) -> None:
        self._sizes = sizes
        self._id = secrets.token_hex(18)
        self._seqs = count(1)
        self._entry_key = RAW.entry(f"writer-{self._id[:3]}", POSITION_MS, self._id)
        self.head_key = RAW.head(self._id)
        self.head = _value(sizes.head)

    def append(self) -> Transaction:
        """Return the next append, on top of the head of the one before."""
        before, self.head = self.head, _value(self._sizes.head)
        return transaction(
            [value_is(self.head_key, before)],
            [
                put(RAW.event(self._id, next(self._seqs)), _value(self._sizes.record)),
                put(self.head_key, self.head),
                put(self._entry_key, _value(self._sizes.entry)),
            ],
        )


def _value(size: int) -> bytes:
    # Other bytes each time, made as cheaply as can be: it is etcd that is measured.
    return secrets.token_bytes(16).ljust(size, b"x")
