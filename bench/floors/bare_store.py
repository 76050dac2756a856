"""Store without logic: appends come over one stream and go to etcd in nested transactions.

    python -m bench.floors.bare_store PORT ETCD SHAPE

Each append compares the head's value and puts a record, a head and an entry. At most 63 of them
travel in one transaction, beside one flat put; at most two transactions are in flight. The requests
are cut from templates, since all that changes in them is always as long.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc

from bench.floors.bare_live import CHUNK
from bench.floors.outbox import Outbox
from bench.floors.serving import OPTIONS, Handlers, serve
from bench.floors.session import RAW, SessionTemplate
from bench.floors.shape import Shape
from services.store.etcd.etcd_pb2 import TxnResponse
from services.store.etcd.transactions import put, transaction
from services.store.packing import BATCH_COMMITS

IN_FLIGHT = 2
_FLAT = transaction(success=[put(RAW.batch, b"")])


class BareStore:
    """Packs what waits."""

    def __init__(self, etcd: grpc.aio.Channel, shape: Shape) -> None:
        self._write: Any = etcd.unary_unary("/etcdserverpb.KV/Txn")
        self._shape = shape
        self._line: deque[tuple[int, bytes]] = deque()
        self._sessions: dict[bytes, SessionTemplate] = {}
        self._in_flight: set[asyncio.Task[None]] = set()
        self._out = Outbox()

    async def commit(
        self, requests: AsyncIterator[bytes], _: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncGenerator[bytes, None]:
        """Carry the one stream."""
        reading = asyncio.create_task(self._read(requests))
        try:
            while True:
                yield await self._out.take()
        finally:
            reading.cancel()

    async def _read(self, requests: AsyncIterator[bytes]) -> None:
        length, wait = self._shape.frame, self._line.append
        async for data in requests:
            at = 0
            while at < len(data):
                number, count = CHUNK.unpack_from(data, at)
                at += CHUNK.size
                for _ in range(count):
                    wait((number, data[at : at + length]))
                    at += length
            self._dispatch()

    def _dispatch(self) -> None:
        while self._line and len(self._in_flight) < IN_FLIGHT:
            size = min(len(self._line), BATCH_COMMITS)
            batch = [self._line.popleft() for _ in range(size)]
            task = asyncio.create_task(self._send(batch))
            self._in_flight.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._in_flight.discard(task)
        task.result()  # a failure of the floor is told, and nothing goes on
        self._dispatch()

    async def _send(self, batch: list[tuple[int, bytes]]) -> None:
        sessions = [self._session(frame) for _, frame in batch]
        if len(batch) == 1:
            request = sessions[0].append(batch[0][1])
            done = [TxnResponse.FromString(await self._write(request)).succeeded]
        else:
            parts = [
                session.nested(frame) for session, (_, frame) in zip(sessions, batch, strict=True)
            ]
            answer = TxnResponse.FromString(await self._write(b"".join((*parts, _FLAT))))
            done = [part.response_txn.succeeded for part in answer.responses[:-1]]
        if not all(done):
            raise RuntimeError("nobody else writes these heads")
        chunks: dict[int, list[bytes]] = {}
        for (number, _), session in zip(batch, sessions, strict=True):
            chunks.setdefault(number, []).append(session.acknowledgement)
        for number, acknowledgements in chunks.items():
            self._out.put(CHUNK.pack(number, len(acknowledgements)))
            self._out.put(b"".join(acknowledgements))

    def _session(self, frame: bytes) -> SessionTemplate:
        at = self._shape.session_at
        session_id = frame[at : at + 36]
        session = self._sessions.get(session_id)
        if session is None:
            session = self._sessions[session_id] = SessionTemplate(self._shape, session_id.decode())
        return session


@asynccontextmanager
async def handlers(etcd: str, shape: Shape) -> AsyncIterator[Handlers]:
    async with grpc.aio.insecure_channel(etcd, options=OPTIONS) as channel:
        store = BareStore(channel, shape)
        yield {"Commit": grpc.stream_stream_rpc_method_handler(store.commit)}


if __name__ == "__main__":
    serve(int(sys.argv[1]), handlers(sys.argv[2], Shape.read(Path(sys.argv[3]))))
