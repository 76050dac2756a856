"""Streams that wait: opened, kept, and opened again by their cursors when they are lost.

It is told on its first line of input what to open, as JSON, and writes a line of JSON whenever all
streams stand.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from dataclasses import dataclass
from typing import Any

import grpc
import orjson
import uvloop

from bench.floors.serving import OPTIONS
from bench.product import CONNECT
from sessiond.v1.live_pb2 import Attach, ClientFrame, Hello, ServerFrame

_AT_ONCE = 64
_RETRY_SECONDS = (0.05, 0.25)


@dataclass(frozen=True, slots=True)
class Told:
    """What to open: stream n follows session n modulo their number, as its owner.

    Attributes:
        sessions: the ids, each with the token of its owner.
    """

    address: str
    channels: int
    streams: int
    sessions: list[tuple[str, str]]


class Crowd:
    """All streams of this process."""

    def __init__(self, told: Told, channels: list[grpc.aio.Channel]) -> None:
        self._told = told
        self._channels = channels
        self._standing = 0
        self._took: list[float] = []
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def run(self) -> None:
        """Keep every stream up, for ever."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(self._told.streams):
                tasks.create_task(self._keep(number))

    async def _keep(self, number: int) -> None:
        session_id, token = self._told.sessions[number % len(self._told.sessions)]
        connect: Any = self._channels[number % len(self._channels)].stream_stream(CONNECT)
        cursor = ""
        while True:
            stream = Follower(session_id, cursor)
            try:
                async with self._places:
                    began = time.perf_counter()
                    call = connect(metadata=(("authorization", f"Bearer {token}"),))
                    await stream.attach(call)
                self._stands(time.perf_counter() - began)
                try:
                    await stream.follow(call)
                finally:
                    self._standing -= 1
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                pass
            cursor = stream.cursor
            await asyncio.sleep(random.uniform(*_RETRY_SECONDS))

    def _stands(self, took: float) -> None:
        self._standing += 1
        self._took.append(took)
        if self._standing == self._told.streams:
            said = {"at": time.perf_counter(), "took": self._took}
            sys.stdout.buffer.write(orjson.dumps(said) + b"\n")
            sys.stdout.buffer.flush()
            self._took = []


class Follower:
    """One stream on one session, of which only the cursor is kept."""

    def __init__(self, session_id: str, cursor: str) -> None:
        self.cursor = cursor
        self._session_id = session_id
        self._log_id = cursor.partition(".")[0]
        self._caught_up = False
        self._ended = False

    async def attach(self, call: Any) -> None:
        """Return when the present is reached, or the stream has ended."""
        attach = Attach(session_id=self._session_id, tail=0)
        if self.cursor:
            attach.cursor = self.cursor
        batch = [ClientFrame(hello=Hello()), ClientFrame(attach=attach)]
        await call.write(ClientFrame(batch=batch).SerializeToString())
        while not self._caught_up and not self._ended:
            await self._read(call)
        if self._ended:
            call.cancel()
            raise asyncio.InvalidStateError

    async def follow(self, call: Any) -> None:
        """Return when the stream has ended."""
        while not self._ended:
            await self._read(call)
        call.cancel()

    async def _read(self, call: Any) -> None:
        data = await call.read()
        if not isinstance(data, bytes):
            self._ended = True
            return
        for frame in ServerFrame.FromString(data).batch:
            match frame.WhichOneof("frame"):
                case "attached":
                    self._log_id = frame.attached.log_id
                case "caught_up":
                    self._caught_up = True
                    self.cursor = f"{self._log_id}.{frame.caught_up.seq}"
                case "event":
                    self.cursor = f"{self._log_id}.{frame.event.seq}"
                case "goaway":
                    self._ended = True


async def main() -> None:
    fields = orjson.loads(sys.stdin.buffer.readline())
    told = Told(**fields)
    options = (
        *OPTIONS,
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.max_reconnect_backoff_ms", 200),
    )
    channels = [
        grpc.aio.insecure_channel(told.address, options=options) for _ in range(told.channels)
    ]
    await Crowd(told, channels).run()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
