"""A service without protos: every method takes bytes, and the test says what the handler does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc

from services.serving import context

UNARY = "/test.Echo/Unary"
SERVER_STREAM = "/test.Echo/ServerStream"
CLIENT_STREAM = "/test.Echo/ClientStream"
BIDI = "/test.Echo/Bidi"
OTHER = "/test.Other/Unary"

Context = grpc.aio.ServicerContext[bytes, bytes]


class Echo(grpc.GenericRpcHandler):
    """Answers what it was sent, after `act` was called with it.

    `seen` holds the call of each request, `closed` is set when a stream's handler was closed.
    """

    def __init__(self) -> None:
        self.act: Callable[[bytes, Context], Awaitable[None]] = self._nothing
        self.seen: list[context.Call | None] = []
        self.closed = asyncio.Event()
        self._methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            UNARY: grpc.unary_unary_rpc_method_handler(self._unary),
            OTHER: grpc.unary_unary_rpc_method_handler(self._unary),
            SERVER_STREAM: grpc.unary_stream_rpc_method_handler(self._server_stream),
            CLIENT_STREAM: grpc.stream_unary_rpc_method_handler(self._client_stream),
            BIDI: grpc.stream_stream_rpc_method_handler(self._bidi),
        }

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        return self._methods.get(handler_call_details.method)

    async def _nothing(self, request: bytes, rpc: Context) -> None:
        pass

    async def _handle(self, request: bytes, rpc: Context) -> None:
        self.seen.append(context.current_call())
        await self.act(request, rpc)

    async def _unary(self, request: bytes, rpc: Context) -> bytes:
        await self._handle(request, rpc)
        return request

    async def _server_stream(self, request: bytes, rpc: Context) -> AsyncIterator[bytes]:
        yield request
        try:
            await self._handle(request, rpc)
        finally:
            self.closed.set()
        yield request

    async def _client_stream(self, requests: AsyncIterator[bytes], rpc: Context) -> bytes:
        taken = b"".join([each async for each in requests])
        await self._handle(taken, rpc)
        return taken

    async def _bidi(self, requests: AsyncIterator[bytes], rpc: Context) -> AsyncIterator[bytes]:
        try:
            async for each in requests:
                yield each
                await self._handle(each, rpc)
        finally:
            self.closed.set()
