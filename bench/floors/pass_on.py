"""Bytes passed through: a server that has them, and one that asks it and hands them on.

    python -m bench.floors.pass_on PORT [BEHIND]

A request says in digits how many bytes it wants.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any

import grpc

from bench.floors.serving import OPTIONS, Handlers, alone, method, serve

Context = grpc.aio.ServicerContext[Any, Any]


@lru_cache(maxsize=16)
def _bytes(size: int) -> bytes:
    return b"x" * size


async def give(request: bytes, _: Context) -> bytes:
    """Answer with so many bytes."""
    return _bytes(int(request))


@asynccontextmanager
async def passing(behind: str) -> AsyncIterator[Handlers]:
    """Give a handler that asks the server behind."""
    async with grpc.aio.insecure_channel(behind, options=OPTIONS) as channel:
        ask: Any = channel.unary_unary(method("Give"))

        async def hand_on(request: bytes, _: Context) -> bytes:
            data: bytes = await ask(request)
            return data

        yield {"Give": grpc.unary_unary_rpc_method_handler(hand_on)}


if __name__ == "__main__":
    port, *rest = sys.argv[1:]
    own = alone({"Give": grpc.unary_unary_rpc_method_handler(give)})
    serve(int(port), passing(rest[0]) if rest else own)
