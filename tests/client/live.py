"""A Live for the client's tests: real gRPC, sessions in memory, and a hand on every connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc

from sessiond.v1.live_pb2 import ClientFrame, Goaway, ServerFrame
from tests.client.sessions import Conversation, StoredSession


class Connection:
    """One call of Connect. One that is `deaf` does what it hears, and says nothing of it."""

    def __init__(self, live: Live, metadata: dict[str, str]) -> None:
        self.metadata = metadata
        self.heard: list[ClientFrame] = []
        self.closed = asyncio.Event()
        self.reads = asyncio.Event()
        self.reads.set()
        self.messages = 0
        self.deaf = False
        self._out: asyncio.Queue[ServerFrame | None] = asyncio.Queue()
        self._news = asyncio.Event()
        self._live = live
        self.conversation = Conversation(live.sessions, self.say)

    def say(self, frame: ServerFrame) -> None:
        if self.deaf:
            return
        # Both forms are allowed.
        whole = frame if self._live.single else ServerFrame(batch=[frame])
        self._out.put_nowait(whole)

    def goaway(self, reason: str, *, reconnect: bool = True, retry_after_ms: int = 0) -> None:
        """End the stream with a word."""
        goaway = Goaway(reason=reason, reconnect=reconnect, retry_after_ms=retry_after_ms)
        self.say(ServerFrame(goaway=goaway))
        self.cut()

    def cut(self) -> None:
        """End the stream without one."""
        self.conversation.end()
        self._out.put_nowait(None)

    def kinds(self) -> list[str | None]:
        return [frame.WhichOneof("frame") for frame in self.heard]

    async def hears(self, kind: str, count: int) -> None:
        """Wait until it has heard so many frames of a kind."""
        while self.kinds().count(kind) < count:
            self._news.clear()
            await self._news.wait()

    async def read(self, requests: AsyncIterator[ClientFrame]) -> None:
        async for message in requests:
            await self.reads.wait()
            self.messages += 1
            for frame in message.batch or (message,):
                self.heard.append(frame)
                self._news.set()
                if frame.WhichOneof("frame") == "hello" and self._live.silent:
                    continue
                self.conversation.hear(frame)
        self.closed.set()
        self.conversation.end()
        self._out.put_nowait(None)

    async def write(self) -> AsyncIterator[ServerFrame]:
        while (frame := await self._out.get()) is not None:
            yield frame


class Live:
    """A server on a port of its own. It can be stopped and started again there.

    Attributes:
        refuse: statuses with which the next calls end at once.
        single: whether frames are sent singly instead of in batches.
        silent: whether it never says welcome.
    """

    def __init__(self, sessions: dict[str, StoredSession]) -> None:
        self.sessions = sessions
        self.connections: list[Connection] = []
        self.refuse: list[grpc.StatusCode] = []
        self.single = False
        self.silent = False
        self.came = asyncio.Event()
        self.port = 0
        self._server: grpc.aio.Server | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def newest(self) -> Connection:
        return self.connections[-1]

    async def start(self) -> None:
        handler: Any = grpc.stream_stream_rpc_method_handler(
            self._connect,
            request_deserializer=ClientFrame.FromString,
            response_serializer=lambda frame: frame.SerializeToString(),
        )
        self._server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        generic = grpc.method_handlers_generic_handler(
            "sessiond.v1.LiveService", {"Connect": handler}
        )
        self._server.add_generic_rpc_handlers((generic,))
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        await self._server.start()

    async def stop(self) -> None:
        """Break every connection."""
        if self._server is not None:
            for connection in self.connections:
                connection.conversation.end()
            await self._server.stop(None)
            self._server = None

    async def _connect(
        self, requests: AsyncIterator[ClientFrame], context: Any
    ) -> AsyncIterator[ServerFrame]:
        metadata = {key: str(value) for key, value in context.invocation_metadata() or ()}
        if self.refuse:
            await context.abort(self.refuse.pop(0), "refused")
        connection = Connection(self, metadata)
        self.connections.append(connection)
        self.came.set()
        reading = asyncio.create_task(connection.read(requests))
        try:
            async for frame in connection.write():
                yield frame
        finally:
            connection.conversation.end()
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
