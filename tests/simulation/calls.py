"""A call at its caller, as `grpc.aio` shows it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Iterable
from typing import Any, NoReturn

import grpc

from tests.simulation.network import Connection
from tests.simulation.served import Metadata, ServerCall

Status = tuple[grpc.StatusCode, str, Metadata]

WINDOW = 64 * 1024
"""Bytes on their way to a caller, or unread there, from which on the server's side waits."""

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
        self._unread = 0
        self._room: asyncio.Future[None] | None = None
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
        connection.there.send(self.server.open, *self._unsent)
        self._unsent.clear()
        self._wake()

    def finish(self, status: Status, answer: bytes | None = None) -> None:
        """End with this status, unless it has one; the only answer of a call comes with it."""
        if self._status is not None:
            return
        self._status = status
        if answer is not None:
            self._inbox.append(answer)
        if self._timer is not None:
            self._timer.cancel()
        self._forget(self)
        self._wake()
        self._make_room()

    def takes(self, size: int) -> bool:
        """Count what is sent to it; return whether more may follow at once."""
        self._unread += size
        return self._unread <= WINDOW or self._status is not None

    async def room(self) -> None:
        """Wait until more may follow."""
        if self._unread > WINDOW and self._status is None:
            self._room = self._loop.create_future()
            await self._room

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
        self._unread -= len(data)
        if self._room is not None and self._unread <= WINDOW:
            self._make_room()
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

    def _make_room(self) -> None:
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
