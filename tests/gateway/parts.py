"""Stand-ins for Store and Live: real gRPC servers that note what they hear and do as told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import grpc
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2_grpc
from grpc_status import rpc_status

from gateway.app import LIVE, STORE
from services.serving.addresses import HostPort
from services.serving.health import Health, HealthService
from sessiond.errors import SessiondError
from sessiond.status import to_status


class Asked(NamedTuple):
    """One call that arrived."""

    rpc: str
    request: Any
    metadata: dict[str, str]


Answer = Callable[[Any], Message | Awaitable[Message]]
"""What an RPC does: gives a response or raises; a `SessiondError` travels as our parts send it.

It is given the request, or the list of requests where they are a stream.
"""

Stream = Callable[[Any], AsyncIterator[Message]]
"""What an RPC does that answers with a stream."""


@dataclass
class Part:
    """A stand-in that serves both StoreService and LiveService, and health.

    `answers` holds what each RPC does, by its name; one without an entry gives the empty response.
    `streams` holds what those do that answer with a stream.
    """

    answers: dict[str, Answer] = field(default_factory=dict)
    streams: dict[str, Stream] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    health: Health = field(default_factory=Health)
    port: int = 0
    credentials: grpc.ServerCredentials | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        self.health.set_ready(True)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen, on the same port as before if there was one."""
        self._server = grpc.aio.server(
            options=(
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", 40 * 2**20),
                ("grpc.max_send_message_length", 40 * 2**20),
            )
        )
        self._server.add_generic_rpc_handlers((_Calls(self),))
        health_pb2_grpc.add_HealthServicer_to_server(HealthService(self.health), self._server)
        where = f"127.0.0.1:{self.port}"
        if self.credentials is None:
            self.port = self._server.add_insecure_port(where)
        else:
            self.port = self._server.add_secure_port(where, self.credentials)
        await self._server.start()

    async def stop(self) -> None:
        """Drop every call and connection."""
        await self._server.stop(None)

    @property
    def address(self) -> HostPort:
        return HostPort("127.0.0.1", self.port)

    def last(self) -> Asked:
        return self.asked[-1]

    def forget(self) -> None:
        """Have heard nothing, and been told nothing."""
        self.asked.clear()
        self.answers.clear()
        self.streams.clear()

    async def answer(self, rpc: str, request: Any, response: type[Message]) -> Message:
        found = self.answers.get(rpc, lambda _: response())(request)
        return found if isinstance(found, Message) else await found


class _Calls(grpc.GenericRpcHandler):
    def __init__(self, part: Part) -> None:
        self._part = part
        self._rpcs = {
            f"/{service.full_name}/{rpc.name}": rpc
            for service in (STORE, LIVE)
            for rpc in service.methods
        }

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        rpc = self._rpcs.get(details.method)
        if rpc is None:
            return None
        response_class = GetMessageClass(rpc.output_type)

        async def call(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Message:
            metadata = {key: str(value) for key, value in context.invocation_metadata() or ()}
            self._part.asked.append(Asked(rpc.name, request, metadata))
            try:
                return await self._part.answer(rpc.name, request, response_class)
            except Dropped:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")
                raise
            except SessiondError as error:
                await context.abort_with_status(rpc_status.to_status(to_status(error)))
                raise

        async def stream(
            request: Message, context: grpc.aio.ServicerContext[Any, Any]
        ) -> AsyncIterator[Message]:
            metadata = {key: str(value) for key, value in context.invocation_metadata() or ()}
            self._part.asked.append(Asked(rpc.name, request, metadata))
            try:
                async for response in self._part.streams[rpc.name](request):
                    yield response
            except Dropped:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")
            except SessiondError as error:
                await context.abort_with_status(rpc_status.to_status(to_status(error)))

        async def gathered(
            requests: AsyncIterator[Message], context: grpc.aio.ServicerContext[Any, Any]
        ) -> Message:
            return await call([request async for request in requests], context)

        if rpc.client_streaming and not rpc.server_streaming:
            return grpc.stream_unary_rpc_method_handler(
                gathered,
                request_deserializer=GetMessageClass(rpc.input_type).FromString,
                response_serializer=lambda message: message.SerializeToString(),
            )
        if rpc.server_streaming and not rpc.client_streaming:
            return grpc.unary_stream_rpc_method_handler(
                stream,
                request_deserializer=GetMessageClass(rpc.input_type).FromString,
                response_serializer=lambda message: message.SerializeToString(),
            )
        return grpc.unary_unary_rpc_method_handler(
            call,
            request_deserializer=GetMessageClass(rpc.input_type).FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )


def failing(error: Exception, *, times: int = 1_000_000, then: Answer | None = None) -> Answer:
    """An answer that fails some times, and then does as `then` says."""
    left = times

    def answer(request: Any) -> Any:
        nonlocal left
        if left > 0 or then is None:
            left -= 1
            raise error
        return then(request)

    return answer


class Dropped(Exception):
    """The connection breaks before the answer."""


def broken(request: Any) -> Message:
    """An answer that nobody hears: the call ends as gRPC ends it, without a name of ours."""
    raise Dropped
