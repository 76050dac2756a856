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
import structlog

from services.serving.auth import Authenticator
from services.serving.claims import ACTING_FOR_KEY
from services.serving.context import REQUEST_ID_KEY, Call, enter, is_request_id
from services.serving.metrics import CallMetrics
from sessiond.errors import (
    Internal,
    PermissionDenied,
    SessiondError,
    Unauthenticated,
)
from sessiond.session.access import Role
from sessiond.status import DETAILS_KEY, to_status

_log = structlog.get_logger(__name__)

Request = TypeVar("Request")
Response = TypeVar("Response")
Context = grpc.aio.ServicerContext[Any, Any]

_HEALTH = "/grpc.health.v1.Health/"
_CODES = {code.value[0]: code for code in grpc.StatusCode}


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
        self.authenticator = authenticator
        self.metrics = metrics
        self.new_request_id = new_request_id
        self.clock = clock
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

    def _wrap(
        self, method: str, handler: grpc.RpcMethodHandler[Any, Any]
    ) -> grpc.RpcMethodHandler[Any, Any]:
        door = _Door(
            self,
            method,
            public=method in self._public,
            roles=self._allowed(method),
            quiet=method in self._quiet,
        )

        def unary(inner: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
            async def answer(request: Any, context: Context) -> Any:
                passage = _Passage(door, context)
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
                passage = _Passage(door, context)
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


class _Door:
    """What is the same for every call of one method."""

    __slots__ = ("gauge", "interceptor", "method", "public", "quiet", "roles")

    def __init__(
        self,
        interceptor: CallInterceptor,
        method: str,
        *,
        public: bool,
        roles: frozenset[Role],
        quiet: bool,
    ) -> None:
        self.interceptor = interceptor
        self.method = method
        self.public = public
        self.roles = roles
        self.quiet = quiet
        self.gauge = interceptor.metrics.in_flight(method)


class _Passage:
    """One call on its way through: `admit`, then `complete` or `tell`, and always `leave`.

    What does neither complete nor fail was cancelled: by its caller, its deadline, or our stop.
    """

    __slots__ = ("_call", "_code", "_context", "_door", "_reason", "_started")

    def __init__(self, door: _Door, context: Context) -> None:
        self._door = door
        self._context = context
        self._started = door.interceptor.clock()
        self._call: Call | None = None
        self._code = "CANCELLED"
        self._reason = ""
        door.gauge.inc()

    async def admit(self) -> None:
        """Make this the current call, if its caller may make it."""
        door, context = self._door, self._context
        request_id = authorization = user = None
        doubled = False
        for key, value in context.invocation_metadata() or ():
            if key == REQUEST_ID_KEY:
                request_id = request_id or (str(value) if is_request_id(str(value)) else None)
            elif key == "authorization":
                doubled = doubled or authorization is not None
                authorization = str(value)
            elif key == ACTING_FOR_KEY:
                doubled = doubled or user is not None
                user = str(value)
        self._call = Call(request_id or door.interceptor.new_request_id())
        enter(self._call)
        context.set_trailing_metadata(((REQUEST_ID_KEY, self._call.request_id),))
        if door.public:
            return
        if doubled:  # which of the two counts would be a guess
            raise Unauthenticated
        self._call = await door.interceptor.authenticator.admit(
            self._call.request_id, authorization, user
        )
        enter(self._call)
        if self._call.identity is None or self._call.identity.role not in door.roles:
            raise PermissionDenied

    async def greet(self) -> None:
        """Tell the request id before the first answer."""
        await self._context.send_initial_metadata(self._context.trailing_metadata())

    def complete(self) -> None:
        """Note that the handler came to its end, with the code that it may have set itself."""
        self._code = _name(self._context.code())

    def tell(self, error: Exception) -> None:
        """Tell the caller what went wrong, as far as that is for the caller."""
        if isinstance(error, grpc.aio.AbortError):  # the handler told it
            self.complete()
            raise error
        failure = error if isinstance(error, SessiondError) else Internal()
        if failure is not error:
            _log.error("handler failed", method=self._door.method, exc_info=error)
        status = to_status(failure)
        self._reason = failure.reason
        self._code = _CODES[status.code].name
        details = (DETAILS_KEY, status.SerializeToString())
        self._context.set_trailing_metadata((*self._context.trailing_metadata(), details))
        self._context.set_code(_CODES[status.code])
        self._context.set_details(status.message)

    def leave(self) -> None:
        """Count and log the call."""
        door, call, code = self._door, self._call, self._code
        door.gauge.dec()
        seconds = door.interceptor.clock() - self._started
        door.interceptor.metrics.ended(door.method, code, seconds)
        identity = call.identity if call is not None else None
        if code == "OK":
            # That a service acted for a user is always on record.
            told = not door.quiet or (identity is not None and identity.acting_for)
            say = _log.info if told else _log.debug
        elif code == "CANCELLED":
            say = _log.info
        else:
            say = _log.error if code == "INTERNAL" else _log.warning
        facts = {"reason": self._reason} if self._reason else {}
        if identity is not None:
            facts["subject"] = identity.subject
            facts["role"] = identity.role.value
            if identity.acting_for:
                facts["acting_for"] = identity.acting_for
        say(
            "call",
            method=door.method,
            code=code,
            ms=round(seconds * 1000, 3),
            request_id=call.request_id if call is not None else "",
            **facts,
        )


def _name(code: grpc.StatusCode | int | None) -> str:
    # grpc.aio keeps the number where nothing was set, and the enum where something was.
    if code is None:
        return "OK"
    return code.name if isinstance(code, grpc.StatusCode) else _CODES[code].name
