"""etcd alone, asked by the load generator without any part between."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import count
from typing import Any

import grpc

from bench.floors.session import RAW, SessionTemplate, first_head
from bench.floors.shape import Shape
from bench.measuring import Call, Sample, Timing, drive
from services.store.etcd.etcd_pb2 import PutRequest, RangeRequest, TxnResponse
from services.store.etcd.etcd_pb2_grpc import KVStub
from services.store.etcd.transactions import put, read, transaction
from services.store.keys import Span
from services.store.packing import BATCH_COMMITS

BATCHES_IN_FLIGHT = 2
_FLAT = transaction(success=[put(RAW.batch, b"")])


class Raw:
    """Writes and reads at etcd itself, of values as long as ours."""

    def __init__(self, etcd: grpc.aio.Channel, shape: Shape) -> None:
        self.kv: Any = KVStub(etcd)
        self._txn: Any = etcd.unary_unary("/etcdserverpb.KV/Txn")
        self._shape = shape

    async def puts(self, in_flight: int, timing: Timing) -> Sample:
        """One put of a record: what the disk and etcd ask for, and nothing else."""

        def writer() -> Call:
            session_id, seqs = _new_id(), count(1)

            async def call() -> int:
                key = RAW.event(session_id, next(seqs))
                await self.kv.Put(PutRequest(key=key, value=_value(self._shape.record)))
                return 1

            return call

        return await drive([writer() for _ in range(in_flight)], timing)

    async def batches(self, in_flight: int, timing: Timing) -> Sample:
        """The transactions of appends, nested as Store nests them: two batches at a time.

        Each compares the head and puts record, head and entry.
        """
        size = min(BATCH_COMMITS, max(1, in_flight // BATCHES_IN_FLIGHT))
        batches = min(BATCHES_IN_FLIGHT, in_flight)
        made = [await self.sessions(_new_id() for _ in range(size)) for _ in range(batches)]
        return await drive([partial(self._batch, sessions) for sessions in made], timing)

    async def ranges(self, span: Span, expected: int, timing: Timing) -> Sample:
        """Read so many keys, again and again."""
        return await drive([partial(self._range, read(*span, limit=expected), expected)], timing)

    async def sessions(self, session_ids: Iterable[str]) -> list[SessionTemplate]:
        """Put a head for each of these sessions."""
        head = first_head(self._shape)
        made = []
        for session_id in session_ids:
            await self.kv.Put(PutRequest(key=RAW.head(session_id), value=head))
            made.append(SessionTemplate(self._shape, session_id))
        return made

    async def records(self, session_ids: Sequence[str]) -> int:
        """Return how many records these sessions have in all."""
        counts = [
            self.kv.Range(read(*RAW.children(session_id), count_only=True))
            for session_id in session_ids
        ]
        return sum(answer.count for answer in await asyncio.gather(*counts))

    async def _batch(self, sessions: Sequence[SessionTemplate]) -> int:
        frame = secrets.token_bytes(16)
        if len(sessions) == 1:
            request = sessions[0].append(frame)
            done = [TxnResponse.FromString(await self._txn(request)).succeeded]
        else:
            request = b"".join((*(session.nested(frame) for session in sessions), _FLAT))
            answer = TxnResponse.FromString(await self._txn(request))
            done = [part.response_txn.succeeded for part in answer.responses[:-1]]
        if not all(done):
            raise RuntimeError("nobody else writes these heads")
        return len(sessions)

    async def _range(self, request: RangeRequest, expected: int) -> int:
        answer = await self.kv.Range(request)
        if len(answer.kvs) != expected:
            raise RuntimeError(f"{len(answer.kvs)} keys instead of {expected}")
        return 1


def _new_id() -> str:
    return secrets.token_hex(18)


def _value(size: int) -> bytes:
    # Other bytes each time, made as cheaply as can be: it is etcd that is measured.
    return secrets.token_bytes(16).ljust(size, b"x")
