"""A gRPC relay on raw bytes: it loses replies, delivers requests twice, and keeps some back.

It stands behind a `Door`, and carries calls of every kind: on the wire a unary call is a stream of
one message, so all of them are carried as streams. A rule befalls the calls whose method's name,
as `Commit`, it was given.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any, Self

import grpc

Metadata = tuple[tuple[str, str | bytes], ...]

_MIB = 1024 * 1024
_OPTIONS = (
    ("grpc.enable_retries", 0),
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_reconnect_backoff_ms", 200),
    ("grpc.max_receive_message_length", 40 * _MIB),
    ("grpc.max_send_message_length", 40 * _MIB),
    ("grpc.so_reuseport", 0),
    # Our parts ping each other often, and must not be sent away for it.
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 1000),
    ("grpc.http2.max_ping_strikes", 0),
)
_AGAIN_SECONDS = 5.0


@dataclass(eq=False, slots=True)
class Letter:
    """A request that is kept back: one message, or several of one stream."""

    method: str
    metadata: Metadata
    messages: list[bytes] = field(default_factory=list)
    orphaned: bool = False
    """Whether its sender has gone meanwhile."""


class Courier(grpc.GenericRpcHandler):
    """Carries calls to a part; an async context manager.

    Attributes:
        address: where it is reached.
        lost: replies that were lost after the part had given them.
        repeated: requests that were delivered twice.
        late: requests that were delivered after their senders had gone.
        keeping: set while a request is kept back.
        orphaned: set while one is whose sender has gone.
    """

    def __init__(self, target: str) -> None:
        """Carry to the host:port of a part."""
        self.address = ""
        self.lost = 0
        self.repeated = 0
        self.late = 0
        self.keeping = asyncio.Event()
        self.orphaned = asyncio.Event()
        self._channel = grpc.aio.insecure_channel(target, options=_OPTIONS)
        self._server = grpc.aio.server(options=_OPTIONS)
        self._losing: frozenset[str] = frozenset()
        self._repeating: frozenset[str] = frozenset()
        self._keeping: frozenset[str] = frozenset()
        self._letters: list[Letter] = []
        self._released = asyncio.Event()
        self._errands: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server.add_generic_rpc_handlers((self,))
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        await self._server.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.heal()
        for errand in self._errands:
            errand.cancel()
        await asyncio.gather(*self._errands, return_exceptions=True)
        await self._server.stop(None)
        await self._channel.close()

    # --- harm --------------------------------------------------------------------------------

    def lose(self, methods: Collection[str]) -> None:
        """End each call of these methods when its next reply has come, without passing it on."""
        self._losing = frozenset(methods)

    def repeat(self, methods: Collection[str]) -> None:
        """Deliver each request of these methods twice: a unary one as another call.

        The second reply is dropped where it belongs to another call.
        """
        self._repeating = frozenset(methods)

    def keep(self, methods: Collection[str]) -> None:
        """Keep back the requests of these methods, each with all that follows on its stream."""
        self._keeping = frozenset(methods)
        self._released.clear()

    def release(self) -> None:
        """Deliver what is kept back, and keep nothing more: also what nobody waits for any more."""
        self._keeping = frozenset()
        self.keeping.clear()
        self.orphaned.clear()
        self._released.set()
        letters, self._letters = self._letters, []
        for letter in letters:
            if letter.orphaned:
                self.late += 1
                self._send(letter.method, letter.metadata, letter.messages)

    def heal(self) -> None:
        """Carry everything once, both ways."""
        self.lose(())
        self.repeat(())
        self.release()

    # --- carrying ----------------------------------------------------------------------------

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any]:
        """Return what handles a call of any method."""
        carry: Any = partial(self._carry, details.method)
        return grpc.stream_stream_rpc_method_handler(carry)

    async def _carry(
        self, method: str, requests: AsyncIterator[bytes], context: Any
    ) -> AsyncIterator[bytes]:
        metadata = tuple(
            (key, value) for key, value in context.invocation_metadata() if key != "user-agent"
        )
        name = method.rpartition("/")[2]
        call: Any = self._channel.stream_stream(method)(
            metadata=metadata, timeout=context.time_remaining()
        )
        writing = asyncio.create_task(self._write(name, method, metadata, requests, call))
        try:
            while (reply := await call.read()) is not grpc.aio.EOF:
                if name in self._losing:
                    self.lost += 1
                    await context.abort(grpc.StatusCode.UNAVAILABLE, "the reply was lost")
                yield reply
            code = await call.code()
            context.set_trailing_metadata(tuple(await call.trailing_metadata()))
            if code is not grpc.StatusCode.OK:
                await context.abort(code, await call.details())
        except grpc.aio.AioRpcError as error:
            context.set_trailing_metadata(tuple(error.trailing_metadata() or ()))
            await context.abort(error.code(), error.details() or "")
        finally:
            writing.cancel()
            call.cancel()
            await asyncio.gather(writing, return_exceptions=True)

    async def _write(
        self,
        name: str,
        method: str,
        metadata: Metadata,
        requests: AsyncIterator[bytes],
        call: Any,
    ) -> None:
        sent: list[bytes] = []
        async for message in requests:
            if name in self._keeping:
                await self._kept(Letter(method, metadata, [message]))
            await call.write(message)
            if name in self._repeating:
                self.repeated += 1
                sent.append(message)
                if name in STREAMS:
                    await call.write(message)
        await call.done_writing()
        if sent and name not in STREAMS:
            self._send(method, metadata, sent)

    async def _kept(self, letter: Letter) -> None:
        self._letters.append(letter)
        self.keeping.set()
        try:
            await self._released.wait()
        except asyncio.CancelledError:
            letter.orphaned = True
            self.orphaned.set()
            raise

    def _send(self, method: str, metadata: Metadata, messages: list[bytes]) -> None:
        errand = asyncio.create_task(self._deliver(method, metadata, messages))
        self._errands.add(errand)
        errand.add_done_callback(self._errands.discard)

    async def _deliver(self, method: str, metadata: Metadata, messages: list[bytes]) -> None:
        """Make a call of one's own, and let its replies go by."""
        call: Any = self._channel.stream_stream(method)(metadata=metadata, timeout=_AGAIN_SECONDS)
        try:
            for message in messages:
                await call.write(message)
            await call.done_writing()
            while await call.read() is not grpc.aio.EOF:
                pass
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            pass  # a part that is gone takes nothing, and a late request may be refused
        finally:
            call.cancel()


STREAMS = frozenset({"Commit"})
"""Methods of which a request is one message of a stream that goes on."""
