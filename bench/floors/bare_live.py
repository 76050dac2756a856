"""Live without logic: many streams of clients, one stream to the bare Store, bytes passed on.

    python -m bench.floors.bare_live PORT STORE FRAME ACKNOWLEDGEMENT

The last two are the lengths of one append and of its acknowledgement. Towards Store, what one
client sent together is a chunk: the number of its stream, how many frames, the frames. Chunks that
wait together are sent together. Acknowledgements come back in the same form.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from struct import Struct
from typing import Any

import grpc

from bench.floors.outbox import Outbox
from bench.floors.serving import OPTIONS, Handlers, method, serve

CHUNK = Struct(">HH")


class BareLive:
    """Passes frames up, and acknowledgements down."""

    def __init__(self, store: Any, frame: int, acknowledgement: int) -> None:
        self._store = store
        self._frame = frame
        self._acknowledgement = acknowledgement
        self._up = Outbox()
        self._down: dict[int, Outbox] = {}
        self._opened = 0

    async def connect(
        self, requests: AsyncIterator[bytes], _: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncGenerator[bytes, None]:
        """Carry one client's stream."""
        number = self._opened = (self._opened + 1) % 0xFFFF
        down = self._down[number] = Outbox()
        reading = asyncio.create_task(self._read(number, requests))
        try:
            while True:
                yield await down.take()
        finally:
            reading.cancel()
            del self._down[number]

    async def send(self) -> None:
        """Write to Store what waits."""
        while True:
            await self._store.write(await self._up.take())

    async def receive(self) -> None:
        """Read from Store, and hand on."""
        while True:
            data, at = await self._store.read(), 0
            while at < len(data):
                number, count = CHUNK.unpack_from(data, at)
                begin = at + CHUNK.size
                at = begin + count * self._acknowledgement
                if number in self._down:
                    self._down[number].put(data[begin:at])

    async def _read(self, number: int, requests: AsyncIterator[bytes]) -> None:
        frame, put, pack = self._frame, self._up.put, CHUNK.pack
        async for data in requests:
            put(pack(number, len(data) // frame))
            put(data)


@asynccontextmanager
async def handlers(store: str, frame: int, acknowledgement: int) -> AsyncIterator[Handlers]:
    async with grpc.aio.insecure_channel(store, options=OPTIONS) as channel:
        commits: Any = channel.stream_stream(method("Commit"))
        live = BareLive(commits(), frame, acknowledgement)
        tasks = [asyncio.create_task(live.send()), asyncio.create_task(live.receive())]
        yield {"Connect": grpc.stream_stream_rpc_method_handler(live.connect)}
        for task in tasks:
            task.cancel()


if __name__ == "__main__":
    serve(int(sys.argv[1]), handlers(sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
