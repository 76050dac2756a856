"""`Connect` over gRPC, in bytes both ways: frames are decoded where they are needed, and encoded
once for all who get them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import grpc

from services.live.hops import hops_of
from services.live.stream import Stream, Surroundings
from services.serving.context import current_call
from sessiond.errors import Draining, SessiondError, Unauthenticated
from sessiond.v1.live_pb2 import DESCRIPTOR

SERVICE: str = DESCRIPTOR.services_by_name["LiveService"].full_name

Context = grpc.aio.ServicerContext[Any, Any]


class Streams:
    """Serves streams, and ends them when the part drains."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._open: set[Stream] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._none = asyncio.Event()
        self._none.set()
        self._leaving = False
        self._draining = False

    def __len__(self) -> int:
        """Return how many are open."""
        return len(self._open)

    def take_calls(self, server: grpc.aio.Server) -> None:
        """Take the calls of Connect, as bytes; after the generated servicer, whose place it takes.

        That one would decode each frame, and encode it again for each who gets it.
        """
        # The types know synchronous handlers alone.
        connect: Any = self.connect
        handler: Any = grpc.stream_stream_rpc_method_handler(connect)
        server.add_registered_method_handlers(SERVICE, {"Connect": handler})

    async def connect(
        self, requests: AsyncIterator[bytes], context: Context
    ) -> AsyncGenerator[bytes, None]:
        """Carry one stream.

        Raises:
            SessiondError: why it ended, where that was not the client's wish.
        """
        call = current_call()
        if call is None:
            raise Unauthenticated
        counted = await self._surroundings.whereabouts.hops.counted(context)
        if self._draining:
            raise Draining(retry_after=0.1)
        hops = hops_of(context) if counted else 0
        stream = Stream(self._surroundings, call, hops=hops, counted=counted)
        if self._leaving:
            stream.leave()
        self._open.add(stream)
        self._none.clear()
        try:
            stream.begin(requests)
            while data := await stream.take():
                yield data
        finally:
            # A call may be cancelled once more while it ends, and is to leave nothing all the same.
            ending = asyncio.create_task(self._close(stream), name="stream-close")
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)
            await asyncio.shield(ending)
        if stream.failure is not None:
            raise stream.failure

    async def _close(self, stream: Stream) -> None:
        try:
            await stream.close()
        finally:
            self._open.discard(stream)
            if not self._open:
                self._none.set()

    def leave(self) -> None:
        """End streams of clients as their sessions go elsewhere; take new ones until `drain`."""
        self._leaving = True
        for stream in tuple(self._open):
            stream.leave()

    async def drain(self, reason: SessiondError) -> None:
        """Take no more streams, send all clients elsewhere, and wait until they have gone."""
        self._draining = True
        for stream in tuple(self._open):
            stream.end(reason)
        await self.none()

    async def none(self) -> None:
        """Return when none is open."""
        await self._none.wait()
