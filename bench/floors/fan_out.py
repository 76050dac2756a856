"""One to many over gRPC alone: what a publisher says goes back to it and to every subscriber.

    python -m bench.floors.fan_out PORT

What waits for the same stream is sent together.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import grpc

from bench.floors.outbox import Outbox
from bench.floors.serving import Handlers, alone, serve

Context = grpc.aio.ServicerContext[Any, Any]

_subscribers: set[Outbox] = set()


async def subscribe(_: AsyncIterator[bytes], __: Context) -> AsyncGenerator[bytes, None]:
    """Give all that is said from now on; a first message, empty, says that it is so."""
    outbox = Outbox()
    _subscribers.add(outbox)
    try:
        yield b""
        while True:
            yield await outbox.take()
    finally:
        _subscribers.discard(outbox)


async def publish(requests: AsyncIterator[bytes], _: Context) -> AsyncGenerator[bytes, None]:
    """Pass on all that is said."""
    outbox = Outbox()

    async def read() -> None:
        async for data in requests:
            for each in _subscribers:
                each.put(data)
            outbox.put(data)

    reading = asyncio.create_task(read())
    try:
        while True:
            yield await outbox.take()
    finally:
        reading.cancel()


HANDLERS: Handlers = {
    "Subscribe": grpc.stream_stream_rpc_method_handler(subscribe),
    "Publish": grpc.stream_stream_rpc_method_handler(publish),
}

if __name__ == "__main__":
    serve(int(sys.argv[1]), alone(HANDLERS))
