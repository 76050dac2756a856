"""A gRPC server that answers an append and does nothing: what a unary call in Python costs alone.

python -m bench.echo 12345
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import uvloop

from cluster.ports import HOST
from cluster.processes import Process
from sessiond.v1.live_pb2 import AppendMessageRequest, AppendMessageResponse
from sessiond.v1.session_pb2 import Message

_READY_SECONDS = 10.0


async def echo(
    request: AppendMessageRequest, context: grpc.aio.ServicerContext[Any, Any]
) -> AppendMessageResponse:
    """Give the message back, stored nowhere."""
    message = Message(
        id=request.op_id, session_id=request.session_id, content=request.content, seq=1
    )
    return AppendMessageResponse(message=message, seq=1)


@asynccontextmanager
async def echoing(
    port: int, *, log: Path, environ: Mapping[str, str]
) -> AsyncIterator[tuple[str, int]]:
    """Run the server as a process while the block runs; yields its address and process id."""
    address = f"{HOST}:{port}"
    argv = (sys.executable, "-m", "bench.echo", str(port))
    process = Process("echo", argv, env=environ, log=log)
    await process.start()
    try:
        async with grpc.aio.insecure_channel(address) as channel:
            await asyncio.wait_for(channel.channel_ready(), _READY_SECONDS)
        yield address, process.pid
    finally:
        await process.terminate(1.0)


async def _serve(port: int) -> None:
    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    handler = grpc.unary_unary_rpc_method_handler(
        echo,
        request_deserializer=AppendMessageRequest.FromString,
        response_serializer=AppendMessageResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(
                "sessiond.v1.LiveService", {"AppendMessage": handler}
            ),
        )
    )
    server.add_insecure_port(f"{HOST}:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(int(sys.argv[1])))
