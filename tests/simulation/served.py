"""A call at its server: what reaches it, and the context that its handler sees."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import grpc

from tests.simulation.network import Connection

if TYPE_CHECKING:
    from tests.simulation.calls import ClientCall

Metadata = tuple[tuple[str, Any], ...]


class ServerCall:
    """The same call, at its server; also the context that handlers see."""

    def __init__(self, client: ClientCall, connection: Connection) -> None:
        self._client, self._connection = client, connection
        self._requests: deque[bytes | None] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._over = False
        self._trailing: Metadata = ()
        self._code: grpc.StatusCode | None = None
        self._details = ""

    # --- from the network ------------------------------------------------------------------------

    def open(self, *requests: bytes | None) -> None:
        """Begin to answer; what its client had said before it went out has come with it."""
        self._requests.extend(requests)
        server: Any = self._connection.listener
        self._connection.on_broken[self.cancel] = server.process
        self._task = asyncio.get_running_loop().create_task(
            self._serve(server.handler(self._client.path)), name=f"serve {self._client.path}"
        )

    def came(self, data: bytes | None) -> None:
        """Take a request; None says that it was the last one."""
        self._requests.append(data)
        self._wake()

    def cancel(self) -> None:
        """End it: its client has gone, which first looks as if it had no more to say."""
        self.came(None)
        if self._task is not None and not self._over:
            asyncio.get_running_loop().call_soon(self._task.cancel)

    # --- what handlers see -----------------------------------------------------------------------

    def invocation_metadata(self) -> Metadata:
        return self._client.metadata

    def trailing_metadata(self) -> Metadata:
        return self._trailing

    def set_trailing_metadata(self, metadata: Iterable[tuple[str, Any]]) -> None:
        self._trailing = tuple(metadata)

    async def send_initial_metadata(self, metadata: Metadata) -> None:
        pass

    def code(self) -> grpc.StatusCode | None:
        return self._code

    def set_code(self, code: grpc.StatusCode) -> None:
        self._code = code

    def set_details(self, details: str) -> None:
        self._details = details

    def time_remaining(self) -> float | None:
        ends_at = self._client.ends_at
        return None if ends_at is None else max(0.0, ends_at - asyncio.get_running_loop().time())

    # --- inside ----------------------------------------------------------------------------------

    async def _serve(self, finding: Any) -> None:
        handler = await finding
        decode = handler.request_deserializer or (lambda data: data)
        encode = handler.response_serializer or (lambda message: message)
        back = self._connection.back
        answer: bytes | None = None
        try:
            asked: Any = _Requests(self, decode)
            if not handler.request_streaming:
                asked = await anext(asked)
            if handler.response_streaming:
                answers = handler.stream_stream or handler.unary_stream
                async with aclosing(answers(asked, self)) as responses:
                    async for response in responses:
                        data = encode(response)
                        back.send(self._client.came, data)
                        if not self._client.takes(len(data)):
                            await self._client.room()
            else:
                response = await handler.unary_unary(asked, self)
                if self._code is None:
                    answer = encode(response)
                    self._client.takes(len(answer))
            self._code = self._code or grpc.StatusCode.OK
        except StopAsyncIteration:
            self._code = grpc.StatusCode.CANCELLED
        except asyncio.CancelledError:
            self._code = grpc.StatusCode.CANCELLED
            raise
        finally:
            self._over = True
            self._connection.on_broken.pop(self.cancel, None)
            status = (self._code or grpc.StatusCode.UNKNOWN, self._details, self._trailing)
            back.send(self._client.finish, status, answer)

    async def next(self) -> bytes | None:
        """Return the next request; None after the last."""
        while not self._requests:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._requests.popleft()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


class _Requests:
    """The requests of a call, one after the other."""

    def __init__(self, call: ServerCall, decode: Callable[[bytes], Any]) -> None:
        self._call = call
        self._decode = decode

    def __aiter__(self) -> _Requests:
        return self

    async def __anext__(self) -> Any:
        data = await self._call.next()
        if data is None:
            raise StopAsyncIteration
        return self._decode(data)
