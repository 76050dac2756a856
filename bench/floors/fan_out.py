"""One to many over gRPC alone: what a publisher says goes back to it and to every subscriber.

    python -m bench.floors.fan_out PORT FRAME

What waits for the same stream is sent together; to those who ask for that, every frame of so many
bytes is a message.
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
_of_each: set[Outbox] = set()


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


async def subscribe_to_each(_: AsyncIterator[bytes], __: Context) -> AsyncGenerator[bytes, None]:
    """The same, a message each."""
    outbox = Outbox()
    _of_each.add(outbox)
    try:
        yield b""
        while True:
            for frame in await outbox.take_each():
                yield frame
    finally:
        _of_each.discard(outbox)


async def publish(requests: AsyncIterator[bytes], _: Context) -> AsyncGenerator[bytes, None]:
    """Pass on all that is said."""
    outbox = Outbox()

    async def read() -> None:
        async for data in requests:
            for each in _subscribers:
                each.put(data)
            if _of_each:
                size = int(sys.argv[2])
                frames = [data[at : at + size] for at in range(0, len(data), size)]
                for each in _of_each:
                    for frame in frames:
                        each.put(frame)
            outbox.put(data)

    reading = asyncio.create_task(read())
    try:
        while True:
            yield await outbox.take()
    finally:
        reading.cancel()


HANDLERS: Handlers = {
    "Subscribe": grpc.stream_stream_rpc_method_handler(subscribe),
    "SubscribeToEach": grpc.stream_stream_rpc_method_handler(subscribe_to_each),
    "Publish": grpc.stream_stream_rpc_method_handler(publish),
}

if __name__ == "__main__":
    serve(int(sys.argv[1]), alone(HANDLERS))
