"""gRPC alone: answers that cost nothing but the call.

    python -m bench.floors.echo PORT

`Append` takes and gives the messages of a unary append, and stores nothing. `Back` gives each
message of a stream back as it came.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import grpc

from bench.floors.serving import Handlers, alone, serve
from sessiond.v1.live_pb2 import AppendMessageRequest, AppendMessageResponse
from sessiond.v1.session_pb2 import Message

Context = grpc.aio.ServicerContext[Any, Any]


async def append(request: AppendMessageRequest, _: Context) -> AppendMessageResponse:
    """Give the message back."""
    message = Message(
        id=request.op_id, session_id=request.session_id, content=request.content, seq=1
    )
    return AppendMessageResponse(message=message, seq=1)


async def back(requests: AsyncIterator[bytes], _: Context) -> AsyncGenerator[bytes, None]:
    """Give each message back."""
    async for data in requests:
        yield data


HANDLERS: Handlers = {
    "Append": grpc.unary_unary_rpc_method_handler(
        append,
        request_deserializer=AppendMessageRequest.FromString,
        response_serializer=AppendMessageResponse.SerializeToString,
    ),
    "Back": grpc.stream_stream_rpc_method_handler(back),
}

if __name__ == "__main__":
    serve(int(sys.argv[1]), alone(HANDLERS))
