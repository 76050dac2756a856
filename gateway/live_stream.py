"""One call of `LiveService.Connect`: frames out by a queue, frames in as they come."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import grpc

from sessiond.errors import Unavailable
from sessiond.status import from_rpc_error
from sessiond.v1.live_pb2 import DESCRIPTOR, ClientFrame, ServerFrame

CONNECT = f"/{DESCRIPTOR.services_by_name['LiveService'].full_name}/Connect"

ROOMY_BYTES = 256 * 1024
"""While more than this waits to be written, nobody should be asked for more."""

WRITE_BYTES = 256 * 1024
"""About how much one message carries; a frame alone may be larger."""

WRITE_SECONDS = 10.0
"""How long a Live may take nothing; then it counts as lost."""

FRAME_BYTES = 1024 * 1024 - 256
"""The largest frame that Live takes, less what a link writes into it."""


class LiveStream:
    """One stream to a Live; an async context manager that leaves nothing behind.

    `gone`, where not None, is done once the Live is known to be dead, whatever its connection says.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        gone: asyncio.Future[None] | None,
        metadata: tuple[tuple[str, str], ...],
    ) -> None:
        self._channel = channel
        self._metadata = metadata
        self._gone = gone
        self._queue: deque[ClientFrame] = deque()
        self._size = 0
        self._something = asyncio.Event()
        self._roomy = asyncio.Event()
        self._roomy.set()
        self._ended = False
        self._call: Any = None
        self._writing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._call = self._channel.stream_stream(
            CONNECT,
            request_serializer=ClientFrame.SerializeToString,
            response_deserializer=ServerFrame.FromString,
        )(metadata=self._metadata)
        if self._gone is not None:
            self._gone.add_done_callback(self._abandon)
        self._writing = asyncio.create_task(self._write(), name="live-stream-write")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._gone is not None:
            self._gone.remove_done_callback(self._abandon)
        self._call.cancel()
        self._end()
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.wait((self._writing,))

    def say(self, frames: Iterable[ClientFrame]) -> None:
        """Let frames wait for their turn; those that wait together travel together.

        What is said after the end is lost, as is what was not written before it.
        """
        if self._ended:
            return
        for frame in frames:
            self._queue.append(frame)
            self._size += frame.ByteSize()
        if self._queue:
            self._something.set()
        if self._size > ROOMY_BYTES:
            self._roomy.clear()

    async def room(self) -> None:
        """Wait until little waits to be written, or the stream ends."""
        await self._roomy.wait()

    async def read(self) -> ServerFrame | None:
        """Return the next message; None once the server has ended the stream.

        Raises:
            SessiondError: the stream broke, or the server says why it ended it.
        """
        try:
            message = await self._call.read()
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error, mutating=False) from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise Unavailable from None  # it was the call that was cancelled, by us
        return None if message is grpc.aio.EOF else message

    def _abandon(self, _: object) -> None:
        self._call.cancel()

    async def _write(self) -> None:
        try:
            # However the call ends, who reads hears of it: a write that takes too long cancels it.
            with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError, TimeoutError):
                while True:
                    await self._something.wait()
                    async with asyncio.timeout(WRITE_SECONDS):
                        await self._call.write(self._taken())
        finally:
            self._end()

    def _end(self) -> None:
        self._ended = True
        self._roomy.set()

    def _taken(self) -> ClientFrame:
        frames: list[ClientFrame] = []
        size = 0
        while self._queue and (not frames or size + self._queue[0].ByteSize() <= WRITE_BYTES):
            frames.append(self._queue.popleft())
            size += frames[-1].ByteSize()
        self._size -= size
        if not self._queue:
            self._something.clear()
        if self._size <= ROOMY_BYTES:
            self._roomy.set()
        return frames[0] if len(frames) == 1 else ClientFrame(batch=frames)
