"""A call from both sides: as `grpc.aio` shows it to who makes it, and to who answers it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Iterable
from contextlib import aclosing
from typing import Any, NoReturn

import grpc

from tests.simulation.network import Connection

Metadata = tuple[tuple[str, Any], ...]
Status = tuple[grpc.StatusCode, str, Metadata]

OK = grpc.StatusCode.OK
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
CANCELLED = (grpc.StatusCode.CANCELLED, "Locally cancelled by application!", ())
LATE = (grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded", ())
RESET = (UNAVAILABLE, "recvmsg:Connection reset by peer", ())
REFUSED = (UNAVAILABLE, "failed to connect to all addresses; last error: refused", ())


class ClientCall:
    """A call, at its caller: awaited, iterated, or written and read, as its method has it."""

    def __init__(
        self,
        path: str,
        metadata: Iterable[tuple[str, Any]],
        timeout: float | None,
        encode: Callable[[Any], bytes] | None,
        decode: Callable[[bytes], Any] | None,
    ) -> None:
        self.path = path
        self.metadata = tuple(metadata)
        self.server: ServerCall | None = None
        self._loop = asyncio.get_running_loop()
        self.ends_at = None if timeout is None else self._loop.time() + timeout
        self._encode, self._decode = encode, decode
        self._connection: Connection | None = None
        self._inbox: deque[bytes] = deque()
        self._unsent: list[bytes | None] = []
        self._status: Status | None = None
        self._forget: Callable[[ClientCall], None] = lambda _: None
        self._waiters: list[asyncio.Future[None]] = []
        self._timer = None if timeout is None else self._loop.call_later(timeout, self._late)

    # --- from its channel ------------------------------------------------------------------------

    def begin(self, connection: Connection, forget: Callable[[ClientCall], None]) -> None:
        """Go out over a connection; `forget` hears of the end."""
        if self._status is not None:
            return
        self._connection, self._forget = connection, forget
        self.server = ServerCall(self, connection)
        connection.there.send(self.server.open)
        unsent, self._unsent = self._unsent, []
        for data in unsent:
            self._send(data)
        self._wake()

    def finish(self, status: Status) -> None:
        """End with this status, unless it has one."""
        if self._status is not None:
            return
        self._status = status
        if self._timer is not None:
            self._timer.cancel()
        self._forget(self)
        self._wake()

    def came(self, data: bytes) -> None:
        """Take a message of the answer."""
        if self._status is None:
            self._inbox.append(data)
            self._wake()

    # --- from its caller -------------------------------------------------------------------------

    def cancel(self) -> bool:
        """End it from this side."""
        if self._status is not None:
            return False
        self._give_up(CANCELLED)
        return True

    def done(self) -> bool:
        """Return whether it has ended."""
        return self._status is not None

    def __await__(self) -> Generator[Any, None, Any]:
        return self._answer().__await__()

    async def _answer(self) -> Any:
        try:
            answer = await self.read()
        except asyncio.CancelledError:
            self.cancel()
            raise
        if answer is grpc.aio.EOF:
            raise RuntimeError("a call ended well, without an answer")
        return answer

    async def read(self) -> Any:
        """Return the next message; EOF after the last."""
        while not self._inbox:
            if self._status is not None:
                if self._status[0] is OK:
                    return grpc.aio.EOF
                self._fail()
            await self._change()
        data = self._inbox.popleft()
        return data if self._decode is None else self._decode(data)

    async def __aiter__(self) -> AsyncIterator[Any]:
        while (message := await self.read()) is not grpc.aio.EOF:
            yield message

    async def write(self, message: Any) -> None:
        """Send a message, as soon as the call has gone out."""
        while self._connection is None and self._status is None:
            await self._change()
        if self._status is not None:
            if self._status[0] is OK:
                raise asyncio.InvalidStateError("RPC already finished.")
            self._fail()
        self._send(message if self._encode is None else self._encode(message))

    async def done_writing(self) -> None:
        """Say that nothing more will be sent."""
        self._send(None)

    async def code(self) -> grpc.StatusCode:
        """Wait for the end, and return how it ended."""
        while self._status is None:
            await self._change()
        return self._status[0]

    def say(self, message: Any) -> None:
        """Send the only message of a call that has one."""
        data = message if self._encode is None else self._encode(message)
        for each in (data, None):
            self._send(each)

    # --- inside ----------------------------------------------------------------------------------

    def _send(self, data: bytes | None) -> None:
        if self._connection is None or self.server is None:
            self._unsent.append(data)
        elif self._status is None:
            self._connection.there.send(self.server.came, data)

    def _late(self) -> None:
        self._give_up(LATE)

    def _give_up(self, status: Status) -> None:
        self.finish(status)
        if self._connection is not None and self.server is not None:
            self._connection.there.send(self.server.cancel)

    def _fail(self) -> NoReturn:
        assert self._status is not None
        if self._status is CANCELLED:
            raise asyncio.CancelledError
        code, details, trailing = self._status
        raise grpc.aio.AioRpcError(
            code, grpc.aio.Metadata(), grpc.aio.Metadata(*trailing), details=details
        )

    async def _change(self) -> None:
        waiter = self._loop.create_future()
        self._waiters.append(waiter)
        await waiter

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)


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

    def open(self) -> None:
        """Begin to answer."""
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
        try:
            asked: Any = _Requests(self, decode)
            if not handler.request_streaming:
                asked = await anext(asked)
            if handler.response_streaming:
                answers = handler.stream_stream or handler.unary_stream
                async with aclosing(answers(asked, self)) as responses:
                    async for response in responses:
                        back.send(self._client.came, encode(response))
            else:
                response = await handler.unary_unary(asked, self)
                if self._code is None:
                    back.send(self._client.came, encode(response))
            self._code = self._code or OK
        except StopAsyncIteration:
            self._code = grpc.StatusCode.CANCELLED
        except asyncio.CancelledError:
            self._code = grpc.StatusCode.CANCELLED
            raise
        finally:
            self._over = True
            self._connection.on_broken.pop(self.cancel, None)
            status = (self._code or grpc.StatusCode.UNKNOWN, self._details, self._trailing)
            back.send(self._client.finish, status)

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
