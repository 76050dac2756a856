"""Channels and servers: where calls begin, and where they are answered.

idle --call, or asked to connect--> connecting --> ready --broken--> idle
                                        |
                                        +--refused--> failed --after a pause--> idle
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Self

import grpc

from services.serving.interceptors import CallInterceptor
from tests.simulation.calls import CANCELLED, REFUSED, RESET, ClientCall
from tests.simulation.loop import Process
from tests.simulation.network import Connection, Network

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0

State = grpc.ChannelConnectivity


class Channel:
    """Stands in for `grpc.aio.Channel`; it belongs to the process that opened it."""

    def __init__(self, network: Network, process: Process, address: str) -> None:
        self._network = network
        self._process = process
        self._address = address
        self._state = State.IDLE
        self._changed = asyncio.Event()
        self._connection: Connection | None = None
        self._waiting: list[ClientCall] = []
        self._calls: dict[ClientCall, None] = {}
        self._pause = FIRST_PAUSE

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        """Cancel all calls."""
        self._become(State.SHUTDOWN)
        for call in (*self._calls, *self._waiting):
            call.finish(CANCELLED)
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.on_broken.pop(self._broke, None)
            connection.break_()

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """Return how it stands."""
        if try_to_connect:
            self._connect()
        return self._state

    async def wait_for_state_change(self, last_observed_state: object) -> None:
        """Return when it stands otherwise."""
        while self._state is last_observed_state:
            await self._changed.wait()

    def unary_unary(self, path: str, *codecs: Any, **more: Any) -> Callable[..., ClientCall]:
        """Return a method."""
        return self._method(path, *codecs, asks_once=True, **more)

    def unary_stream(self, path: str, *codecs: Any, **more: Any) -> Callable[..., ClientCall]:
        """Return a method."""
        return self._method(path, *codecs, asks_once=True, **more)

    def stream_unary(self, path: str, *codecs: Any, **more: Any) -> Callable[..., ClientCall]:
        """Return a method."""
        return self._method(path, *codecs, asks_once=False, **more)

    def stream_stream(self, path: str, *codecs: Any, **more: Any) -> Callable[..., ClientCall]:
        """Return a method."""
        return self._method(path, *codecs, asks_once=False, **more)

    # --- inside ----------------------------------------------------------------------------------

    def _method(
        self,
        path: str,
        request_serializer: Callable[[Any], bytes] | None = None,
        response_deserializer: Callable[[bytes], Any] | None = None,
        *,
        asks_once: bool,
        **_: Any,
    ) -> Callable[..., ClientCall]:
        def call(
            request: Any = None,
            *,
            metadata: Iterable[tuple[str, Any]] = (),
            timeout: float | None = None,
        ) -> ClientCall:
            made = ClientCall(path, metadata, timeout, request_serializer, response_deserializer)
            if asks_once:
                made.say(request)
            self._begin(made)
            return made

        return call

    def _begin(self, call: ClientCall) -> None:
        if self._connection is not None:
            self._calls[call] = None
            call.begin(self._connection, self._forget)
        elif self._state is State.SHUTDOWN:
            call.finish(CANCELLED)
        elif self._state is State.TRANSIENT_FAILURE:
            call.finish(REFUSED)
        else:
            self._waiting.append(call)
            self._connect()

    def _forget(self, call: ClientCall) -> None:
        self._calls.pop(call, None)

    def _connect(self) -> None:
        if self._state is State.IDLE:
            self._become(State.CONNECTING)
            self._network.dial(self._process, self._address, self._dialled)

    def _dialled(self, connection: Connection | None) -> None:
        waiting, self._waiting = self._waiting, []
        if self._state is State.SHUTDOWN:
            if connection is not None:
                connection.break_()
            return
        if connection is None or connection not in self._network.connections:
            self._become(State.TRANSIENT_FAILURE)
            for call in waiting:
                call.finish(REFUSED)
            asyncio.get_running_loop().call_later(self._pause, self._try_again)
            self._pause = min(1.6 * self._pause, LONGEST_PAUSE)
            return
        self._connection = connection
        connection.on_broken[self._broke] = self._process
        self._pause = FIRST_PAUSE
        self._become(State.READY)
        for call in waiting:
            self._begin(call)

    def _try_again(self) -> None:
        if self._state is State.TRANSIENT_FAILURE:
            self._become(State.IDLE)

    def _broke(self) -> None:
        self._connection = None
        if self._state is State.READY:
            self._become(State.IDLE)
        for call in tuple(self._calls):
            call.finish(RESET)

    def _become(self, state: grpc.ChannelConnectivity) -> None:
        self._state = state
        self._changed.set()
        self._changed = asyncio.Event()


class Details(NamedTuple):
    """What an interceptor is told of a call."""

    method: str
    invocation_metadata: Any = ()


class Server:
    """Stands in for `grpc.aio.Server`; it listens from `listen` on."""

    def __init__(
        self, network: Network, process: Process, address: str, interceptor: CallInterceptor
    ) -> None:
        self.process = process
        self._network = network
        self._address = address
        self._interceptor = interceptor
        self._handlers: dict[str, Any] = {}

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """Take none: the registered ones are the same."""

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Any]) -> None:
        """Take these; a later one takes the place of an earlier one."""
        for method, handler in handlers.items():
            self._handlers[f"/{service}/{method}"] = handler

    def listen(self) -> None:
        """Take calls from now on."""
        self._network.listeners[self._address] = self

    async def handler(self, path: str) -> Any:
        """Return the handler of a method, within what every call passes."""

        async def found(details: Any) -> Any:
            return self._handlers[details.method]

        details: Any = Details(path)
        return await self._interceptor.intercept_service(found, details)
