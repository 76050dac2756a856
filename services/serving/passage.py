"""One gRPC call on its way through a server: who, whether, how it ended, and the line about it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc
import structlog
from prometheus_client import Gauge

from services.serving.auth import Authenticator
from services.serving.claims import ACTING_FOR_KEY
from services.serving.context import REQUEST_ID_KEY, Call, enter, is_request_id
from services.serving.metrics import CallMetrics
from sessiond.errors import Internal, PermissionDenied, SessiondError, Unauthenticated
from sessiond.session.access import Role
from sessiond.status import DETAILS_KEY, to_status

_log = structlog.get_logger(__name__)

Context = grpc.aio.ServicerContext[Any, Any]

_CODES = {code.value[0]: code for code in grpc.StatusCode}


class Inside:
    """Counts the calls that are inside a server, whatever their method."""

    def __init__(self) -> None:
        self._count = 0
        self._empty = asyncio.Event()
        self._empty.set()

    def enter(self) -> None:
        """Count one more."""
        self._count += 1
        self._empty.clear()

    def leave(self) -> None:
        """Count one less."""
        self._count -= 1
        if self._count == 0:
            self._empty.set()

    async def emptied(self) -> None:
        """Return when no call is inside."""
        await self._empty.wait()


@dataclass(frozen=True, slots=True)
class Door:
    """What is the same for every call of one method.

    Attributes:
        method: its full name.
        authenticator, metrics: of the server.
        inside: counts the calls of all methods.
        gauge: counts the calls of this one that are inside.
        public: whether it needs no token.
        roles: who may call it, unless it is public.
        quiet: whether its good calls are logged at level debug only.
        new_request_id: makes the id of a call that brings none.
        clock: seconds, for durations.
    """

    method: str
    authenticator: Authenticator
    metrics: CallMetrics
    inside: Inside
    gauge: Gauge
    public: bool
    roles: frozenset[Role]
    quiet: bool
    new_request_id: Callable[[], str]
    clock: Callable[[], float]


class Passage:
    """One call on its way through: `admit`, then `complete` or `tell`, and always `leave`.

    What does neither complete nor fail was cancelled: by its caller, its deadline, or our stop.
    """

    __slots__ = ("_call", "_code", "_context", "_door", "_reason", "_started")

    def __init__(self, door: Door, context: Context) -> None:
        self._door = door
        self._context = context
        self._started = door.clock()
        self._call: Call | None = None
        self._code = "CANCELLED"
        self._reason = ""
        door.gauge.inc()
        door.inside.enter()

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
        self._call = Call(request_id or door.new_request_id())
        enter(self._call)
        context.set_trailing_metadata(((REQUEST_ID_KEY, self._call.request_id),))
        if door.public:
            return
        if doubled:  # which of the two counts would be a guess
            raise Unauthenticated
        self._call = await door.authenticator.admit(self._call.request_id, authorization, user)
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
        door.inside.leave()
        seconds = door.clock() - self._started
        door.metrics.ended(door.method, code, seconds)
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
