"""What every gRPC call of our servers passes through, in one wrapper around its handler.

In order: the request id, who calls, whether that role may call this method, the handler, its
failure as a status, the metrics, one log line. One wrapper and not five, because each layer of
interceptors costs every call another coroutine.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any, TypeVar

import grpc

from services.serving.auth import Authenticator
from services.serving.metrics import CallMetrics
from services.serving.passage import Context, Door, Inside, Passage
from sessiond.session.access import Role

Request = TypeVar("Request")
Response = TypeVar("Response")

_HEALTH = "/grpc.health.v1.Health/"


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Authenticates calls, gives them their context, and turns their failures into statuses.

    Args:
        authenticator: verifies the bearer token of every call that is not public.
        metrics: counts the calls.
        public: full method names (`/package.Service/Method`) that need no token.
        roles: who may call what: keys are full method names, or service prefixes
            (`/package.Service/`); the longest that fits counts. Methods that none fits are open
            to all roles.
        quiet: full names of methods whose good calls are logged at level debug only.
        new_request_id: makes the id of a call that brings none.
        clock: seconds, for durations.

    The health service passes untouched: who asks it has no token, and asks often. Handlers that
    stream responses must be async generators. A failure that is a `SessiondError` is told as
    `sessiond.status` says; any other is `Internal` for the caller, and only our log learns what
    it was. The request id goes back in the initial metadata of a stream, and in the trailing
    metadata of a single answer: initial metadata of its own would cost such a call a fifth more.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        metrics: CallMetrics,
        *,
        public: frozenset[str] = frozenset(),
        roles: Mapping[str, frozenset[Role]] | None = None,
        quiet: frozenset[str] = frozenset(),
        new_request_id: Callable[[], str] = lambda: uuid.uuid4().hex,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._authenticator = authenticator
        self._metrics = metrics
        self._new_request_id = new_request_id
        self._clock = clock
        self._inside = Inside()
        self._public = public
        self._roles = dict(roles or {})
        self._quiet = quiet
        self._wrapped: dict[str, tuple[object, grpc.RpcMethodHandler[Any, Any]]] = {}

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Request, Response] | None]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Request, Response] | None:
        """Return the method's handler inside the wrapper, which is made once per method."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or method.startswith(_HEALTH):
            return handler
        known = self._wrapped.get(method)
        if known is None or known[0] is not handler:
            known = handler, self._wrap(method, handler)
            self._wrapped[method] = known
        return known[1]

    async def emptied(self) -> None:
        """Return when no handler is at work any more."""
        await self._inside.emptied()

    def _wrap(
        self, method: str, handler: grpc.RpcMethodHandler[Any, Any]
    ) -> grpc.RpcMethodHandler[Any, Any]:
        door = Door(
            method,
            self._authenticator,
            self._metrics,
            self._inside,
            self._metrics.in_flight(method),
            public=method in self._public,
            roles=self._allowed(method),
            quiet=method in self._quiet,
            new_request_id=self._new_request_id,
            clock=self._clock,
        )

        def unary(inner: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
            async def answer(request: Any, context: Context) -> Any:
                passage = Passage(door, context)
                try:
                    await passage.admit()
                    answered = await inner(request, context)
                    passage.complete()
                    return answered
                except Exception as error:
                    passage.tell(error)
                finally:
                    passage.leave()

            return answer

        def stream(
            inner: Callable[..., AsyncGenerator[Any, None]],
        ) -> Callable[..., AsyncIterator[Any]]:
            async def answers(request: Any, context: Context) -> AsyncIterator[Any]:
                passage = Passage(door, context)
                try:
                    await passage.admit()
                    await passage.greet()
                    # Closed here and now, also when it is this generator that is given up.
                    async with aclosing(inner(request, context)) as sequence:
                        async for each in sequence:
                            yield each
                    passage.complete()
                except Exception as error:
                    passage.tell(error)
                finally:
                    passage.leave()

            return answers

        inner: Any = handler  # typed for synchronous handlers alone
        codecs: dict[str, Any] = {
            "request_deserializer": handler.request_deserializer,
            "response_serializer": handler.response_serializer,
        }
        if handler.request_streaming and handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(stream(inner.stream_stream), **codecs)
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(stream(inner.unary_stream), **codecs)
        if handler.request_streaming:
            return grpc.stream_unary_rpc_method_handler(unary(inner.stream_unary), **codecs)
        return grpc.unary_unary_rpc_method_handler(unary(inner.unary_unary), **codecs)

    def _allowed(self, method: str) -> frozenset[Role]:
        fitting = [
            key
            for key in self._roles
            if key == method or (key[-1:] == "/" and method.startswith(key))
        ]
        return self._roles[max(fitting, key=len)] if fitting else frozenset(Role)
