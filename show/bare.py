"""A stream of Connect with one session and nothing around it, so that thousands cost us little."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc

from sessiond.v1.live_pb2 import (
    AppendMessageRequest,
    Attach,
    ClientFrame,
    Hello,
    ServerFrame,
)
from show.ledger import Operation

PATIENCE_SECONDS = 60.0
_METHOD = "/sessiond.v1.LiveService/Connect"


class BareStream:
    """Follows one session without keeping it, and appends to it.

    Attributes:
        events: how many came since the present was reached.
        ended: why the stream is over; "" while it stands.
    """

    def __init__(self, channel: grpc.aio.Channel, token: str, session_id: str) -> None:
        self.session_id = session_id
        self.events = 0
        self.ended = ""
        open_call = channel.stream_stream(
            _METHOD,
            request_serializer=ClientFrame.SerializeToString,
            response_deserializer=ServerFrame.FromString,
        )
        self._call: Any = open_call(metadata=(("authorization", f"Bearer {token}"),))
        self._ready = asyncio.Event()
        self._waiting: dict[str, Operation] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Attach; return when the present is reached.

        Raises:
            ConnectionError: the stream ended instead.
        """
        first = ClientFrame(
            batch=[
                ClientFrame(hello=Hello()),
                ClientFrame(attach=Attach(session_id=self.session_id)),
            ]
        )
        self._spawn(self._read())
        await self._call.write(first)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._ready.wait()
        if self.ended:
            raise ConnectionError(f"a stream could not be opened: {self.ended}")

    async def close(self) -> None:
        """End the stream."""
        self._call.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def append(self, operation: Operation) -> None:
        """Begin an append; it is answered in the operation."""
        self._waiting[operation.op_id] = operation
        append = AppendMessageRequest(
            session_id=self.session_id, content=operation.text, op_id=operation.op_id
        )
        self._spawn(self._write(ClientFrame(append=append)))

    async def _write(self, frame: ClientFrame) -> None:
        try:
            await self._call.write(frame)
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as failure:
            self._end(repr(failure))

    async def _read(self) -> None:
        try:
            while isinstance(message := await self._call.read(), ServerFrame):
                for frame in message.batch or (message,):
                    self._take(frame)
            self._end(str(await self._call.code()))
        except grpc.aio.AioRpcError as failure:
            self._end(f"{failure.code().name}: {failure.details()}")

    def _take(self, frame: ServerFrame) -> None:
        match frame.WhichOneof("frame"):
            case "event":
                self.events += 1
            case "reply":
                self._take_reply(frame)
            case "caught_up":
                self._ready.set()
            case "goaway":
                self._end(frame.goaway.reason)

    def _take_reply(self, frame: ServerFrame) -> None:
        operation = self._waiting.pop(frame.reply.op_id, None)
        if operation is None:
            return
        if frame.reply.HasField("error"):
            operation.refuse(frame.reply.error.code)
        else:
            operation.acknowledge(frame.reply.seq, asyncio.get_running_loop().time())

    def _end(self, reason: str) -> None:
        self.ended = self.ended or reason
        self._ready.set()

    def _spawn(self, coroutine: Any) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
