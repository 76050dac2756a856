"""How a floor serves: a gRPC server of raw bytes, as a program of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import grpc
import uvloop

from cluster.ports import HOST

SERVICE = "bench"
MIB = 1024 * 1024
OPTIONS = (
    ("grpc.enable_retries", 0),
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_receive_message_length", 40 * MIB),
    ("grpc.max_send_message_length", 40 * MIB),
)

Handlers = Mapping[str, "grpc.RpcMethodHandler[Any, Any]"]


def method(name: str) -> str:
    """Return the path of a floor's method."""
    return f"/{SERVICE}/{name}"


def serve(port: int, handlers: AbstractAsyncContextManager[Handlers]) -> None:
    """Serve until the process is ended; messages pass as bytes, unless a handler says otherwise."""

    async def run() -> None:
        async with handlers as opened:
            server = grpc.aio.server(options=(("grpc.so_reuseport", 0), *OPTIONS))
            server.add_generic_rpc_handlers(
                (grpc.method_handlers_generic_handler(SERVICE, dict(opened)),)
            )
            server.add_insecure_port(f"{HOST}:{port}")
            await server.start()
            await server.wait_for_termination()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


@asynccontextmanager
async def alone(handlers: Handlers) -> AsyncIterator[Handlers]:
    """Give handlers that need nothing else."""
    yield handlers
